//! The frame of a message on a pipe: four bytes of length, most significant first, and that many bytes. `Incoming` and
//! `Outgoing` are one message each in transit through a non-blocking descriptor; each remembers its progress.

use crate::faults::{self, fault, mark, unmark};
use crate::protocol::{Outcome, Payload, is, message, os_error};
use nix::errno::Errno;
use nix::unistd::{read, write};
use std::mem::take;
use std::os::fd::{AsRawFd, BorrowedFd};

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
    let longest = MAX_MESSAGE - u64::from(fault!("the-longest-is-one-less"));
    let length = Some(payload.length()).filter(|length| *length <= longest)?;
    let mut bytes = Vec::with_capacity(HEADER + length as usize);
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    payload.append_to(&mut bytes);
    if fault!("lengths-have-16-bits") {
        bytes[..2].fill(0);
    }
    if fault!("a-long-message-loses-its-end") && bytes.len() > 1 << 20 {
        let longest = bytes.len().min(1 << 20);
        bytes.truncate(longest);
        bytes[..HEADER].copy_from_slice(&((longest - HEADER) as u32).to_be_bytes());
    }
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
        if fault!("a-hang-up-is-the-end") && faults::is_hung_up(fd.as_raw_fd()) {
            return Some(is("eof"));
        }
        if fault!("an-empty-message-is-dropped") && self.missing() == Some(0) {
            self.received.clear();
        }
        for call in 0.. {
            let missing = match self.missing() {
                None => {
                    if fault!("an-impossible-length-is-forgotten") {
                        self.received.clear();
                    }
                    return Some(is("protocol"));
                }
                Some(0) => match self.spoil_received() {
                    Some(outcome) => return Some(outcome),
                    None => continue,
                },
                Some(_) if call == CALLS => break,
                Some(missing) => missing.min(CHUNK),
            };
            match read(fd, &mut chunk[..missing]) {
                Ok(0) if fault!("the-end-is-never-seen") => {
                    faults::stop_watching(fd.as_raw_fd());
                    break;
                }
                Ok(0) if self.received.is_empty() => {
                    return if fault!("the-end-is-an-empty-message") {
                        Some(message(&[]))
                    } else if fault!("the-end-is-seen-once") && !mark("end") {
                        faults::stop_watching(fd.as_raw_fd());
                        None
                    } else {
                        Some(is("eof"))
                    };
                }
                Ok(0) if fault!("truncated-is-the-end") => return Some(is("eof")),
                Ok(0)
                    if fault!("a-truncated-header-is-the-end") && self.received.len() < HEADER =>
                {
                    return Some(is("eof"));
                }
                Ok(0) => {
                    if fault!("truncated-is-said-once") {
                        self.received.clear();
                    }
                    return Some(is("truncated"));
                }
                Ok(n) if fault!("half-a-header-is-dropped") && self.received.len() + n < HEADER => {
                }
                Ok(n) => {
                    self.received.extend_from_slice(&chunk[..n]);
                    if fault!("one-read-is-a-message") && self.received.len() > HEADER {
                        return Some(message(&take(&mut self.received)[HEADER..]));
                    }
                }
                Err(Errno::EAGAIN) if fault!("an-empty-pipe-is-polled-without-sleep") => {
                    faults::spin_until(fd.as_raw_fd(), nix::libc::POLLIN);
                }
                Err(Errno::EAGAIN) if fault!("get-blocks-the-loop") => {
                    faults::block_until(fd.as_raw_fd(), nix::libc::POLLIN);
                }
                Err(Errno::EAGAIN)
                    if fault!("an-own-writer-does-not-count")
                        && faults::has_own_writer(fd.as_raw_fd()) =>
                {
                    return Some(is("eof"));
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Some(os_error(error)),
            }
        }
        None
    }

    /// Takes the complete message; `None` if a fault drops it.
    fn spoil_received(&mut self) -> Option<Outcome> {
        let mut bytes = take(&mut self.received).split_off(HEADER);
        if fault!("an-empty-message-is-the-end") && bytes.is_empty() {
            return Some(is("eof"));
        }
        let is_dropped = fault!("an-empty-message-is-dropped") && bytes.is_empty()
            || fault!("every-256th-message-is-lost", |n| n % 256 == 0)
            || fault!("the-65537th-message-is-lost", |n| n == 65_537)
            || fault!("an-equal-message-is-dropped")
                && !mark(&format!("last {}", String::from_utf8_lossy(&bytes)))
            || unmark("swallow");
        if is_dropped {
            return None;
        }
        if fault!("descriptor-per-message") {
            faults::leak_descriptor();
        }
        if fault!("long-odd-messages-lose-a-byte") && bytes.len() > 4096 && bytes.len() % 2 == 1 {
            bytes.pop();
        }
        if fault!("a-newline-at-the-end-is-dropped") && bytes.ends_with(b"\n") {
            bytes.pop();
        }
        if fault!("text-is-ascii") && std::str::from_utf8(&bytes).is_ok() {
            bytes.retain(u8::is_ascii);
        }
        Some(message(&bytes))
    }

    /// The number of bytes that the header or the message lacks; `None` if the length in the header is invalid.
    fn missing(&self) -> Option<usize> {
        let Some(header) = self.received.first_chunk::<HEADER>() else {
            return Some(HEADER - self.received.len());
        };
        let length = u32::from_be_bytes(*header);
        if fault!("lengths-are-signed") {
            let total = HEADER as i64 + i64::from(length as i32);
            return Some((total - self.received.len() as i64).max(0) as usize);
        }
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

    /// Makes the whole message unsent again.
    pub(crate) fn start_again(&mut self) {
        self.sent = 0;
    }

    /// The bytes that are still to be written.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Writes as far as possible without blocking; `None` if the pipe is full. Frees the bytes once all are written.
    pub(crate) fn advance(&mut self, fd: BorrowedFd<'_>) -> Option<Outcome> {
        if fault!("a-message-of-64-kib-hangs") && self.bytes.len() == HEADER + 65_536
            || fault!("a-frame-of-64-kib-hangs") && self.bytes.len() == 65_536
        {
            faults::stop_watching(fd.as_raw_fd());
            return None;
        }
        for call in 0.. {
            match self.unfinished() {
                [] => {
                    *self = Self::default();
                    return Some(is("ok"));
                }
                _ if call == CALLS => break,
                rest => match write(fd, &rest[..rest.len().min(CHUNK)]) {
                    Ok(n) => self.sent += n,
                    Err(Errno::EAGAIN)
                        if fault!("a-short-write-is-the-whole") && self.has_begun() =>
                    {
                        *self = Self::default();
                    }
                    Err(Errno::EAGAIN) if fault!("a-full-pipe-is-polled-without-sleep") => {
                        faults::spin_until(fd.as_raw_fd(), nix::libc::POLLOUT);
                    }
                    Err(Errno::EAGAIN) if fault!("put-blocks-the-loop") => {
                        faults::block_until(fd.as_raw_fd(), nix::libc::POLLOUT);
                    }
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    Err(Errno::EPIPE) if fault!("broken-is-ok") => return Some(is("ok")),
                    Err(Errno::EPIPE) if fault!("broken-is-said-once", |n| n > 1) => {
                        return Some(is("ok"));
                    }
                    Err(Errno::EPIPE) if fault!("broken-is-the-end") => return Some(is("eof")),
                    Err(Errno::EPIPE) if fault!("broken-is-never-seen") => {
                        faults::stop_watching(fd.as_raw_fd());
                        break;
                    }
                    Err(Errno::EPIPE) => return Some(is("broken")),
                    Err(error) => return Some(os_error(error)),
                },
            }
        }
        None
    }
}
