// The ends of pipes, their frames, and the lock of each between goroutines. Knows no processes.

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"time"
)

// headerLen is the length of the length in front of a message.
const headerLen = 4

var errTooLong = errors.New("a message is longer than four bytes can say")

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

// receive reads one message, or io.EOF.
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

// end is one end of a pipe, as goroutines share it. A message is several calls, which must not mix with those of
// another goroutine: a channel is the lock, since nobody can give up waiting for a sync.Mutex.
type end struct {
	file *os.File
	turn chan struct{}
}

func newEnd(file *os.File) *end { return &end{file, make(chan struct{}, 1)} }

// get receives a message for whom the context lets wait.
func (e *end) get(ctx context.Context, asked func()) (message []byte, err error) {
	err = e.use(ctx, asked, e.file.SetReadDeadline, func() error {
		message, err = receive(e.file)
		return err
	})
	return message, err
}

func (e *end) put(ctx context.Context, message []byte, asked func()) error {
	return e.use(ctx, asked, e.file.SetWriteDeadline, func() error { return send(e.file, message) })
}

// use does something when it is its turn, under the deadline of the context; to cancel is to set one in the past.
// Calls asked when it has its turn, or is about to wait for it.
func (e *end) use(ctx context.Context, asked func(), setDeadline func(time.Time) error, do func() error) error {
	select {
	case e.turn <- struct{}{}:
		asked()
	default:
		asked()
		select {
		case e.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-e.turn }()
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
	// For the next one. Of what was closed meanwhile, or has no deadlines, there is nothing to take back.
	_ = setDeadline(time.Time{})
	return err
}

// descriptor is its number, without (*os.File).Fd, which would make the end a blocking one.
func (e *end) descriptor() int {
	number := -1
	if raw, err := e.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { number = int(fd) })
	}
	return number
}

// duplex is two ends under one name.
type duplex struct{ r, w *end }

// close closes what is open of both; it is an error only if nothing was.
func (d duplex) close() error {
	r, w := d.r.file.Close(), d.w.file.Close()
	if errors.Is(w, os.ErrClosed) {
		return r
	}
	return w
}
