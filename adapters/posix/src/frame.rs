//! The frame of a message on a pipe: four bytes of length, most significant first, and that many bytes. `Incoming` and
//! `Outgoing` are one message each in transit through a non-blocking descriptor; each remembers its progress.

use crate::protocol::{Outcome, Payload, is, message, os_error};
use nix::errno::Errno;
use nix::unistd::{read, write};
use std::mem::take;
use std::os::fd::BorrowedFd;

/// The largest message in bytes: the maximum of a signed length of four bytes.
pub(crate) const MAX_MESSAGE: u64 = i32::MAX as u64;
/// The length of the header in bytes.
pub(crate) const HEADER: usize = 4;
/// The most bytes that one system call reads or writes.
const CHUNK: usize = 64 * 1024;
/// The most system calls before other descriptors get their turn.
const CALLS: usize = 16;

/// The frame of a message, or `None` if the message is too large.
pub(crate) fn frame(payload: &Payload) -> Option<Vec<u8>> {
    let length = Some(payload.length()).filter(|length| *length <= MAX_MESSAGE)?;
    let mut bytes = Vec::with_capacity(HEADER + length as usize);
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    payload.append_to(&mut bytes);
    Some(bytes)
}

/// What has been read of the next message. It belongs to the end of the pipe and not to the step that waits there, so
/// that a get which is cancelled or times out loses nothing. Bytes that cannot become a message stay here, so that each
/// later get reports the same error.
#[derive(Default)]
pub(crate) struct Incoming {
    received: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(received: Vec<u8>) -> Self {
        Self { received }
    }

    /// The bytes that must go with the descriptor when it is given to another process.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.received
    }

    /// Reads as far as possible without blocking; `None` if the message is not complete yet. Never reads beyond this
    /// message.
    pub(crate) fn advance(&mut self, fd: BorrowedFd<'_>) -> Option<Outcome> {
        let mut chunk = [0; CHUNK];
        for call in 0.. {
            let missing = match self.missing() {
                None => return Some(is("protocol")),
                Some(0) => return Some(message(&take(&mut self.received)[HEADER..])),
                Some(_) if call == CALLS => break,
                Some(missing) => missing.min(CHUNK),
            };
            match read(fd, &mut chunk[..missing]) {
                Ok(0) if self.received.is_empty() => return Some(is("eof")),
                Ok(0) => return Some(is("truncated")),
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Some(os_error(error)),
            }
        }
        None
    }

    /// The number of bytes that the header or the message lacks; `None` if the length in the header is invalid.
    fn missing(&self) -> Option<usize> {
        let Some(header) = self.received.first_chunk::<HEADER>() else {
            return Some(HEADER - self.received.len());
        };
        let length = u32::from_be_bytes(*header);
        (u64::from(length) <= MAX_MESSAGE).then(|| HEADER + length as usize - self.received.len())
    }
}

/// The bytes of a message to write, and how many of them are in the pipe already.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    /// Whether the other side may have seen a part of the message.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent > 0
    }

    /// The bytes that are still to be written.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Writes as far as possible without blocking; `None` if the pipe is full. Frees the bytes once all are written.
    pub(crate) fn advance(&mut self, fd: BorrowedFd<'_>) -> Option<Outcome> {
        for call in 0.. {
            match self.unfinished() {
                [] => {
                    *self = Self::default();
                    return Some(is("ok"));
                }
                _ if call == CALLS => break,
                rest => match write(fd, &rest[..rest.len().min(CHUNK)]) {
                    Ok(n) => self.sent += n,
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    Err(Errno::EPIPE) => return Some(is("broken")),
                    Err(error) => return Some(os_error(error)),
                },
            }
        }
        None
    }
}
