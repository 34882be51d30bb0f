// Dropping pipe ends without closing them, which the garbage collector then does.

package main

import (
	"runtime"
	"syscall"
	"time"
)

// dropHandle drops the last references to a handle, and collects until the descriptors are closed or it is clear that
// nothing closes them: the collector closes a file in the background.
func (p *process) dropHandle(handle string) answer {
	p.mutex.Lock()
	var descriptors []int
	for _, name := range []string{handle, handle + ".r", handle + ".w"} {
		if end := p.ends[name]; end != nil {
			descriptors = append(descriptors, end.descriptor())
		}
		delete(p.ends, name)
	}
	delete(p.duplexes, handle)
	p.mutex.Unlock()
	for attempt := 0; attempt < 50 && anyOpen(descriptors); attempt++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	return is("ok")
}

func anyOpen(descriptors []int) bool {
	for _, descriptor := range descriptors {
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), syscall.F_GETFD, 0); errno == 0 {
			return true
		}
	}
	return false
}
