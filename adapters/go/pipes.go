// Pipe ends: their frames, deadlines, and the lock that goroutines share. Processes are in children.go.

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"syscall"
	"time"
)

// headerLen is the length in bytes of the header, which holds the length of the message.
const headerLen = 4

var errTooLong = errors.New("the message is longer than four bytes can say")

// send writes one message: four bytes of length, most significant first, and the bytes.
func send(w io.Writer, message []byte) error {
	if len(message) > math.MaxUint32 {
		return errTooLong
	}
	if err := binary.Write(w, binary.BigEndian, uint32(len(message))); err != nil {
		return err
	}
	_, err := w.Write(message)
	return err
}

// receive reads one message; at the end of the pipe it returns io.EOF.
func receive(r io.Reader) ([]byte, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(header[:]))
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	return message, nil
}

// pipeEnd is one end of a pipe, shared by goroutines. A message takes several calls, which must not interleave with
// those of another goroutine. The lock is a channel, since waiting for a sync.Mutex can't be interrupted.
type pipeEnd struct {
	file file
	lock chan struct{}
}

// file is what a pipe end needs of an *os.File. StdinPipe returns another type that has the same methods.
type file interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	SyscallConn() (syscall.RawConn, error)
}

func newPipeEnd(file file) *pipeEnd { return &pipeEnd{file, make(chan struct{}, 1)} }

// get receives a message, until the context ends. See use for queued.
func (e *pipeEnd) get(ctx context.Context, queued func()) (message []byte, err error) {
	err = e.use(ctx, queued, e.file.SetReadDeadline, func() error {
		message, err = receive(e.file)
		return err
	})
	return message, err
}

func (e *pipeEnd) put(ctx context.Context, message []byte, queued func()) error {
	return e.use(ctx, queued, e.file.SetWriteDeadline, func() error { return send(e.file, message) })
}

// use runs do while it holds the lock, under the deadline of the context; to cancel it, a deadline in the past is set.
// It calls queued once it holds the lock or is about to wait for it.
func (e *pipeEnd) use(ctx context.Context, queued func(), setDeadline func(time.Time) error, do func() error) error {
	select {
	case e.lock <- struct{}{}:
		queued()
	default:
		queued()
		select {
		case e.lock <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-e.lock }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := setDeadline(deadline); err != nil {
			return err
		}
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
			_ = setDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	err := do()
	close(done)
	<-watched
	// Clear the deadline for the next use. This fails only if the file was closed meanwhile or has no deadlines.
	_ = setDeadline(time.Time{})
	return err
}

// descriptor returns the number of the descriptor. It avoids (*os.File).Fd, which would make the file blocking.
func (e *pipeEnd) descriptor() int {
	number := -1
	if raw, err := e.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { number = int(fd) })
	}
	return number
}

// duplex is a reader and a writer under one name.
type duplex struct{ r, w *pipeEnd }

// close closes both ends. It fails with os.ErrClosed only if both were closed before.
func (d duplex) close() error {
	r, w := d.r.file.Close(), d.w.file.Close()
	if errors.Is(w, os.ErrClosed) {
		return r
	}
	return w
}
