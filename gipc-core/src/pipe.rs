//! One direction: messages go in at the writer and come out at the reader, whole and in order.
//!
//! A handle is a cheap clone of one shared end. It does not know how it travels to a child (`handoff` does).

use crate::Error;
use crate::end::{End, InUse, Reserved};
use crate::frame::{Incoming, Outgoing};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::runtime;

/// Makes a pipe.
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
#[derive(Clone)]
pub struct Reader {
    end: Arc<End<Incoming<pipe::Receiver>>>,
}

/// The end that puts. Clones are the same handle, for other tasks of this process; the descriptor is closed with
/// the last one, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Writer {
    end: Arc<End<pipe::Sender>>,
}

impl Reader {
    fn new(receiver: pipe::Receiver, ahead: Vec<u8>) -> Self {
        let descriptor = receiver.as_raw_fd();
        Self { end: End::new(Incoming::new(receiver, ahead), descriptor) }
    }

    /// Takes over a descriptor, and what its former owner had read ahead.
    pub(crate) fn from_descriptor(descriptor: OwnedFd, ahead: Vec<u8>) -> io::Result<Self> {
        Ok(Self::new(pipe::Receiver::from_owned_fd(descriptor)?, ahead))
    }

    /// Waits for the next message; `None` is the end: every writer is closed and no message is left. Each message
    /// goes to exactly one get, in the order in which the gets were called.
    ///
    /// Cancel-safe: a get that is dropped takes nothing with it.
    ///
    /// # Errors
    ///
    /// `Closed`; `Truncated` and `TooLarge`, which stay; `Locked` while the handle is just being given away.
    pub async fn get(&self) -> Result<Option<Vec<u8>>, Error> {
        self.end.enter().await?.next().await
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
        Self { end: End::new(sender, descriptor) }
    }

    /// Takes over a descriptor.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(pipe::Sender::from_owned_fd(descriptor)?))
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
    /// `Closed`; `TooLarge`; `Broken` if there is no reader any more; `Locked` while the handle is just being given
    /// away.
    pub async fn put(&self, message: &[u8]) -> Result<(), Error> {
        let frame = Outgoing::new(message)?;
        let mut put = Put { turn: Some(self.end.enter().await?), frame };
        put.finish().await
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

    pub(crate) fn reserve(&self) -> Result<Reserved<pipe::Sender>, Error> {
        self.end.reserve()
    }
}

/// A put under way, which does not leave half a message behind.
struct Put<'a> {
    turn: Option<InUse<pipe::Sender>>,
    frame: Outgoing<'a>,
}

impl Put<'_> {
    async fn finish(&mut self) -> Result<(), Error> {
        let Some(turn) = &mut self.turn else { return Err(Error::Closed) };
        let written = self.frame.write(&mut **turn).await;
        self.turn = None; // there is nothing left to finish, or nobody to finish it for
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Broken,
            _ => Error::Io(error),
        })
    }
}

impl Drop for Put<'_> {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        if self.frame.is_torn() {
            let rest = self.frame.rest().concat();
            if let Ok(runtime) = runtime::Handle::try_current() {
                // The turn goes along: whoever puts next waits behind the rest of this message.
                runtime.spawn(async move { turn.write_all(&rest).await });
            }
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("descriptor", &self.descriptor()).finish()
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("descriptor", &self.descriptor()).finish()
    }
}

/// Says in words what tokio would say by a panic.
fn needs_runtime() -> io::Result<()> {
    runtime::Handle::try_current().map(drop).map_err(io::Error::other)
}
