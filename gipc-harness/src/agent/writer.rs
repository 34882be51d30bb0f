//! How an agent speaks: a line is on the wire when `say` returns, unless the wire is full.
//!
//! An order must not begin before its `begin` is written: the library may block the loop, and a line that waits
//! for a turn of the loop would never be seen. It does not listen.

use crate::adapter::protocol::FromAgent;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use tokio::sync::Notify;

pub(super) struct Writer {
    /// Shares its non-blocking state with the stream that listens.
    stream: UnixStream,
    backlog: RefCell<VecDeque<u8>>,
    full: Notify,
}

impl Writer {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, backlog: RefCell::default(), full: Notify::new() }
    }

    pub(super) fn say(&self, message: &FromAgent) {
        let mut line = serde_json::to_vec(message).unwrap_or_default();
        line.push(b'\n');
        self.backlog.borrow_mut().extend(line);
        if self.flush() {
            self.full.notify_one();
        }
    }

    /// Writes what the wire takes; true if some is left.
    fn flush(&self) -> bool {
        let mut backlog = self.backlog.borrow_mut();
        while !backlog.is_empty() {
            match (&self.stream).write(backlog.as_slices().0) {
                Ok(written) => drop(backlog.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The harness is gone; the listener sees it too, and ends the conversation.
                Err(_) => backlog.clear(),
            }
        }
        false
    }

    /// Writes the backlog whenever the wire has room again. Never returns.
    pub(super) async fn catch_up(&self, stream: &tokio::net::UnixStream) {
        loop {
            self.full.notified().await;
            while self.flush() {
                // A failure shows itself at the next write.
                let _ = stream.writable().await;
                // Forgets the readiness that was cached, in case it is stale.
                let _ = stream.try_io(tokio::io::Interest::WRITABLE, || {
                    if self.flush() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
                });
            }
        }
    }

    /// Writes all that is left, and waits for it. For the last moment of a process.
    pub(super) fn finish(&self) {
        let _ = self.stream.set_nonblocking(false);
        self.flush();
    }
}
