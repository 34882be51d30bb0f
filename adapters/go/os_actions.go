// Commands that bypass Go's own abstractions: signals, limits, partial frames, foreign programs, direct system calls.

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// osState is the state of these commands: foreign programs, the rests of cut frames, the original descriptor limit, and
// the number of trapped signals.
type osState struct {
	mutex           sync.Mutex
	foreignPrograms map[string]foreignProgram
	rests           map[string][]byte
	limit           *syscall.Rlimit
	trapped         int64
}

// foreignProgram is a program that is not part of the scenario. It exits with 7 when its stdin is closed.
type foreignProgram struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// osAction executes the commands that don't use Go's pipes and children as a program would.
func (p *process) osAction(do command) answer {
	s := &p.osState
	switch do.Verb {
	case "exec":
		return errorAnswer(s.exec(do.Ghost))
	case "reap":
		return s.reap(do.Child, p.child(do.Child))
	case "cut", "rest", "announce":
		_, w := p.lookup(do.Handle)
		if w == nil {
			return is("closed")
		}
		return errorAnswer(s.frame(w, do))
	case "trap":
		return s.trap(signals[do.Signal])
	case "ignore":
		signal.Ignore(signals[do.Signal])
		return is("ok")
	case "block":
		return errorAnswer(block(signals[do.Signal]))
	case "limit":
		return errorAnswer(s.setLimit(do.Free))
	case "count":
		if do.What != "trapped" {
			return unsupported("Go does not count open files")
		}
		return s.count()
	case "stall", "reaped", "signal", "signal-group":
		s.mutex.Lock()
		foreign, isForeign := s.foreignPrograms[do.Child]
		s.mutex.Unlock()
		if isForeign && do.Verb == "stall" {
			foreign.stdin.Close()
			return errorAnswer(stall(foreign.cmd.Process.Pid))
		}
		c := p.child(do.Child)
		if c == nil {
			return unsupported("this process has no such child")
		}
		switch do.Verb {
		case "stall":
			return errorAnswer(stall(c.pid()))
		case "reaped":
			// The system has no event for this.
			for syscall.Kill(c.pid(), 0) != syscall.ESRCH {
				time.Sleep(time.Millisecond)
			}
			// The goroutine in Wait may have reaped the child but not closed the channel yet.
			<-c.exited
			return is("ok")
		case "signal-group":
			return errorAnswer(syscall.Kill(-c.pid(), signals[do.Signal]))
		}
		return errorAnswer(syscall.Kill(c.pid(), signals[do.Signal]))
	}
	return unsupported(fmt.Sprintf("this adapter has no %s", do.Verb))
}

func (s *osState) exec(name string) error {
	cmd := exec.Command("sh", "-c", "read x; exit 7")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.foreignPrograms == nil {
		s.foreignPrograms = map[string]foreignProgram{}
	}
	s.foreignPrograms[name] = foreignProgram{cmd, stdin}
	return nil
}

// reap ends and reaps a foreign program, or reaps a child without the knowledge of os/exec.
func (s *osState) reap(name string, c *child) answer {
	s.mutex.Lock()
	foreign, isForeign := s.foreignPrograms[name]
	s.mutex.Unlock()
	pid := 0
	switch {
	case isForeign:
		foreign.stdin.Close()
		pid = foreign.cmd.Process.Pid
	case c != nil:
		pid = c.pid()
	default:
		return unsupported("this process has no such child")
	}
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err == nil {
			return statusAnswer(status)
		} else if err != syscall.EINTR {
			return errorAnswer(err)
		}
	}
}

// frame writes the first part of a frame, the rest of one that was cut, or a header alone.
func (s *osState) frame(w *pipeEnd, do command) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.rests == nil {
		s.rests = map[string][]byte{}
	}
	var frame []byte
	switch do.Verb {
	case "announce":
		frame = header(do.Size)
	case "rest":
		frame = s.rests[do.Handle]
		delete(s.rests, do.Handle)
	default:
		payload := do.Payload.bytes()
		frame = append(header(uint64(len(payload))), payload...)
		at := do.At["bytes"]
		if more, ok := do.At["header"]; ok {
			at = headerLen + more
		} else if less, ok := do.At["end"]; ok {
			at = len(frame) - less
		}
		s.rests[do.Handle] = frame[at:]
		frame = frame[:at]
	}
	_, err := w.file.Write(frame)
	return err
}

func header(size uint64) []byte {
	return []byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
}

func (s *osState) trap(number syscall.Signal) answer {
	arrived := make(chan os.Signal, 64)
	signal.Notify(arrived, number)
	go func() {
		for range arrived {
			atomic.AddInt64(&s.trapped, 1)
		}
	}()
	return is("ok")
}

// count returns the number of trapped signals. It sleeps first, since a signal that is already delivered still passes
// through goroutines of the runtime, and nothing tells when they are done.
func (s *osState) count() answer {
	time.Sleep(20 * time.Millisecond)
	return answer{outcome: outcome{"is": "number", "n": atomic.LoadInt64(&s.trapped)}}
}

// setLimit lets this process open that many more descriptors; without a number, it restores the original limit.
func (s *osState) setLimit(free *int) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.limit == nil {
		s.limit = &syscall.Rlimit{}
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, s.limit); err != nil {
			return err
		}
	}
	limit := *s.limit
	if free != nil {
		unused, fd := 0, 0
		for ; ; fd++ {
			var status syscall.Stat_t
			if syscall.Fstat(fd, &status) == syscall.EBADF {
				if unused == *free {
					break
				}
				unused++
			}
		}
		limit.Cur = uint64(fd)
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// block makes the system call directly, since Go has no function for it. The mask belongs to the thread, so the
// goroutine is locked to its thread.
func block(number syscall.Signal) error {
	runtime.LockOSThread()
	const sigBlock = 0
	set := uint64(1) << (number - 1)
	_, _, err := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigBlock, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
	if err != 0 {
		return err
	}
	return nil
}

// stall blocks the whole process until a child has ended, and leaves it a zombie. No other goroutine runs meanwhile:
// the only processor stays with this one during a raw system call.
func stall(pid int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const byPid = 1
	const options = syscall.WEXITED | syscall.WNOWAIT
	_, _, err := syscall.RawSyscall6(syscall.SYS_WAITID, byPid, uintptr(pid), 0, options, 0, 0)
	// ECHILD: the child was reaped before.
	if err != 0 && err != syscall.ECHILD {
		return err
	}
	return nil
}
