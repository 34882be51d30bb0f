// A file in ExtraFiles whose descriptor is above the limit of descriptors makes Start fail with EBADF.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer r.Close()
	if err := syscall.Dup3(int(w.Fd()), 100, syscall.O_CLOEXEC); err != nil {
		panic(err)
	}
	high := os.NewFile(100, "high")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	limit.Cur = 50
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	command := exec.Command("sh", "-c", "echo hello >&3")
	command.ExtraFiles = []*os.File{high}
	started := command.Start()
	fmt.Println("expected: Start returns <nil>, since the file is open and dozens of descriptors are free")
	fmt.Println("observed: Start returns", started)
	if !errors.Is(started, syscall.EBADF) {
		os.Exit(1)
	}
}
