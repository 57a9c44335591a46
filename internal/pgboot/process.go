package pgboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// nobody is the uid and gid under which a server runs that root has started.
const nobody = 65534

// identity is the way to run a program that refuses root.
type identity int

const (
	// asSelf runs programs as the current user, who is not root.
	asSelf identity = iota
	// inNamespace runs them in a user namespace where root appears as nobody.
	inNamespace
	// asNobody runs them as nobody, who must own the server's files.
	asNobody
	// asJanitor runs a program that has to outlive this process, as whoever this
	// process is.
	asJanitor
)

// child is a running program. It is gone when done is closed.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read after done
}

// startChild starts cmd as id, in a session of its own, so that a Ctrl-C meant
// for this process does not reach it. Where the kernel can, it gets SIGQUIT when
// this process dies.
func startChild(cmd *exec.Cmd, id identity) (*child, error) {
	cmd.SysProcAttr = sysProcAttr(id)
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the starting thread ends, not the process,
		// so this thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// wait waits for the end; when ctx ends first, the child is killed and ctx's
// error returned.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		_ = c.cmd.Process.Kill()
		<-c.done
		return ctx.Err()
	}
}

// janitorScript removes the folder $1 once its standard input ends, whatever
// happened to the process that held the other end. Every line it reads is the
// id of the process to end first; an empty line says that none is left. A server
// is given ten seconds to end by itself.
const janitorScript = `
trap '' HUP INT TERM
pid=
while IFS= read -r line; do pid=$line; done
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	i=0
	while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	kill -KILL "$pid" 2>/dev/null
fi
i=0
while ! rm -rf -- "$1" 2>/dev/null && [ $i -lt 20 ]; do
	sleep 0.1
	i=$((i + 1))
done
[ ! -e "$1" ]
`

// janitor removes a server's folder when it is told to, or when this process
// ends without telling.
type janitor struct {
	dir   string
	child *child
	pipe  io.WriteCloser
	once  sync.Once
	err   error
}

func startJanitor(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", janitorScript, "janitor", dir) //nolint:gosec,noctx // G204: the folder is ours; it must outlive every context
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c, err := startChild(cmd, asJanitor)
	if err != nil {
		_ = pipe.Close()
		return nil, err
	}
	return &janitor{dir: dir, child: c, pipe: pipe}, nil
}

// guard names the process to end with the folder; 0 says that none is left.
func (j *janitor) guard(pid int) error {
	line := "\n"
	if pid != 0 {
		line = strconv.Itoa(pid) + "\n"
	}
	_, err := io.WriteString(j.pipe, line)
	return err
}

// finish has the folder removed and waits until it is.
func (j *janitor) finish() error {
	j.once.Do(func() {
		_ = j.pipe.Close()
		<-j.child.done
		if j.child.err == nil {
			return
		}
		// Somebody has ended the janitor; its work is left.
		if err := os.RemoveAll(j.dir); err != nil {
			j.err = fmt.Errorf("remove the server's folder: %w", err)
		}
	})
	return j.err
}

// identities are the ways to try, in order.
func identities() []identity {
	if os.Geteuid() != 0 {
		return []identity{asSelf}
	}
	if runtime.GOOS == "linux" {
		return []identity{inNamespace, asNobody}
	}
	return []identity{asNobody}
}

// own makes everything under dir the property of whom id runs programs as.
func (id identity) own(dir string) error {
	if id != asNobody {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, root.Lchown(path, nobody, nobody))
	})
}

// environment is what server programs see: nothing that would change their
// behaviour, messages or file names.
func environment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
}

// signal sends s unless the child has ended.
func (c *child) signal(s syscall.Signal) error {
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process: %w", err)
	}
	return nil
}
