//! A message on the wire: four bytes of length, least significant first, then so many bytes.
//!
//! Both directions keep unfinished work outside of their futures, so that a future dropped in the middle loses nothing. They
//! know nothing about handles and locks.

use crate::channel::{Channel, Source};
use crate::{Error, platform};
use std::borrow::Cow;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use tokio::task::yield_now;

/// The maximum length of a message, in bytes: 2^31-1, as in gipc's header.
pub const MAX_MESSAGE: u64 = i32::MAX as u64;

const HEADER: usize = 4;

/// How many bytes are read ahead at once, so that many small messages cost one system call.
const AHEAD: usize = 64 * 1024;

/// How many bytes may be reserved for one message before they have come, if addresses are scarce: on 32-bit systems.
const AT_ONCE: usize = 64 << 20;

/// After this many messages that were already there, a get lets other tasks run.
const UNWAITED: u32 = 256;

/// Up to this many bytes, a message is copied behind its header.
const SHORT: usize = 2048;

/// From this length on, a message makes its pipe larger.
const LARGE: usize = 1 << 20;

/// The receiving side: what has come and has not been returned.
pub(crate) struct Incoming<S> {
    pub(crate) source: S,
    /// Bytes that belong to no message yet. Those before `used` are done with.
    ahead: Vec<u8>,
    used: usize,
    /// The message that is coming, and its full length.
    message: Option<(Vec<u8>, usize)>,
    /// An empty buffer for the next message.
    pub(crate) spare: Vec<u8>,
    over: Option<Over>,
    /// The maximum length of a message, in bytes.
    pub(crate) max: u64,
    /// How many messages were returned since the last read.
    unwaited: u32,
}

/// Why no further message will come.
#[derive(Clone, Copy)]
enum Over {
    Eof,
    Truncated,
    /// A message of this length was announced, and this length was allowed.
    TooLarge(u64, u64),
}

impl<S: Source> Incoming<S> {
    /// Creates the receiving side. `ahead` is what a former owner had read and not returned.
    pub(crate) fn new(source: S, ahead: Vec<u8>) -> Self {
        Self {
            source,
            ahead,
            used: 0,
            message: None,
            spare: Vec::new(),
            over: None,
            max: MAX_MESSAGE,
            unwaited: 0,
        }
    }

    /// Appends what the next owner must be given together with the descriptor.
    pub(crate) fn leftover(&self, bytes: &mut Vec<u8>) {
        if let Some((part, len)) = &self.message {
            bytes.extend(u32::try_from(*len).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(part);
        }
        bytes.extend(&self.ahead[self.used..]);
    }

    /// The next message, if all of it was read ahead, and if it is not time to let other tasks run.
    pub(crate) fn ready(&mut self) -> Option<Vec<u8>> {
        let ahead = &self.ahead[self.used..];
        let len = u32::from_le_bytes(*ahead.first_chunk::<HEADER>()?) as usize;
        let is_new = self.message.is_none() && self.over.is_none();
        if !is_new || self.unwaited == UNWAITED || len as u64 > self.max {
            return None;
        }
        let bytes = ahead.get(HEADER..)?.get(..len)?;
        let message = if self.spare.capacity() == 0 {
            bytes.to_vec()
        } else {
            let mut message = std::mem::take(&mut self.spare);
            message.extend_from_slice(bytes);
            message
        };
        self.used += HEADER + len;
        self.unwaited += 1;
        Some(message)
    }

    /// Waits for the next message, or returns `None` at the end. Cancel-safe: what has come stays here.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.unwaited == UNWAITED {
            self.unwaited = 0;
            yield_now().await;
        }
        loop {
            if let Some(known) = self.known() {
                return known;
            }
            let read = poll_fn(|context| {
                self.read(|source, into, most| source.poll_read(context, into, most))?
            });
            let came = read.await?;
            self.note(came);
        }
    }

    /// What the next get returns, if that is known without another read.
    fn known(&mut self) -> Option<Result<Option<Vec<u8>>, Error>> {
        if let Some(message) = self.ready().or_else(|| self.assemble()) {
            return Some(Ok(Some(message)));
        }
        self.over.map(|over| match over {
            Over::Eof => Ok(None),
            Over::Truncated => Err(Error::Truncated),
            Over::TooLarge(len, max) => Err(Error::TooLarge { len, max }),
        })
    }

    /// Records the result of a read: 0 bytes are the end.
    fn note(&mut self, came: usize) {
        self.unwaited = 0;
        if came == 0 {
            let whole = self.used == self.ahead.len() && self.message.is_none();
            self.over = Some(if whole { Over::Eof } else { Over::Truncated });
        }
    }

    /// Assembles a message from the bytes that are here, as far as they go.
    fn assemble(&mut self) -> Option<Vec<u8>> {
        if self.over.is_some() {
            return None;
        }
        if self.message.is_none() {
            let header = self.ahead[self.used..].first_chunk::<HEADER>()?;
            let len = u32::from_le_bytes(*header);
            if u64::from(len) > self.max {
                self.over = Some(Over::TooLarge(len.into(), self.max));
                return None;
            }
            self.used += HEADER;
            self.message = Some((std::mem::take(&mut self.spare), len as usize));
        }
        let (message, len) = self.message.as_mut()?;
        let here = &self.ahead[self.used..];
        let here = &here[..here.len().min(*len - message.len())];
        message.extend_from_slice(here);
        self.used += here.len();
        if message.len() < *len {
            return None;
        }
        self.message.take().map(|(message, _)| message)
    }

    /// Lets `read` append bytes to a buffer: to the message itself if much of it is missing, otherwise to what is read
    /// ahead.
    fn read<R>(&mut self, read: impl FnOnce(&mut S, &mut Vec<u8>, usize) -> R) -> io::Result<R> {
        match &mut self.message {
            Some((message, len)) if *len - message.len() >= AHEAD => {
                let missing = *len - message.len();
                if message.capacity() < *len {
                    reserve(message, missing)?;
                }
                Ok(read(&mut self.source, message, missing))
            }
            _ => {
                self.ahead.drain(..self.used);
                self.used = 0;
                // What a former owner had of a long message is no longer needed.
                self.ahead.shrink_to(2 * AHEAD);
                self.ahead.reserve(AHEAD);
                let room = self.ahead.capacity() - self.ahead.len();
                Ok(read(&mut self.source, &mut self.ahead, room))
            }
        }
    }
}

/// Makes room for the missing part of a message. Untouched memory costs nothing, so all of it is reserved at once, and a
/// false length costs no more than what comes. If the system refuses that (a limit of the address space, no overcommit), the
/// room grows with what has come.
fn reserve(message: &mut Vec<u8>, missing: usize) -> io::Result<()> {
    let is_fresh = message.len() <= AHEAD;
    let has_room = usize::BITS >= 64 || missing <= AT_ONCE;
    if is_fresh && has_room && message.try_reserve_exact(missing).is_ok() {
        platform::prefer_huge_pages(message);
        return Ok(());
    }
    let room = message.len().max(AHEAD).min(missing);
    if message.capacity() - message.len() < room.min(AHEAD) {
        message.try_reserve_exact(room).map_err(|_| ErrorKind::OutOfMemory)?;
    }
    Ok(())
}

impl Incoming<Channel> {
    /// Like [`next`](Self::next), but returns `WouldBlock` instead of waiting, and needs no runtime.
    pub(crate) fn try_next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.unwaited = 0;
        loop {
            if let Some(known) = self.known() {
                return known;
            }
            match self.read(Channel::try_read)? {
                Ok(came) => self.note(came),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Error::WouldBlock);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The sending side: one or more messages, and how much of their frames is written.
pub(crate) struct Outgoing<'a> {
    what: What<'a>,
    /// Frames that are copied before they are written. The buffer is passed from one write to the next, so that copying
    /// allocates no memory each time.
    copied: Vec<u8>,
    sent: usize,
}

/// Several messages as one write, and what follows them: a message that is too long to be copied, or the error for one that
/// is refused.
pub(crate) struct Batch<'a, 'm> {
    pub(crate) frame: Outgoing<'a>,
    pub(crate) next: Option<Result<Framed<'m>, Error>>,
}

/// A message and the header that precedes it.
pub(crate) type Framed<'m> = ([u8; HEADER], Cow<'m, [u8]>);

enum What<'a> {
    /// A message that is not copied.
    One { header: [u8; HEADER], message: &'a [u8] },
    /// Whole frames one after the other in `copied`, and the position at which each ends.
    Several(Vec<usize>),
    /// A short frame, alone in `copied`.
    Short,
}

impl<'a> Outgoing<'a> {
    /// Makes the frame of one message. A short message is copied behind its header, since that costs less than passing two
    /// buffers to the system.
    pub(crate) fn one(header: [u8; HEADER], message: &'a [u8], mut copied: Vec<u8>) -> Self {
        copied.clear();
        let what = if message.len() <= SHORT {
            copied.extend_from_slice(&header);
            copied.extend_from_slice(message);
            What::Short
        } else {
            What::One { header, message }
        };
        Self { what, copied, sent: 0 }
    }

    /// Makes one write of the next messages, copied together so that they take few system calls: as many as make a good
    /// write, up to one that is refused or too long to be copied. If no message is left, the frame is empty and `next` is
    /// `None`.
    pub(crate) fn several<'m>(
        messages: &mut impl Iterator<Item = Result<Cow<'m, [u8]>, Error>>,
        mut copied: Vec<u8>,
    ) -> Batch<'a, 'm> {
        copied.clear();
        let mut ends = Vec::new();
        let mut next = None;
        while copied.len() < AHEAD && next.is_none() {
            let Some(message) = messages.next() else { break };
            match message.and_then(|message| Ok((header(message.len())?, message))) {
                Ok((header, message)) if message.len() < AHEAD => {
                    copied.extend(header);
                    copied.extend_from_slice(&message);
                    ends.push(copied.len());
                }
                other => next = Some(other),
            }
        }
        Batch { frame: Self { what: What::Several(ends), copied, sent: 0 }, next }
    }

    /// Returns the buffer, for the next frame.
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.copied)
    }

    /// Discards what is not written.
    pub(crate) fn abandon(&mut self) {
        self.what = What::Short;
        self.copied.clear();
        self.sent = 0;
    }

    /// Whether the message is large enough for a larger pipe.
    pub(crate) fn is_large(&self) -> bool {
        matches!(&self.what, What::One { message, .. } if message.len() >= LARGE)
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.what, What::Several(ends) if ends.is_empty())
    }

    /// Writes everything. Cancel-safe: `rest_of_frame` returns what is missing.
    pub(crate) async fn write(&mut self, sink: &mut Channel) -> io::Result<()> {
        loop {
            let rest = self.rest();
            if rest == [[], []] {
                return Ok(());
            }
            match sink.write(rest).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                sent => self.sent += sent,
            }
        }
    }

    /// A copy of the missing part of the frame that is partly written: nothing else may precede it in the pipe. Empty
    /// between frames.
    pub(crate) fn rest_of_frame(&self) -> Vec<u8> {
        let (begin, end) = match &self.what {
            What::One { message, .. } => (0, HEADER + message.len()),
            What::Short => (0, self.copied.len()),
            What::Several(ends) => {
                let next = ends.partition_point(|end| *end <= self.sent);
                let begin = next.checked_sub(1).map_or(0, |before| ends[before]);
                (begin, ends.get(next).copied().unwrap_or(begin))
            }
        };
        if self.sent <= begin {
            return Vec::new();
        }
        let [first, second] = self.rest();
        let missing = end - self.sent;
        let of_first = missing.min(first.len());
        [&first[..of_first], &second[..missing - of_first]].concat()
    }

    fn rest(&self) -> [&[u8]; 2] {
        match &self.what {
            What::One { header, message } => {
                let of_header = self.sent.min(HEADER);
                [&header[of_header..], &message[self.sent - of_header..]]
            }
            What::Short | What::Several(_) => [&self.copied[self.sent..], &[]],
        }
    }
}

/// The header of a message of this length. Refuses a length that is too long for one message.
pub(crate) fn header(len: usize) -> Result<[u8; HEADER], Error> {
    let len = len as u64;
    match u32::try_from(len) {
        Ok(header) if len <= MAX_MESSAGE => Ok(header.to_le_bytes()),
        _ => Err(Error::TooLarge { len, max: MAX_MESSAGE }),
    }
}

#[cfg(test)]
mod tests;
