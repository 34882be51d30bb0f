// Child processes: starting them with pipe ends, waiting for them, and taking over the given ends in the child.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// firstExtra is the descriptor that the first of Cmd.ExtraFiles gets in the child.
const firstExtra = 3

// child is a process and the goroutine that waits for it. Only that goroutine calls Wait.
type child struct {
	cmd *exec.Cmd
	// exited is closed when Wait has returned.
	exited  chan struct{}
	err     error
	waiting sync.Once
}

// start runs this program again in that role, in a process group of its own or in that of this process, and gives these
// files to it.
func start(role string, arguments []string, files []*os.File, inGroup bool) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, append([]string{role}, arguments...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	cmd.SysProcAttr = group(inGroup)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, exited: make(chan struct{})}
	c.startWaiting()
	return c, nil
}

// group is nil, or asks for a process group of which the new process is the first.
func group(own bool) *syscall.SysProcAttr {
	if !own {
		return nil
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

// startWaiting calls Wait in a goroutine. It does so once.
func (c *child) startWaiting() {
	c.waiting.Do(func() {
		go func() {
			c.err = c.cmd.Wait()
			close(c.exited)
		}()
	})
}

// wait waits until the child has ended or the context ends.
func (c *child) wait(ctx context.Context) answer {
	c.startWaiting()
	select {
	case <-c.exited:
		return c.exitStatus()
	case <-ctx.Done():
		return contextAnswer(ctx, "running")
	}
}

// exitStatus is how the child ended. Wait must have returned.
func (c *child) exitStatus() answer {
	var failed *exec.ExitError
	if c.err != nil && !errors.As(c.err, &failed) {
		return errorAnswer(c.err)
	}
	return statusAnswer(c.cmd.ProcessState.Sys().(syscall.WaitStatus))
}

func (c *child) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// adopt takes over the pipe ends that this process was started with: `NAME=5` is the end with that descriptor, and
// `NAME=5,6` a duplex with its reader and writer.
func (p *process) adopt(arguments []string) error {
	for _, argument := range arguments {
		name, numbers, _ := strings.Cut(argument, "=")
		var ends []*pipeEnd
		for _, number := range strings.Split(numbers, ",") {
			fd, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("not an argument of this program: %s", argument)
			}
			file, err := inheritedFile(fd)
			if err != nil {
				return fmt.Errorf("%s: %w", argument, err)
			}
			ends = append(ends, newPipeEnd(file))
		}
		if len(ends) == 2 {
			p.addDuplex(name, duplex{ends[0], ends[1]})
		} else {
			p.ends[name] = ends[0]
		}
	}
	return nil
}

// inheritedFile makes a file of a descriptor. As its documentation says, NewFile supports deadlines only for a
// non-blocking descriptor, and in the parent Fd has made this one blocking. Close-on-exec stays off, as in most
// programs: exec.Cmd has cleared it.
func inheritedFile(fd int) (*os.File, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("|%d", fd)), nil
}
