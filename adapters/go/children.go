// Children: how one is started with what it is given, waited for, and hit. Talks to nobody.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// firstExtra is the number that the first of Cmd.ExtraFiles has in the child.
const firstExtra = 3

// child is a process and the goroutine that waits for it, which is the only one to call Wait.
type child struct {
	command *exec.Cmd
	over    chan struct{}
	err     error
}

// start runs this program anew under that role, and gives it these files.
func start(role string, arguments []string, files []*os.File) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, append([]string{role}, arguments...)...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.ExtraFiles = files
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &child{command: command, over: make(chan struct{})}
	go func() {
		c.err = command.Wait()
		close(c.over)
	}()
	return c, nil
}

// wait is until its end, or the context's.
func (c *child) wait(ctx context.Context) answer {
	select {
	case <-c.over:
		return c.how()
	case <-ctx.Done():
		return late(ctx, "running")
	}
}

// how says how it ended, which Wait must have told.
func (c *child) how() answer {
	var failed *exec.ExitError
	if c.err != nil && !errors.As(c.err, &failed) {
		return came(c.err)
	}
	return ended(c.command.ProcessState.Sys().(syscall.WaitStatus))
}

func (c *child) hasEnded() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

func (c *child) pid() int { return c.command.Process.Pid }

// adopt keeps the ends that came with the start of this process: `NAME=5` is the end under that descriptor, and
// `NAME=5,6` both ends of a duplex.
func (p *process) adopt(arguments []string) error {
	for _, argument := range arguments {
		name, numbers, _ := strings.Cut(argument, "=")
		var ends []*end
		for _, number := range strings.Split(numbers, ",") {
			fd, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("not an argument of this program: %s", argument)
			}
			file, err := inherited(fd)
			if err != nil {
				return fmt.Errorf("%s: %w", argument, err)
			}
			ends = append(ends, newEnd(file))
		}
		if len(ends) == 2 {
			p.keepBoth(name, duplex{ends[0], ends[1]})
		} else {
			p.ends[name] = ends[0]
		}
	}
	return nil
}

// inherited makes a file of a descriptor. NewFile has deadlines only for one that does not block, as its documentation
// says, and Fd has made it block in the parent. Close-on-exec stays off, as it does for most: exec.Cmd has taken it off.
func inherited(fd int) (*os.File, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("|%d", fd)), nil
}
