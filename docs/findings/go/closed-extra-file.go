// A command starts although a file in ExtraFiles is closed, and the child finds no descriptor 3.
package main

import (
	"fmt"
	"os"
	"os/exec"
)

func main() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer r.Close()
	w.Close()
	command := exec.Command("sh", "-c", "echo hello >&3")
	command.ExtraFiles = []*os.File{w}
	started := command.Start()
	fmt.Println("expected: Start returns an error, since the file is closed")
	fmt.Println("observed: Start returns", started)
	if started != nil {
		os.Exit(1)
	}
	fmt.Println("observed: the child says", command.Wait())
}
