// The data of the protocol: messages of the harness, payloads, outcomes, and the names of errors and signals.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"
)

// profiles lists what this adapter supports. Go counts no open ends, its scopes return no outcome, and it has no codec.
var profiles = []string{"core", "tasks", "process", "frames", "signals", "limits", "stdio", "drop", "groups", "share", "drop-handle"}

// fromHarness is any message of the harness; fields that a message lacks stay empty.
type fromHarness struct {
	Type     string  `json:"type"`
	ID       int     `json:"id"`
	Task     string  `json:"task"`
	Do       command `json:"do"`
	WithinMs *int64  `json:"within_ms"`
	N        uint64  `json:"n"`
}

// command is a verb and its arguments.
type command struct {
	Verb    string
	Reader  string
	Writer  string
	Codec   string
	Near    string
	Far     string
	Child   string
	Ghost   string
	Handle  string
	Handles []string
	Shared  []string
	Listed  []string
	Payload payload
	At      map[string]int
	Size    uint64
	Code    int
	Task    string
	Ms      int64
	Signal  string
	Free    *int
	What    string
	Argv    []string
	InGroup bool `json:"in_group"`
	Stdin   *stream
	Stdout  *stream
	Stderr  *stream
}

// stream is a standard stream of a program: a new pipe of which this process keeps one end, or an end that it gives away.
type stream struct{ Pipe, Given string }

// payload describes a message: a text, or noise that is generated from a seed.
type payload struct {
	Text *string
	Seed string
	Len  int
}

// noiseBlock is the length of the generated block, which longer noise repeats.
const noiseBlock = 65521

func (p payload) bytes() []byte {
	if p.Text != nil {
		return []byte(*p.Text)
	}
	message := make([]byte, 0, p.Len+sha256.Size)
	for n := 0; len(message) < p.Len && len(message) < noiseBlock; n++ {
		digest := sha256.Sum256([]byte(fmt.Sprintf("%s:%d", p.Seed, n)))
		message = append(message, digest[:]...)
	}
	if len(message) > noiseBlock {
		message = message[:noiseBlock]
	}
	block := message
	for len(message) < p.Len {
		message = append(message, block[:min(len(block), p.Len-len(message))]...)
	}
	return message[:p.Len]
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// outcome is the outcome of a step, as the protocol spells it.
type outcome map[string]any

// answer is the result of a command.
type answer struct {
	outcome     outcome
	detail      string
	descriptors map[string]int
	child       int
	unsupported string
}

func is(name string) answer { return answer{outcome: outcome{"is": name}} }

func unsupported(why string) answer { return answer{unsupported: why} }

// messageAnswer reports a received message.
func messageAnswer(message []byte) answer {
	digest := sha256.Sum256(message)
	report := outcome{"is": "message", "len": len(message), "sha256": hex.EncodeToString(digest[:])}
	if len(message) <= 64 && utf8.Valid(message) {
		report["text"] = string(message)
	}
	return answer{outcome: report}
}

// errorAnswer is `ok` without an error, else the outcome for the error, with Go's own text as detail.
func errorAnswer(err error) answer {
	var number syscall.Errno
	result := is("other")
	switch {
	case err == nil:
		return is("ok")
	case errors.Is(err, io.EOF):
		result = is("eof")
	case errors.Is(err, io.ErrUnexpectedEOF):
		result = is("truncated")
	case errors.Is(err, os.ErrClosed), strings.HasSuffix(err.Error(), "use of closed file"):
		// The deadline methods return an error of an internal package, which only its text tells.
		result = is("closed")
	case errors.Is(err, errTooLong):
		result = is("too-large")
	case errors.Is(err, syscall.EPIPE):
		result = is("broken")
	case errors.As(err, &number):
		result.outcome = outcome{"is": "os", "name": errnoName(number)}
	}
	result.detail = err.Error()
	return result
}

// statusAnswer is the exit status of a process.
func statusAnswer(status syscall.WaitStatus) answer {
	if status.Signaled() {
		return answer{outcome: outcome{"is": "signal", "name": signalName(status.Signal())}}
	}
	return answer{outcome: outcome{"is": "exit", "code": status.ExitStatus()}}
}

// errnoName returns the symbolic name of an errno: the standard library knows only its description.
func errnoName(number syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EMFILE: "EMFILE", syscall.EBADF: "EBADF", syscall.ECHILD: "ECHILD", syscall.ESRCH: "ESRCH",
		syscall.EAGAIN: "EAGAIN", syscall.EINVAL: "EINVAL", syscall.EPERM: "EPERM", syscall.ENFILE: "ENFILE",
		syscall.ENOMEM: "ENOMEM", syscall.EINTR: "EINTR", syscall.ENOENT: "ENOENT", syscall.EACCES: "EACCES",
	}
	if name, ok := names[number]; ok {
		return name
	}
	return fmt.Sprintf("errno %d", int(number))
}

var signals = map[string]syscall.Signal{
	"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT, "SIGABRT": syscall.SIGABRT,
	"SIGKILL": syscall.SIGKILL, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2, "SIGSEGV": syscall.SIGSEGV,
	"SIGPIPE": syscall.SIGPIPE, "SIGALRM": syscall.SIGALRM, "SIGTERM": syscall.SIGTERM, "SIGCHLD": syscall.SIGCHLD,
	"SIGURG": syscall.SIGURG, "SIGCONT": syscall.SIGCONT, "SIGSTOP": syscall.SIGSTOP, "SIGTSTP": syscall.SIGTSTP,
	"SIGWINCH": syscall.SIGWINCH,
}

func signalName(number syscall.Signal) string {
	for name, signal := range signals {
		if signal == number {
			return name
		}
	}
	return fmt.Sprintf("signal %d", int(number))
}

// line encodes the answer as one message to the harness, with the fields that are not empty.
func (a answer) line(id int) []byte {
	message := map[string]any{"type": "end", "id": id, "pid": os.Getpid(), "outcome": a.outcome}
	if a.unsupported != "" {
		message = map[string]any{"type": "unsupported", "id": id, "reason": a.unsupported}
	}
	if a.detail != "" {
		message["detail"] = a.detail
	}
	if a.descriptors != nil {
		message["descriptors"] = a.descriptors
	}
	if a.child != 0 {
		message["child"] = a.child
	}
	return encodeLine(message)
}

func encodeLine(message map[string]any) []byte {
	line, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return append(line, '\n')
}
