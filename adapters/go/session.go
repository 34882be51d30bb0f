// The protocol client: hello, steps, answers and pings. main.go and os_actions.go execute the commands.

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

// execute executes one command. It calls queued once it has asked for the lock of a pipe end.
type execute func(ctx context.Context, do command, queued func()) answer

// session is the connection of this process to the harness. Each task is a goroutine that executes its steps in order.
type session struct {
	conn    net.Conn
	execute execute
	mutex   sync.Mutex
	// pending has the current step of each task that is in one.
	pending map[string]*pendingStep
}

// pendingStep is a step that has begun and not ended.
type pendingStep struct {
	cancel context.CancelFunc
	// ended is closed when the end of the step has been sent.
	ended chan struct{}
}

// serve connects to the harness and executes steps until the script of this process is done. The result is false if
// the harness has rejected this process or is gone.
func serve(role string, execute execute) (bool, error) {
	conn, err := net.Dial("unix", os.Getenv("GIPC_HARNESS_SOCKET"))
	if err != nil {
		return false, err
	}
	s := &session{conn: conn, execute: execute, pending: map[string]*pendingStep{}}
	s.send(map[string]any{
		"type": "hello", "protocol": 2, "token": os.Getenv("GIPC_HARNESS_TOKEN"), "role": role, "pid": os.Getpid(),
		"implementation": map[string]any{"name": "go", "version": runtime.Version()},
		"profiles":       profiles, "control": "thread",
	})
	return s.receive(), nil
}

func (s *session) send(message map[string]any) { s.write(encodeLine(message)) }

// write writes the line with one call, so that Go does not interleave it with the lines of other goroutines. Errors are
// ignored here: if the harness is gone, receive notices it too.
func (s *session) write(line []byte) { _, _ = s.conn.Write(line) }

func (s *session) receive() bool {
	queues := map[string]*taskQueue{}
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(nil, 1<<17)
	for lines.Scan() {
		var message fromHarness
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			s.send(map[string]any{"type": "fault", "reason": err.Error()})
			continue
		}
		switch message.Type {
		case "welcome":
		case "reject":
			return false
		case "finish":
			return true
		case "ping":
			s.send(map[string]any{"type": "pong", "n": message.N})
		case "step":
			if queues[message.Task] == nil {
				queues[message.Task] = newTaskQueue()
				go s.runTask(message.Task, queues[message.Task])
			}
			<-queues[message.Task].add(message)
		default:
			s.send(map[string]any{"type": "fault", "reason": fmt.Sprintf("no such message: %s", message.Type)})
		}
	}
	return false
}

// runTask executes the steps of one task.
func (s *session) runTask(task string, queue *taskQueue) {
	for {
		step := queue.next()
		s.send(map[string]any{"type": "begin", "id": step.ID, "pid": os.Getpid()})
		var once sync.Once
		queued := func() { once.Do(func() { close(step.queued) }) }
		ctx, cancel := context.WithCancel(context.Background())
		current := &pendingStep{cancel, make(chan struct{})}
		s.mutex.Lock()
		s.pending[task] = current
		s.mutex.Unlock()
		limited, release := ctx, context.CancelFunc(func() {})
		if step.WithinMs != nil {
			limited, release = context.WithTimeout(ctx, time.Duration(*step.WithinMs)*time.Millisecond)
		}
		result := s.run(limited, step.Do, queued)
		queued()
		release()
		cancel()
		s.mutex.Lock()
		delete(s.pending, task)
		s.mutex.Unlock()
		s.write(result.line(step.ID))
		close(current.ended)
	}
}

// run executes one command; it handles those that concern tasks and the end of the process itself. It calls queued at
// once unless the command needs the lock of a pipe end.
func (s *session) run(ctx context.Context, do command, queued func()) answer {
	if do.Verb != "get" && do.Verb != "put" {
		queued()
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
			return contextAnswer(ctx, "timeout")
		}
	case "cancel":
		s.mutex.Lock()
		other := s.pending[do.Task]
		s.mutex.Unlock()
		if other != nil {
			other.cancel()
			<-other.ended
		}
	default:
		return s.execute(ctx, do, queued)
	}
	return is("ok")
}

// contextAnswer is the answer of a command whose context has ended: `cancelled`, or onTimeout after the time limit.
func contextAnswer(ctx context.Context, onTimeout string) answer {
	if ctx.Err() == context.Canceled {
		return is("cancelled")
	}
	return is(onTimeout)
}

// taskQueue holds the steps of a task that have not begun. It is unbounded, so that it never blocks the receiver.
type taskQueue struct {
	mutex    sync.Mutex
	notEmpty *sync.Cond
	idle     bool
	steps    []queuedStep
}

// queuedStep is a step, and a channel that is closed once it has begun and stands in its pipe end's queue.
type queuedStep struct {
	fromHarness
	queued chan struct{}
}

func newTaskQueue() *taskQueue {
	q := &taskQueue{idle: true}
	q.notEmpty = sync.NewCond(&q.mutex)
	return q
}

// add appends a step and returns a channel to wait for, so that goroutines begin their steps in the order of arrival:
// left alone, Go runs the newest goroutine first. The steps of a busy task begin later, so the channel is closed then.
func (q *taskQueue) add(message fromHarness) <-chan struct{} {
	queued := make(chan struct{})
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.steps = append(q.steps, queuedStep{message, queued})
	q.notEmpty.Signal()
	if q.idle && len(q.steps) == 1 {
		return queued
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

func (q *taskQueue) next() queuedStep {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.idle = true
	for len(q.steps) == 0 {
		q.notEmpty.Wait()
	}
	q.idle = false
	first := q.steps[0]
	q.steps = q.steps[1:]
	return first
}
