// The agent of Go's own processes and pipes, which runs in every process of a scenario. Its arguments are the role of
// the process and the pipe ends that its parent has given to it.
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
	p := &process{ends: map[string]*pipeEnd{}, duplexes: map[string]duplex{}, children: map[string]*child{}}
	// This comes before the first socket is opened: until then a descriptor that was not given is still free, so that no
	// pipe end gets an unrelated one.
	if err := p.adopt(os.Args[2:]); err != nil {
		fail(err)
	}
	finished, err := serve(os.Args[1], p.execute)
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

// process has the handles and children of one process, by their names in the scenario. Handles that are closed or given
// away stay in the maps.
type process struct {
	mutex    sync.Mutex
	ends     map[string]*pipeEnd
	duplexes map[string]duplex
	children map[string]*child
	osState  osState
}

// execute executes the commands that use Go's pipes and children; osAction executes the others.
func (p *process) execute(ctx context.Context, do command, queued func()) answer {
	switch do.Verb {
	case "pipe":
		if do.Codec != "" {
			return unsupported("messages are bytes: there is no codec")
		}
		return p.pipe(do.Reader, do.Writer)
	case "duplex":
		return p.duplex(do.Near, do.Far)
	case "spawn":
		if len(do.Listed) > 0 {
			return unsupported("arguments are text: none can contain a file")
		}
		return p.spawn(do.Child, do.Handles, do.Shared, do.InGroup)
	case "run":
		return p.run(do)
	case "drop":
		p.mutex.Lock()
		defer p.mutex.Unlock()
		delete(p.children, do.Child)
		return is("ok")
	case "put":
		_, w := p.lookup(do.Handle)
		if w == nil {
			return is("closed")
		}
		return pipeAnswer(ctx, w.put(ctx, do.Payload.bytes(), queued))
	case "get":
		r, _ := p.lookup(do.Handle)
		if r == nil {
			return is("closed")
		}
		message, err := r.get(ctx, queued)
		if err != nil {
			return pipeAnswer(ctx, err)
		}
		return messageAnswer(message)
	case "close":
		return p.close(do.Handle)
	case "drop-handle":
		return p.dropHandle(do.Handle)
	case "enter", "leave":
		return unsupported("a scope is a deferred Close, whose result is dropped")
	case "pass":
		return unsupported("a file is not a message of bytes")
	case "join", "kill", "terminate", "alive", "code":
		c := p.child(do.Child)
		if c == nil {
			return unsupported("this process has no such child")
		}
		return c.execute(ctx, do.Verb)
	}
	return p.osAction(do)
}

// execute executes a command on this child.
func (c *child) execute(ctx context.Context, verb string) answer {
	switch verb {
	case "join":
		return c.wait(ctx)
	case "kill":
		return errorAnswer(c.cmd.Process.Kill())
	case "terminate":
		return errorAnswer(c.cmd.Process.Signal(signals["SIGTERM"]))
	case "alive":
		if c.hasExited() {
			return is("no")
		}
		return is("yes")
	}
	if c.hasExited() {
		return c.exitStatus()
	}
	return is("running")
}

// pipeAnswer is the outcome of a get or put. If the context has ended it, the outcome is that of the context: the
// deadline of a file can pass a moment before that of the context.
func pipeAnswer(ctx context.Context, err error) answer {
	switch {
	case errors.Is(err, context.Canceled):
		return is("cancelled")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return contextAnswer(ctx, "timeout")
	}
	return errorAnswer(err)
}

func (p *process) pipe(reader, writer string) answer {
	r, w, err := os.Pipe()
	if err != nil {
		return errorAnswer(err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.ends[reader], p.ends[writer] = newPipeEnd(r), newPipeEnd(w)
	return p.created(reader, writer)
}

func (p *process) duplex(near, far string) answer {
	nearR, farW, err := os.Pipe()
	if err != nil {
		return errorAnswer(err)
	}
	farR, nearW, err := os.Pipe()
	if err != nil {
		nearR.Close()
		farW.Close()
		return errorAnswer(err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.addDuplex(near, duplex{newPipeEnd(nearR), newPipeEnd(nearW)})
	p.addDuplex(far, duplex{newPipeEnd(farR), newPipeEnd(farW)})
	return p.created(near+".r", near+".w", far+".r", far+".w")
}

// addDuplex adds a duplex under its name, and its halves under NAME.r and NAME.w.
func (p *process) addDuplex(name string, d duplex) {
	p.duplexes[name] = d
	p.ends[name+".r"], p.ends[name+".w"] = d.r, d.w
}

// created is the answer of pipe and duplex.
func (p *process) created(names ...string) answer {
	result := is("ok")
	result.descriptors = map[string]int{}
	for _, name := range names {
		result.descriptors[name] = p.ends[name].descriptor()
	}
	return result
}

// lookup returns the ends for get and for put under this name. For an end of a plain pipe both are that end, even
// though only one of get and put can succeed. For an unknown name both are nil.
func (p *process) lookup(name string) (r, w *pipeEnd) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if d, ok := p.duplexes[name]; ok {
		return d.r, d.w
	}
	return p.ends[name], p.ends[name]
}

func (p *process) close(name string) answer {
	r, w := p.lookup(name)
	if r == nil {
		// This process never had such a handle, so there is nothing to call.
		return is("closed")
	}
	if r == w {
		return errorAnswer(r.file.Close())
	}
	return errorAnswer(duplex{r, w}.close())
}

func (p *process) child(name string) *child {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.children[name]
}

// contains says whether a name is in a list.
func contains(names []string, name string) bool {
	for _, other := range names {
		if other == name {
			return true
		}
	}
	return false
}

// spawn starts a child with these handles and closes its own copies of those that are not shared, as is usual after
// giving files away.
func (p *process) spawn(role string, names, shared []string, inGroup bool) answer {
	var arguments []string
	var files, given []*os.File
	for _, name := range names {
		r, w := p.lookup(name)
		if r == nil {
			return is("closed")
		}
		first := len(files)
		numbers := fmt.Sprint(firstExtra + first)
		files = append(files, r.file.(*os.File))
		if w != r {
			numbers += fmt.Sprintf(",%d", firstExtra+len(files))
			files = append(files, w.file.(*os.File))
		}
		arguments = append(arguments, name+"="+numbers)
		if !contains(shared, name) {
			given = append(given, files[first:]...)
		}
	}
	c, err := start(role, arguments, files, inGroup)
	if err != nil {
		return errorAnswer(err)
	}
	for _, file := range given {
		// Close fails only for a file that is closed already.
		_ = file.Close()
	}
	p.mutex.Lock()
	p.children[role] = c
	p.mutex.Unlock()
	started := is("ok")
	started.child = c.pid()
	return started
}
