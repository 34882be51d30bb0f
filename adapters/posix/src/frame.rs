//! A message on a pipe: four bytes of length, most significant first, and so many bytes. Each struct is one message
//! on its way through a descriptor that never blocks, and remembers how far it is. Knows nothing of who waits for it.

use crate::words::{Outcome, Payload, is, message, system};
use nix::errno::Errno;
use nix::unistd::{read, write};
use std::mem::take;
use std::os::fd::BorrowedFd;

/// The longest message: what a signed length of four bytes can say.
pub(crate) const LONGEST: u64 = i32::MAX as u64;
/// Bytes of the length in front.
pub(crate) const HEADER: usize = 4;
/// What one call of the system is asked for at most.
const PIECE: usize = 64 * 1024;
/// How many calls are made before others come to their turn.
const CALLS: usize = 16;

/// The frame of a message, or `None` if it is too long to be sent.
pub(crate) fn frame(payload: &Payload) -> Option<Vec<u8>> {
    let length = Some(payload.length()).filter(|length| *length <= LONGEST)?;
    let mut bytes = Vec::with_capacity(HEADER + length as usize);
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    payload.write(&mut bytes);
    Some(bytes)
}

/// What was read of the message that comes next. It belongs to the end of the pipe and not to who waits there, so
/// that giving up loses nothing. Bytes that lead to no message stay here, and say the same to everyone who asks.
#[derive(Default)]
pub(crate) struct Incoming {
    got: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(got: Vec<u8>) -> Self {
        Self { got }
    }

    /// What a later owner has to know.
    pub(crate) fn carried(&self) -> &[u8] {
        &self.got
    }

    /// Reads on; `None` if the rest is still to come. Never reads beyond this message.
    pub(crate) fn advance(&mut self, fd: BorrowedFd<'_>) -> Option<Outcome> {
        let mut piece = [0; PIECE];
        for call in 0.. {
            let missing = match self.missing() {
                None => return Some(is("protocol")),
                Some(0) => return Some(message(&take(&mut self.got)[HEADER..])),
                Some(_) if call == CALLS => break,
                Some(missing) => missing.min(PIECE),
            };
            match read(fd, &mut piece[..missing]) {
                Ok(0) if self.got.is_empty() => return Some(is("eof")),
                Ok(0) => return Some(is("truncated")),
                Ok(n) => self.got.extend_from_slice(&piece[..n]),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Some(system(error)),
            }
        }
        None
    }

    /// How many bytes header or message lack, or `None` if no message has such a header.
    fn missing(&self) -> Option<usize> {
        let Some(header) = self.got.first_chunk::<HEADER>() else {
            return Some(HEADER - self.got.len());
        };
        let length = u32::from_be_bytes(*header);
        (u64::from(length) <= LONGEST).then(|| HEADER + length as usize - self.got.len())
    }
}

/// Bytes on their way into a pipe, and how many of them are there.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    /// Whether the other side may have seen a part of it.
    pub(crate) fn begun(&self) -> bool {
        self.sent > 0
    }

    /// What is still to be written.
    pub(crate) fn carried(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Writes on; `None` if there is no room for the rest. What is written is forgotten.
    pub(crate) fn advance(&mut self, fd: BorrowedFd<'_>) -> Option<Outcome> {
        for call in 0.. {
            match self.carried() {
                [] => {
                    *self = Self::default();
                    return Some(is("ok"));
                }
                _ if call == CALLS => break,
                rest => match write(fd, &rest[..rest.len().min(PIECE)]) {
                    Ok(n) => self.sent += n,
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    Err(Errno::EPIPE) => return Some(is("broken")),
                    Err(error) => return Some(system(error)),
                },
            }
        }
        None
    }
}
