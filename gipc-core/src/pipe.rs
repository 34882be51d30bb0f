//! One direction: messages go in at the writer and come out at the reader, whole and in order.
//!
//! A handle is a cheap clone of one shared end. It does not know how it travels to a child (`handoff` does).

use crate::end::{End, InUse, Reserved};
use crate::frame::{Incoming, Outgoing, check_length};
use crate::messages::Messages;
use crate::{Codec, Error, Raw};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::runtime;
use tokio::time::timeout;

/// Makes a pipe for bytes; [`Reader::with`] and [`Writer::with`] make it one for values.
///
/// # Errors
///
/// What the system says, for instance that there are no descriptors left; and `Other` if no tokio runtime with its
/// I/O enabled is running here.
pub fn pipe() -> io::Result<(Reader, Writer)> {
    needs_runtime()?;
    let (sender, receiver) = pipe::pipe()?;
    Ok((Reader::new(receiver, Vec::new()), Writer::new(sender)))
}

/// The end that gets. Clones are the same handle, for other tasks of this process; the descriptor is closed with
/// the last one, or by [`close`](Self::close).
pub struct Reader<C = Raw> {
    end: Arc<End<Incoming<pipe::Receiver>>>,
    codec: PhantomData<fn() -> C>,
}

/// The end that puts. Clones are the same handle, for other tasks of this process; the descriptor is closed with
/// the last one, or by [`close`](Self::close).
pub struct Writer<C = Raw> {
    end: Arc<End<Outlet>>,
    codec: PhantomData<fn() -> C>,
}

/// What writers share.
pub(crate) struct Outlet {
    pub(crate) sink: pipe::Sender,
    /// Where short messages are put together.
    room: Vec<u8>,
}

impl Reader {
    fn new(receiver: pipe::Receiver, ahead: Vec<u8>) -> Self {
        let descriptor = receiver.as_raw_fd();
        Self { end: End::new(Incoming::new(receiver, ahead), descriptor), codec: PhantomData }
    }

    /// Takes over a descriptor, and what its former owner had read ahead.
    pub(crate) fn from_descriptor(descriptor: OwnedFd, ahead: Vec<u8>) -> io::Result<Self> {
        Ok(Self::new(pipe::Receiver::from_owned_fd(descriptor)?, ahead))
    }
}

impl<C: Codec> Reader<C> {
    /// The same handle with another codec: `r.with::<Postcard<Job>>()`.
    #[must_use]
    pub fn with<D: Codec>(&self) -> Reader<D> {
        Reader { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Waits for the next message; `None` is the end: every writer is closed and no message is left. Each message
    /// goes to exactly one get, in the order in which the gets were called.
    ///
    /// Cancel-safe: a get that is dropped takes nothing with it.
    ///
    /// # Errors
    ///
    /// `Closed`; `Truncated` and `TooLarge`, which stay; `Decode`; `Locked` while the handle is just being given away.
    pub async fn get(&self) -> Result<Option<C::Got>, Error> {
        // What was read ahead costs one short lock; all else is a turn.
        let message = match self.end.at_once(Incoming::ready) {
            Some(message) => Some(message),
            None => self.end.enter().await?.next().await?,
        };
        message.map(C::decode).transpose().map_err(Error::Decode)
    }

    /// As [`get`](Self::get), for at most so long. Half a message that came in time is not lost: the next get goes on
    /// with it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and `Timeout`.
    pub async fn get_within(&self, limit: Duration) -> Result<Option<C::Got>, Error> {
        timeout(limit, self.get()).await.unwrap_or(Err(Error::Timeout))
    }

    /// All messages to the end, as a stream; it ends after the first error that stays. Cancel-safe.
    #[must_use]
    pub fn messages(&self) -> Messages<C> {
        Messages::new(self.clone())
    }

    /// Closes the descriptor, for all clones.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a get waits, and nothing has happened.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// The number of the descriptor in this process, while it has it: to be looked at, never to be used.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    pub(crate) fn reserve(&self) -> Result<Reserved<Incoming<pipe::Receiver>>, Error> {
        self.end.reserve()
    }
}

impl Writer {
    fn new(sender: pipe::Sender) -> Self {
        let descriptor = sender.as_raw_fd();
        let body = Outlet { sink: sender, room: Vec::new() };
        Self { end: End::new(body, descriptor), codec: PhantomData }
    }

    /// Takes over a descriptor.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(pipe::Sender::from_owned_fd(descriptor)?))
    }
}

impl<C: Codec> Writer<C> {
    /// The same handle with another codec: `w.with::<Postcard<Job>>()`.
    #[must_use]
    pub fn with<D: Codec>(&self) -> Writer<D> {
        Writer { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Writes one message, and waits while the pipe is full. Messages of several tasks never mix; they go in the
    /// order in which the puts were called.
    ///
    /// Cancel-safe: a put that is dropped before its first byte is withdrawn; after that it is finished in the
    /// background, before any other put, because half a message would spoil what follows. Until then the handle
    /// is in use. If the process or its runtime ends first, the reader sees `Truncated`.
    ///
    /// # Errors
    ///
    /// `Closed`; `TooLarge` and `Encode` before anything is written; `Broken` if there is no reader any more; `Locked`
    /// while the handle is just being given away.
    pub async fn put(&self, message: &C::Put) -> Result<(), Error> {
        let bytes = C::encode(message).map_err(Error::Encode)?;
        check_length(bytes.len())?;
        let mut turn = self.end.enter().await?;
        let frame = Outgoing::one(&bytes, std::mem::take(&mut turn.room))?;
        Put { turn: Some(turn), frame: Some(frame) }.finish().await.map(drop)
    }

    /// As [`put`](Self::put), for at most so long. What happens to a message that is half written then is said there.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), and `Timeout`.
    pub async fn put_within(&self, message: &C::Put, limit: Duration) -> Result<(), Error> {
        timeout(limit, self.put(message)).await.unwrap_or(Err(Error::Timeout))
    }

    /// Writes many messages in few system calls, with no message of another task between them.
    ///
    /// Cancel-safe, as [`put`](Self::put): messages that were not begun are withdrawn.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put). Some of the messages may have been written, from the first on.
    pub async fn put_all<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m C::Put>,
    ) -> Result<(), Error>
    where
        C::Put: 'm,
    {
        let mut messages =
            messages.into_iter().map(|message| C::encode(message).map_err(Error::Encode));
        let mut turn = self.end.enter().await?;
        loop {
            let frame = Outgoing::several(&mut messages, std::mem::take(&mut turn.room))?;
            if frame.is_empty() {
                return Ok(());
            }
            turn = Put { turn: Some(turn), frame: Some(frame) }.finish().await?;
        }
    }

    /// Closes the descriptor, for all clones.
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a put waits or is being finished, and nothing
    /// has happened.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// The number of the descriptor in this process, while it has it: to be looked at, never to be used.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    pub(crate) fn reserve(&self) -> Result<Reserved<Outlet>, Error> {
        self.end.reserve()
    }
}

/// A put under way, which does not leave half a message behind.
struct Put<'e, 'm> {
    turn: Option<InUse<'e, Outlet>>,
    frame: Option<Outgoing<'m>>,
}

impl<'e> Put<'e, '_> {
    /// Writes all of it, and gives the turn back.
    async fn finish(&mut self) -> Result<InUse<'e, Outlet>, Error> {
        let (Some(turn), Some(frame)) = (&mut self.turn, &mut self.frame) else {
            return Err(Error::Closed);
        };
        let written = frame.write(&mut turn.sink).await;
        // There is nothing left to finish, or nobody to finish it for.
        let (Some(mut turn), Some(frame)) = (self.turn.take(), self.frame.take()) else {
            return Err(Error::Closed);
        };
        turn.room = frame.into_room();
        match written {
            Ok(()) => Ok(turn),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Error::Broken),
            Err(error) => Err(Error::Io(error)),
        }
    }
}

impl Drop for Put<'_, '_> {
    fn drop(&mut self) {
        let (Some(turn), Some(frame)) = (self.turn.take(), self.frame.take()) else { return };
        let rest = frame.rest_of_frame();
        if let (false, Ok(runtime)) = (rest.is_empty(), runtime::Handle::try_current()) {
            // The turn goes along: whoever puts next waits behind the rest of this message.
            let mut turn = turn.detach();
            runtime.spawn(async move {
                if let Some(outlet) = turn.body() {
                    // If nobody reads any more, the next put says so.
                    let _ = outlet.sink.write_all(&rest).await;
                }
            });
        }
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

/// Says in words what tokio would say by a panic.
fn needs_runtime() -> io::Result<()> {
    runtime::Handle::try_current().map(drop).map_err(io::Error::other)
}
