// The talk with the harness: hello, steps, answers, pings. Does not know what an order does.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// conversation is one process's talk with the harness: a goroutine for each task, its orders one by one.
type conversation struct {
	stream  net.Conn
	perform func(context.Context, order, func()) answer
	mutex   sync.Mutex
	busy    map[string]*underway
}

// underway is the order that a task is in.
type underway struct {
	cancel context.CancelFunc
	// over is closed when its end was said.
	over chan struct{}
}

// serve says who this is, and does what it is told until the script of this process is done. It says whether it is.
func serve(role string, perform func(context.Context, order, func()) answer) (bool, error) {
	stream, err := net.Dial("unix", os.Getenv("GIPC_HARNESS_SOCKET"))
	if err != nil {
		return false, err
	}
	c := &conversation{stream: stream, perform: perform, busy: map[string]*underway{}}
	c.say(map[string]any{
		"type": "hello", "protocol": 1, "token": os.Getenv("GIPC_HARNESS_TOKEN"), "role": role, "pid": os.Getpid(),
		"implementation": map[string]any{"name": "go", "version": runtime.Version()},
		"profiles":       profiles, "control": "thread",
	})
	return c.listen(), nil
}

func (c *conversation) say(words map[string]any) { c.write(encoded(words)) }

// write does it with one call, which Go does not mix with those of other goroutines. If the harness is gone, listen
// sees it too.
func (c *conversation) write(line []byte) { _, _ = c.stream.Write(line) }

func (c *conversation) listen() bool {
	lanes := map[string]*lane{}
	lines := bufio.NewScanner(c.stream)
	lines.Buffer(nil, 1<<17)
	for lines.Scan() {
		var words fromHarness
		if err := json.Unmarshal(lines.Bytes(), &words); err != nil {
			c.say(map[string]any{"type": "fault", "reason": err.Error()})
			continue
		}
		switch words.Type {
		case "welcome":
		case "reject":
			return false
		case "finish":
			return true
		case "ping":
			c.say(map[string]any{"type": "pong", "n": words.N})
		case "step":
			if lanes[words.Task] == nil {
				lanes[words.Task] = newLane()
				go c.performAll(words.Task, lanes[words.Task])
			}
			<-lanes[words.Task].add(words)
		default:
			c.say(map[string]any{"type": "fault", "reason": fmt.Sprintf("no such message: %s", words.Type)})
		}
	}
	return false
}

// performAll does the orders of one task.
func (c *conversation) performAll(task string, lane *lane) {
	for {
		step := lane.next()
		c.say(map[string]any{"type": "begin", "id": step.ID, "pid": os.Getpid()})
		var once sync.Once
		begun := func() { once.Do(func() { close(step.begun) }) }
		ctx, cancel := context.WithCancel(context.Background())
		now := &underway{cancel, make(chan struct{})}
		c.mutex.Lock()
		c.busy[task] = now
		c.mutex.Unlock()
		limited, release := ctx, context.CancelFunc(func() {})
		if step.WithinMs != nil {
			limited, release = context.WithTimeout(ctx, time.Duration(*step.WithinMs)*time.Millisecond)
		}
		came := c.one(limited, step.Do, begun)
		begun()
		release()
		cancel()
		c.mutex.Lock()
		delete(c.busy, task)
		c.mutex.Unlock()
		c.write(came.line(step.ID))
		close(now.over)
	}
}

// one does one order. It calls begun once it has asked for its turn at an end, or has none to ask for.
func (c *conversation) one(ctx context.Context, do order, begun func()) answer {
	if do.Verb != "get" && do.Verb != "put" {
		begun()
	}
	switch do.Verb {
	case "exit":
		os.Exit(do.Code)
	case "raise":
		panic("the scenario says that this entry fails")
	case "pause":
		select {
		case <-time.After(time.Duration(do.Ms) * time.Millisecond):
		case <-ctx.Done():
			return late(ctx, "timeout")
		}
	case "cancel":
		c.mutex.Lock()
		other := c.busy[do.Task]
		c.mutex.Unlock()
		if other != nil {
			other.cancel()
			<-other.over
		}
	default:
		return c.perform(ctx, do, begun)
	}
	return is("ok")
}

// late is what a context that is over makes of an order.
func late(ctx context.Context, limit string) answer {
	if ctx.Err() == context.Canceled {
		return is("cancelled")
	}
	return is(limit)
}

// lane holds the steps of a task that are not begun. It has no bound, so that it never holds up the listener.
type lane struct {
	mutex sync.Mutex
	some  *sync.Cond
	idle  bool
	steps []step
}

// step is what is to be done, and a channel that is closed once it is begun.
type step struct {
	fromHarness
	begun chan struct{}
}

func newLane() *lane {
	l := &lane{idle: true}
	l.some = sync.NewCond(&l.mutex)
	return l
}

// add says what to wait for, so that goroutines begin in the order in which they were told: Go starts the newest
// first. Who is busy begins later, and is not waited for.
func (l *lane) add(words fromHarness) <-chan struct{} {
	begun := make(chan struct{})
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.steps = append(l.steps, step{words, begun})
	l.some.Signal()
	if l.idle && len(l.steps) == 1 {
		return begun
	}
	now := make(chan struct{})
	close(now)
	return now
}

func (l *lane) next() step {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.idle = true
	for len(l.steps) == 0 {
		l.some.Wait()
	}
	l.idle = false
	first := l.steps[0]
	l.steps = l.steps[1:]
	return first
}
