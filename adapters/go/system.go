// What is done without the pipes and children of the others: signals, limits, parts of frames, foreign programs.

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

// system is what a process has beside its pipes and children: programs started without them, signals, limits, and what
// was cut off frames.
type system struct {
	mutex   sync.Mutex
	ghosts  map[string]ghost
	rests   map[string][]byte
	limit   *syscall.Rlimit
	trapped int64
}

// ghost is a program that ends with 7 once its input is closed.
type ghost struct {
	command *exec.Cmd
	input   io.Closer
}

// aside is what is done without the adapter's own pipes and children.
func (p *process) aside(do order) answer {
	s := &p.system
	switch do.Verb {
	case "exec":
		return came(s.exec(do.Ghost))
	case "reap":
		return s.reap(do.Child, p.child(do.Child))
	case "cut", "rest", "announce":
		_, w := p.end(do.Handle)
		if w == nil {
			return is("closed")
		}
		return came(s.frame(w, do))
	case "trap":
		return s.trap(signals[do.Signal])
	case "ignore":
		signal.Ignore(signals[do.Signal])
		return is("ok")
	case "block":
		return came(block(signals[do.Signal]))
	case "limit":
		return came(s.setLimit(do.Free))
	case "count":
		if do.What != "trapped" {
			return unsupported("nothing counts the ends that live")
		}
		return s.count()
	case "stall", "reaped", "signal":
		s.mutex.Lock()
		g, isGhost := s.ghosts[do.Child]
		s.mutex.Unlock()
		if isGhost && do.Verb == "stall" {
			g.input.Close()
			return came(stall(g.command.Process.Pid))
		}
		c := p.child(do.Child)
		if c == nil {
			return unsupported("there is no such child here")
		}
		switch do.Verb {
		case "stall":
			return came(stall(c.pid()))
		case "reaped":
			// There is no event for that.
			for syscall.Kill(c.pid(), 0) != syscall.ESRCH {
				time.Sleep(time.Millisecond)
			}
			// The goroutine in Wait may have reaped it and not have said so yet.
			<-c.over
			return is("ok")
		}
		return came(syscall.Kill(c.pid(), signals[do.Signal]))
	}
	return unsupported(fmt.Sprintf("no such thing here: %s", do.Verb))
}

func (s *system) exec(name string) error {
	command := exec.Command("sh", "-c", "read x; exit 7")
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.ghosts == nil {
		s.ghosts = map[string]ghost{}
	}
	s.ghosts[name] = ghost{command, input}
	return nil
}

// reap ends and reaps a ghost, or reaps a child behind the back of os/exec.
func (s *system) reap(name string, c *child) answer {
	s.mutex.Lock()
	g, isGhost := s.ghosts[name]
	s.mutex.Unlock()
	pid := 0
	switch {
	case isGhost:
		g.input.Close()
		pid = g.command.Process.Pid
	case c != nil:
		pid = c.pid()
	default:
		return unsupported("there is no such child here")
	}
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err == nil {
			return ended(status)
		} else if err != syscall.EINTR {
			return came(err)
		}
	}
}

// frame writes the beginning of a frame, what was left out of one, or a length alone.
func (s *system) frame(w *end, do order) error {
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

func (s *system) trap(number syscall.Signal) answer {
	came := make(chan os.Signal, 64)
	signal.Notify(came, number)
	go func() {
		for range came {
			atomic.AddInt64(&s.trapped, 1)
		}
	}()
	return is("ok")
}

// count gives a signal that the system has sent a moment to go its way through the runtime: it has goroutines of its
// own there, and nothing says when they are done.
func (s *system) count() answer {
	time.Sleep(20 * time.Millisecond)
	return answer{outcome: said{"is": "number", "n": atomic.LoadInt64(&s.trapped)}}
}

// setLimit leaves room for so many more descriptors, or lifts the limit.
func (s *system) setLimit(free *int) error {
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

// block is the system's own call, as Go has none. The mask is the thread's, so the goroutine stays on it.
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

// stall waits with the whole process until a child has ended, and leaves it to be reaped. With one processor, and by a
// call that does not give it back, no other goroutine runs.
func stall(pid int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const byPid = 1
	const options = syscall.WEXITED | syscall.WNOWAIT
	_, _, err := syscall.RawSyscall6(syscall.SYS_WAITID, byPid, uintptr(pid), 0, options, 0, 0)
	// It was reaped before.
	if err != 0 && err != syscall.ECHILD {
		return err
	}
	return nil
}
