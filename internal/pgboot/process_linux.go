package pgboot

import "syscall"

// sysProcAttr says how the kernel is to start a program as id.
func sysProcAttr(id identity) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGQUIT}
	switch id {
	case inNamespace:
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
	case asNobody:
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	case asJanitor:
		attr.Pdeathsig = 0
	case asSelf:
	}
	return attr
}
