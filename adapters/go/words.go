// What travels between harness and agent, and what messages are made of. Data only.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unicode/utf8"
)

// profiles is what can be asked of it. There is no count of live ends, no scope that answers, no codec.
var profiles = []string{"core", "tasks", "process", "frames", "signals", "limits"}

// fromHarness is any line of the harness; what a line does not have stays empty.
type fromHarness struct {
	Type     string `json:"type"`
	ID       int    `json:"id"`
	Task     string `json:"task"`
	Do       order  `json:"do"`
	WithinMs *int64 `json:"within_ms"`
	N        uint64 `json:"n"`
}

// order is a verb and what comes with it.
type order struct {
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
	Listed  []string
	Payload content
	At      map[string]int
	Size    uint64
	Code    int
	Task    string
	Ms      int64
	Signal  string
	Free    *int
	What    string
}

// content is a message: a text, or noise that tells who sent it.
type content struct {
	Text *string
	Seed string
	Len  int
}

// noiseBlock is how much of the noise is made; what is longer repeats it.
const noiseBlock = 65521

func (c content) bytes() []byte {
	if c.Text != nil {
		return []byte(*c.Text)
	}
	message := make([]byte, 0, c.Len+sha256.Size)
	for n := 0; len(message) < c.Len && len(message) < noiseBlock; n++ {
		digest := sha256.Sum256([]byte(fmt.Sprintf("%s:%d", c.Seed, n)))
		message = append(message, digest[:]...)
	}
	if len(message) > noiseBlock {
		message = message[:noiseBlock]
	}
	block := message
	for len(message) < c.Len {
		message = append(message, block[:min(len(block), c.Len-len(message))]...)
	}
	return message[:c.Len]
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// said is an outcome.
type said map[string]any

// answer is what came of an order.
type answer struct {
	outcome     said
	detail      string
	descriptors map[string]int
	child       int
	unsupported string
}

func is(name string) answer { return answer{outcome: said{"is": name}} }

func unsupported(why string) answer { return answer{unsupported: why} }

// gotten is a message that arrived.
func gotten(message []byte) answer {
	digest := sha256.Sum256(message)
	outcome := said{"is": "message", "len": len(message), "sha256": hex.EncodeToString(digest[:])}
	if len(message) <= 64 && utf8.Valid(message) {
		outcome["text"] = string(message)
	}
	return answer{outcome: outcome}
}

// came is nothing, or the error in the words of the contract. Go's own words go along.
func came(err error) answer {
	var number syscall.Errno
	said := is("other")
	switch {
	case err == nil:
		return is("ok")
	case errors.Is(err, io.EOF):
		said = is("eof")
	case errors.Is(err, io.ErrUnexpectedEOF):
		said = is("truncated")
	case errors.Is(err, os.ErrClosed):
		said = is("closed")
	case errors.Is(err, errTooLong):
		said = is("too-large")
	case errors.Is(err, syscall.EPIPE):
		said = is("broken")
	case errors.As(err, &number):
		said.outcome = map[string]any{"is": "os", "name": errnoName(number)}
	}
	said.detail = err.Error()
	return said
}

// ended is how a process ended.
func ended(status syscall.WaitStatus) answer {
	if status.Signaled() {
		return answer{outcome: said{"is": "signal", "name": signalName(status.Signal())}}
	}
	return answer{outcome: said{"is": "exit", "code": status.ExitStatus()}}
}

// errnoName exists since the standard library has the words of an error, but not its name.
func errnoName(number syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EMFILE: "EMFILE", syscall.EBADF: "EBADF", syscall.ECHILD: "ECHILD", syscall.ESRCH: "ESRCH",
		syscall.EAGAIN: "EAGAIN", syscall.EINVAL: "EINVAL", syscall.EPERM: "EPERM", syscall.ENFILE: "ENFILE",
		syscall.ENOMEM: "ENOMEM", syscall.EINTR: "EINTR", syscall.ENOENT: "ENOENT",
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
	"SIGURG": syscall.SIGURG, "SIGCONT": syscall.SIGCONT, "SIGSTOP": syscall.SIGSTOP, "SIGTSTP": syscall.SIGTSTP, "SIGWINCH": syscall.SIGWINCH,
}

func signalName(number syscall.Signal) string {
	for name, signal := range signals {
		if signal == number {
			return name
		}
	}
	return fmt.Sprintf("signal %d", int(number))
}

// line is one message to the harness, of the words that are not empty.
func (a answer) line(id int) []byte {
	words := map[string]any{"type": "end", "id": id, "pid": os.Getpid(), "outcome": a.outcome}
	if a.unsupported != "" {
		words = map[string]any{"type": "unsupported", "id": id, "reason": a.unsupported}
	}
	if a.detail != "" {
		words["detail"] = a.detail
	}
	if a.descriptors != nil {
		words["descriptors"] = a.descriptors
	}
	if a.child != 0 {
		words["child"] = a.child
	}
	return encoded(words)
}

func encoded(words map[string]any) []byte {
	line, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return append(line, '\n')
}
