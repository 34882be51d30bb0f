//! One direction: messages go in at the writer and come out at the reader, whole and in order.
//!
//! A handle is a cheap clone of one shared end. It does not know how it travels to a child (`handoff` does).

use crate::channel::Channel;
use crate::end::{End, Held};
use crate::frame::{Batch, Incoming, MAX_MESSAGE, Outgoing, check_length};
use crate::messages::Messages;
use crate::outlet::{Outlet, Turn};
use crate::{Codec, Error, Message, Raw, platform};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Makes a pipe for bytes; [`pipe_of`] makes one for values.
///
/// Needs no runtime. An end registers with the runtime of its first `get` or `put`. It only makes progress while that runtime
/// runs; after that runtime is dropped, calls fail with `Io`. Before the first call an end can be moved to another thread or
/// given to a child.
///
/// On macOS an end can be inherited by a program that another thread starts in the moment between making it and marking
/// it; on Linux and the BSDs it is made marked.
///
/// # Errors
///
/// What the system says, for instance that there are no descriptors left; then nothing is left over.
pub fn pipe() -> io::Result<(Reader, Writer)> {
    pipe_of()
}

/// Makes a pipe for messages of a codec: `pipe_of::<Postcard<Job>>()`. Otherwise as [`pipe`].
///
/// # Errors
///
/// As [`pipe`].
pub fn pipe_of<C: Codec>() -> io::Result<(Reader<C>, Writer<C>)> {
    let (reader, writer) = platform::pipe()?;
    Ok((Reader::from(reader).with(), Writer::from(writer).with()))
}

/// The receiving end of a pipe. Clones are the same handle, for other tasks of this process; the descriptor is closed with
/// the last one, or by [`close`](Self::close).
pub struct Reader<C = Raw> {
    end: Arc<End<Inlet>>,
    codec: PhantomData<fn() -> C>,
}

/// The sending end of a pipe. Clones are the same handle, for other tasks of this process; the descriptor is closed with
/// the last one, or by [`close`](Self::close).
pub struct Writer<C = Raw> {
    end: Arc<End<Outlet>>,
    codec: PhantomData<fn() -> C>,
}

/// What readers share.
pub(crate) type Inlet = Incoming<Channel>;

/// Takes over a descriptor, in which each message has to stand as four bytes of length, the least significant first, and then
/// as many bytes. It must be one that can be waited for: a pipe, a FIFO, or a stream socket; with another, `get` fails with `Io`.
impl From<OwnedFd> for Reader {
    fn from(descriptor: OwnedFd) -> Self {
        Self::from_descriptor(descriptor, Vec::new())
    }
}

/// Takes over a descriptor, into which each message is written as four bytes of length, the least significant first, and then
/// as many bytes. It must be one that can be waited for: a pipe, a FIFO, or a stream socket; with another, `put` fails with `Io`.
impl From<OwnedFd> for Writer {
    fn from(descriptor: OwnedFd) -> Self {
        Self::from_descriptor(descriptor)
    }
}

impl Reader {
    /// Takes over a descriptor, and what its former owner had read ahead.
    pub(crate) fn from_descriptor(descriptor: OwnedFd, ahead: Vec<u8>) -> Self {
        let number = descriptor.as_raw_fd();
        let body = Incoming::new(Channel::for_reading(descriptor), ahead);
        Self { end: End::new(body, number), codec: PhantomData }
    }
}

impl Reader {
    /// Waits for the next message and puts its bytes into `buffer`, instead of what is there; returns how many, or `None` at the
    /// end. A buffer that is used again costs large messages less than half of the time.
    ///
    /// Cancel-safe: nothing of a message is lost, but the memory of `buffer` then stays with the handle, and the buffer is
    /// left empty.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the buffer is empty then.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub async fn get_into(&self, buffer: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        buffer.clear();
        let mut incoming = self.end.enter().await?;
        incoming.spare = std::mem::take(buffer);
        let got = incoming.next().await;
        *buffer = std::mem::take(&mut incoming.spare);
        Ok(got?.map(|message| {
            *buffer = message;
            buffer.len()
        }))
    }
}

impl<C: Codec> Reader<C> {
    /// The same handle with another codec: `r.with::<Postcard<Job>>()`.
    #[must_use]
    pub fn with<D: Codec>(&self) -> Reader<D> {
        Reader { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Waits for the next message; `None` is the end: every writer is closed and no message is left. Each
    /// message goes to exactly one get, in the order in which the gets were first polled.
    ///
    /// Cancel-safe: a get that is dropped takes nothing with it.
    ///
    /// # Errors
    ///
    /// `Closed`; `Truncated` and `TooLarge`, which stay; `Decode`; `Io`.
    ///
    /// # Panics
    ///
    /// If the runtime here has no I/O enabled.
    pub async fn get(&self) -> Result<Option<C::Got>, Error> {
        // What was read ahead costs one short lock; all else is a turn.
        let message = match self.end.at_once(Incoming::ready) {
            Some(message) => Some(message),
            None => self.end.enter().await?.next().await?,
        };
        message.map(C::decode).transpose().map_err(Error::Decode)
    }

    /// Like [`get`](Self::get), but fails with `Timeout` after `limit`. Time spent queued behind other tasks counts. A part of a
    /// message that came in time is not lost: the next get continues it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and `Timeout`.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get), and if the runtime here has no time enabled.
    pub async fn get_within(&self, limit: Duration) -> Result<Option<C::Got>, Error> {
        match timeout(limit, self.get()).await {
            Ok(got) => got,
            // The get may have been stopped before it looked, for instance to let other tasks run.
            Err(_) => match self.try_get() {
                Err(Error::WouldBlock | Error::Locked) => Err(Error::Timeout),
                got => got,
            },
        }
    }

    /// Takes the next message if all of it is there; `None` is the end, as in [`get`](Self::get). Does not wait, and needs
    /// no runtime.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); `WouldBlock` if there is no whole message now; `Locked` while a get of another task waits.
    pub fn try_get(&self) -> Result<Option<C::Got>, Error> {
        let message = self.reserve()?.body_mut().try_next()?;
        message.map(C::decode).transpose().map_err(Error::Decode)
    }

    /// All messages to the end, as a stream; it ends after the first error but `Decode`. Cancel-safe.
    ///
    /// A stream that was polled and found nothing is a get that waits: it keeps its place before the gets of other
    /// clones, and the handle is in use, until it is polled to its message or dropped.
    #[must_use]
    pub fn messages(&self) -> Messages<C> {
        Messages::new(self.clone())
    }

    /// Refuses messages longer than so many bytes from now on, instead of those longer than
    /// [`MAX_MESSAGE`]: `get` says `TooLarge`, before it has taken any memory for them, and what was
    /// refused stays so. It is this process's own rule and does not go with the handle to a child.
    ///
    /// # Errors
    ///
    /// `Closed`; `Locked` while a get waits.
    pub fn limit(&self, bytes: u64) -> Result<(), Error> {
        self.reserve().map(|mut end| end.body_mut().max = bytes.min(MAX_MESSAGE))
    }

    /// Closes the descriptor, for all clones. Does not wait.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a get waits, and nothing has happened
    ///.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// Waits until every get before it, of whatever task, is done, and closes then. Cancel-safe: dropped before that, it closes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before.
    pub async fn close_when_idle(&self) -> Result<(), Error> {
        drop(self.end.enter().await?.detach().commit());
        Ok(())
    }

    /// The raw descriptor while it is open, for diagnostics. Do not read, write or close it.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    /// Takes the descriptor away from all clones, with the bytes that were read from it and not returned by a get: they come
    /// before all that can still be read. The descriptor is non-blocking once it was used.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn take_descriptor(&self) -> Result<(OwnedFd, Vec<u8>), Error> {
        let incoming = self.reserve()?.commit();
        let mut ahead = Vec::new();
        incoming.leftover(&mut ahead);
        Ok((incoming.source.into_descriptor(), ahead))
    }

    pub(crate) fn reserve(&self) -> Result<Held<Inlet>, Error> {
        self.end.reserve()
    }
}

impl Writer {
    /// Takes over a descriptor.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        let number = descriptor.as_raw_fd();
        Self { end: End::new(Outlet::new(descriptor), number), codec: PhantomData }
    }
}

impl<C: Codec> Writer<C> {
    /// The same handle with another codec: `w.with::<Postcard<Job>>()`.
    #[must_use]
    pub fn with<D: Codec>(&self) -> Writer<D> {
        Writer { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Writes one message, and waits while the pipe is full. Messages of several tasks never mix; they go
    /// in the order in which the puts were first polled. When it returns the message is in the pipe.
    ///
    /// Cancel-safe: a put that is dropped before its first byte is withdrawn; after that its rest is copied, which takes
    /// as long as it is long, and written in the background, before any other put, because half a message would spoil
    /// what follows. Until then the handle is in use. Where no runtime is there to do it, or it ends, the
    /// next put writes the rest first; if there is none, the reader sees `Truncated`.
    ///
    /// # Errors
    ///
    /// `Closed`; `TooLarge` and `Encode` before anything is written; `Broken` if there is no reader any
    /// more; `Io`, and then the next put goes on where this one was.
    ///
    /// # Panics
    ///
    /// If the runtime here has no I/O enabled.
    pub async fn put(&self, message: impl Message<C::Put>) -> Result<(), Error> {
        self.put_noting(message.as_put(), &AtomicBool::new(false)).await
    }

    /// Notes in `left_rest` whether it was dropped or failed in the middle of its message.
    async fn put_noting(&self, message: &C::Put, left_rest: &AtomicBool) -> Result<(), Error> {
        let bytes = C::encode(message).map_err(Error::Encode)?;
        check_length(bytes.len())?;
        let mut turn = Turn::enter(&self.end).await?;
        let frame = Outgoing::one(&bytes, turn.take_scratch())?;
        turn.write(frame, left_rest).await
    }

    /// Like [`put`](Self::put), but fails after `limit`. Time spent queued behind other tasks counts. Cancel-safe in the same way.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); `Timeout` if the message is withdrawn, and can be put again; `StillSending` if a part of it was
    /// written, so that the rest follows in the background: to put it again would send it twice. Then [`abort`](Self::abort)
    /// gives up a reader that does not read.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put), and if the runtime here has no time enabled.
    pub async fn put_within(
        &self,
        message: impl Message<C::Put>,
        limit: Duration,
    ) -> Result<(), Error> {
        let left_rest = AtomicBool::new(false);
        let put = timeout(limit, self.put_noting(message.as_put(), &left_rest)).await;
        put.unwrap_or_else(|_| {
            let is_begun = left_rest.load(Ordering::Relaxed);
            Err(if is_begun { Error::StillSending } else { Error::Timeout })
        })
    }

    /// Writes many messages in few system calls, with no message of another task between them. They are encoded on the
    /// way, while the handle is in use.
    ///
    /// Cancel-safe, as [`put`](Self::put): messages that were not begun are withdrawn.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put). After `Encode` and `TooLarge` all messages before the refused one are written, and none behind
    /// it; after the others some may be, from the first on.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub async fn put_all<'m, M>(
        &self,
        messages: impl IntoIterator<Item = &'m M>,
    ) -> Result<(), Error>
    where
        M: Message<C::Put> + ?Sized + 'm,
        C::Put: 'm,
    {
        let messages = messages.into_iter().fuse();
        let mut messages =
            messages.map(|message| C::encode(message.as_put()).map_err(Error::Encode));
        let mut turn = Turn::enter(&self.end).await?;
        let left_rest = AtomicBool::new(false);
        loop {
            let Batch { frame, next } = Outgoing::several(&mut messages, turn.take_scratch());
            let is_last = frame.is_empty() && next.is_none();
            turn.write(frame, &left_rest).await?;
            if let Some(long) = next {
                let long = long?;
                let frame = Outgoing::one(&long, turn.take_scratch())?;
                turn.write(frame, &left_rest).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Closes the descriptor, for all clones. Does not wait: what was put is in the pipe.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a put waits or is being finished, and
    /// nothing has happened.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// Waits until every put before it, of whatever task, is done, and closes then. Cancel-safe: dropped before that, it closes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before. `Broken` if the rest of a put that was given up could not be written:
    /// it is closed all the same. `Io`, and then it is not.
    ///
    /// # Panics
    ///
    /// If the runtime here has no I/O enabled and there is such a rest.
    pub async fn close_when_idle(&self) -> Result<(), Error> {
        Turn::close(&self.end).await
    }

    /// Closes at once, for all clones, even in the middle of a message: the reader then sees `Truncated`. Puts that wait, and
    /// the one that is under way, say `Closed`. The descriptor is closed when that last one was polled or dropped.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before.
    pub fn abort(&self) -> Result<(), Error> {
        if self.end.abort() { Ok(()) } else { Err(Error::Closed) }
    }

    /// The raw descriptor while it is open, for diagnostics. Do not read, write or close it.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    /// Takes the descriptor away from all clones. It is non-blocking once it was used.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn take_descriptor(&self) -> Result<OwnedFd, Error> {
        Ok(self.reserve()?.commit().sink.into_descriptor())
    }

    /// Reserves the writer, if it has no frame unfinished.
    pub(crate) fn reserve(&self) -> Result<Held<Outlet>, Error> {
        let held = self.end.reserve()?;
        if held.body().has_rest() { Err(Error::Locked) } else { Ok(held) }
    }
}

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        Self { end: Arc::clone(&self.end), codec: PhantomData }
    }
}

impl<C> Clone for Writer<C> {
    fn clone(&self) -> Self {
        Self { end: Arc::clone(&self.end), codec: PhantomData }
    }
}

impl<C> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("descriptor", &self.end.descriptor()).finish()
    }
}

impl<C> fmt::Debug for Writer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("descriptor", &self.end.descriptor()).finish()
    }
}
