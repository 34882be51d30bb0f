// Programs whose standard streams are pipes, with StdinPipe, StdoutPipe and StderrPipe of os/exec.

package main

import (
	"io"
	"os"
	"os/exec"
)

// run starts a program. Wait is called only when the scenario joins the child: it closes the pipes, and "it is thus
// incorrect to call Wait before all reads from the pipe have completed".
func (p *process) run(do command) answer {
	cmd := exec.Command(do.Argv[0], do.Argv[1:]...)
	cmd.SysProcAttr = group(do.InGroup)
	kept := map[string]*pipeEnd{}
	var given []*os.File
	for number, s := range []*stream{do.Stdin, do.Stdout, do.Stderr} {
		if s == nil {
			continue
		}
		if s.Given != "" {
			r, _ := p.lookup(s.Given)
			if r == nil {
				return is("closed")
			}
			file, ok := r.file.(*os.File)
			if !ok {
				return unsupported("what StdinPipe returns is no file for another program")
			}
			given = append(given, file)
			switch number {
			case 0:
				cmd.Stdin = file
			case 1:
				cmd.Stdout = file
			default:
				cmd.Stderr = file
			}
			continue
		}
		end, err := pipeOf(cmd, number)
		if err != nil {
			return errorAnswer(err)
		}
		file, ok := end.(file)
		if !ok {
			return unsupported("this version of os/exec hides the file of a pipe")
		}
		kept[s.Pipe] = newPipeEnd(file)
	}
	if err := cmd.Start(); err != nil {
		return errorAnswer(err)
	}
	for _, file := range given {
		_ = file.Close()
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.children[do.Child] = &child{cmd: cmd, exited: make(chan struct{})}
	names := []string{}
	for name, end := range kept {
		p.ends[name] = end
		names = append(names, name)
	}
	return p.created(names...)
}

// pipeOf makes the pipe of a standard stream, and returns the end that this process keeps.
func pipeOf(cmd *exec.Cmd, number int) (io.Closer, error) {
	switch number {
	case 0:
		return cmd.StdinPipe()
	case 1:
		return cmd.StdoutPipe()
	default:
		return cmd.StderrPipe()
	}
}
