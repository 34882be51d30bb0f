//! The writing side of an asynchronous session: a line is in the socket when `send` returns, unless the socket is full.
//!
//! A `begin` must be written before its command is performed: the library may block the event loop, and a line that
//! waits for a turn of the loop would arrive too late.

use crate::connection::line;
use crate::protocol::FromAgent;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use tokio::sync::Notify;

pub(crate) struct Writer {
    /// Shares its non-blocking mode with the stream that the session reads from.
    stream: UnixStream,
    backlog: RefCell<VecDeque<u8>>,
    /// Notified when the socket is full.
    full: Notify,
}

impl Writer {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, backlog: RefCell::default(), full: Notify::new() }
    }

    pub(crate) fn send(&self, message: &FromAgent) {
        self.backlog.borrow_mut().extend(line(message));
        if self.flush() {
            self.full.notify_one();
        }
    }

    /// Writes what the socket takes. Returns true if something is left.
    fn flush(&self) -> bool {
        let mut backlog = self.backlog.borrow_mut();
        while !backlog.is_empty() {
            match (&self.stream).write(backlog.as_slices().0) {
                Ok(written) => drop(backlog.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The harness is gone; the reading side sees that too, and ends the session.
                Err(_) => backlog.clear(),
            }
        }
        false
    }

    /// Writes the backlog whenever the socket has room again. Never returns.
    pub(crate) async fn drain_backlog(&self, stream: &tokio::net::UnixStream) {
        loop {
            self.full.notified().await;
            while self.flush() {
                // An error appears again at the next write.
                let _ = stream.writable().await;
                // Clears tokio's cached readiness, in case it is stale.
                let _ = stream.try_io(tokio::io::Interest::WRITABLE, || {
                    if self.flush() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
                });
            }
        }
    }

    /// Writes everything that is left, and blocks meanwhile. For the last moment of a process.
    pub(crate) fn finish(&self) {
        let _ = self.stream.set_nonblocking(false);
        self.flush();
    }
}
