// The agent of Go's own processes and pipes: every process of a scenario runs this program. Its arguments are the role
// of the process and the ends of pipes that it was given.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("no role"))
	}
	p := &process{ends: map[string]*end{}, both: map[string]duplex{}, children: map[string]*child{}}
	// Before the first socket: a number that was not given is then still free, and no end gets a stranger's.
	if err := p.adopt(os.Args[2:]); err != nil {
		fail(err)
	}
	finished, err := serve(os.Args[1], p.perform)
	if err != nil {
		fail(err)
	}
	if !finished {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go:", err)
	os.Exit(2)
}

// process is what one process has, by the names of the scenario. What was closed or given away keeps its name.
type process struct {
	mutex    sync.Mutex
	ends     map[string]*end
	both     map[string]duplex
	children map[string]*child
	system   system
}

func (p *process) perform(ctx context.Context, do order, begun func()) answer {
	switch do.Verb {
	case "pipe":
		if do.Codec != "" {
			return unsupported("bytes are what is sent: there is no codec")
		}
		return p.pipe(do.Reader, do.Writer)
	case "duplex":
		return p.duplex(do.Near, do.Far)
	case "spawn":
		if len(do.Listed) > 0 {
			return unsupported("arguments are text: no file can be inside of one")
		}
		return p.spawn(do.Child, do.Handles)
	case "put":
		_, w := p.end(do.Handle)
		if w == nil {
			return is("closed")
		}
		return within(ctx, w.put(ctx, do.Payload.bytes(), begun))
	case "get":
		r, _ := p.end(do.Handle)
		if r == nil {
			return is("closed")
		}
		message, err := r.get(ctx, begun)
		if err != nil {
			return within(ctx, err)
		}
		return gotten(message)
	case "close":
		return p.close(do.Handle)
	case "enter", "leave":
		return unsupported("a scope is a deferred Close: nobody is told what came of it")
	case "pass":
		return unsupported("a file is no bytes")
	case "join", "kill", "terminate", "alive", "code":
		c := p.child(do.Child)
		if c == nil {
			return unsupported("there is no such child here to call anything of")
		}
		return c.ask(ctx, do.Verb)
	}
	return p.aside(do)
}

func (c *child) ask(ctx context.Context, verb string) answer {
	switch verb {
	case "join":
		return c.wait(ctx)
	case "kill":
		return came(c.command.Process.Kill())
	case "terminate":
		return came(c.command.Process.Signal(signals["SIGTERM"]))
	case "alive":
		if c.hasEnded() {
			return is("no")
		}
		return is("yes")
	}
	if c.hasEnded() {
		return c.how()
	}
	return is("running")
}

// within is what came of an order, or the end of the context that ended it. The deadline of a file can pass a moment
// before that of the context.
func within(ctx context.Context, err error) answer {
	switch {
	case errors.Is(err, context.Canceled):
		return is("cancelled")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return late(ctx, "timeout")
	}
	return came(err)
}

func (p *process) pipe(reader, writer string) answer {
	r, w, err := os.Pipe()
	if err != nil {
		return came(err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.ends[reader], p.ends[writer] = newEnd(r), newEnd(w)
	return p.made(reader, writer)
}

func (p *process) duplex(near, far string) answer {
	nearR, farW, err := os.Pipe()
	if err != nil {
		return came(err)
	}
	farR, nearW, err := os.Pipe()
	if err != nil {
		nearR.Close()
		farW.Close()
		return came(err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.keepBoth(near, duplex{newEnd(nearR), newEnd(nearW)})
	p.keepBoth(far, duplex{newEnd(farR), newEnd(farW)})
	return p.made(near+".r", near+".w", far+".r", far+".w")
}

// keepBoth keeps a duplex under its name, and its halves under theirs.
func (p *process) keepBoth(name string, both duplex) {
	p.both[name] = both
	p.ends[name+".r"], p.ends[name+".w"] = both.r, both.w
}

func (p *process) made(names ...string) answer {
	made := is("ok")
	made.descriptors = map[string]int{}
	for _, name := range names {
		made.descriptors[name] = p.ends[name].descriptor()
	}
	return made
}

// end is what gets and what puts under this name; of a pipe's end it is the same, and Go lets one try.
func (p *process) end(name string) (r, w *end) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if both, ok := p.both[name]; ok {
		return both.r, both.w
	}
	return p.ends[name], p.ends[name]
}

func (p *process) close(name string) answer {
	r, w := p.end(name)
	if r == nil {
		// It was never here, so there is nothing to call.
		return is("closed")
	}
	if r == w {
		return came(r.file.Close())
	}
	return came(duplex{r, w}.close())
}

func (p *process) child(name string) *child {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.children[name]
}

// spawn gives the files and closes its own, as one does who has given them away.
func (p *process) spawn(role string, names []string) answer {
	var arguments []string
	var files []*os.File
	for _, name := range names {
		r, w := p.end(name)
		if r == nil {
			return is("closed")
		}
		numbers := fmt.Sprint(firstExtra + len(files))
		files = append(files, r.file)
		if w != r {
			numbers += fmt.Sprintf(",%d", firstExtra+len(files))
			files = append(files, w.file)
		}
		arguments = append(arguments, name+"="+numbers)
	}
	c, err := start(role, arguments, files)
	if err != nil {
		return came(err)
	}
	for _, file := range files {
		// What cannot be closed is closed already.
		_ = file.Close()
	}
	p.mutex.Lock()
	p.children[role] = c
	p.mutex.Unlock()
	started := is("ok")
	started.child = c.pid()
	return started
}
