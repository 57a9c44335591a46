//go:build unix && !linux

package pgboot

import "syscall"

// sysProcAttr says how the kernel is to start a program as id. Without a death
// signal, the janitor alone ends the server of a killed process.
func sysProcAttr(id identity) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if id == asNobody {
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return attr
}
