//! The receiving end of a pipe.
//!
//! A handle is a cheap clone of one shared end. `handoff` moves it to a child.

use crate::channel::Channel;
use crate::end::{End, Held};
use crate::frame::{Incoming, MAX_MESSAGE};
use crate::{Codec, Error, Raw};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The receiving end of a pipe. Clones are the same handle, for other tasks of this process. The descriptor is closed with
/// the last clone, or by [`close`](Self::close).
pub struct Reader<C = Raw> {
    end: Arc<End<ReaderState>>,
    codec: PhantomData<fn() -> C>,
}

/// What readers share.
pub(crate) type ReaderState = Incoming<Channel>;

/// Takes over a descriptor that carries each message as four bytes of length, least significant first, and then as many
/// bytes. It must be a descriptor that can be waited for: a pipe, a FIFO, or a stream socket. With any other, `get` fails
/// with `Io`.
impl From<OwnedFd> for Reader {
    fn from(descriptor: OwnedFd) -> Self {
        Self::from_descriptor(descriptor, Vec::new())
    }
}

impl Reader {
    /// Takes over a descriptor, and what its former owner had read ahead.
    pub(crate) fn from_descriptor(descriptor: OwnedFd, ahead: Vec<u8>) -> Self {
        let number = descriptor.as_raw_fd();
        let body = Incoming::new(Channel::for_reading(descriptor), ahead);
        Self { end: End::new(body, number), codec: PhantomData }
    }

    /// A reader that is closed.
    pub(crate) fn closed() -> Self {
        Self { end: End::gone(), codec: PhantomData }
    }

    /// Waits for the next message and puts its bytes into `buffer`, instead of what is there; returns how many, or `None` at the
    /// end. A buffer that is used again costs large messages less than half of the time.
    ///
    /// Cancel-safe: nothing of a message is lost, but the memory of `buffer` then stays with the handle, and the buffer is
    /// left empty.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (r, w) = gipc_core::pipe()?;
    /// # w.put("text").await?;
    /// let mut buffer = Vec::new();
    /// assert_eq!(r.get_into(&mut buffer).await?, Some(4));
    /// assert_eq!(buffer, b"text");
    /// # Ok(())
    /// # }
    /// ```
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
    /// Returns the same handle with another codec: `r.with::<Postcard<Job>>()`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::Postcard;
    ///
    /// let (r, w) = gipc_core::pipe()?;
    /// w.with::<Postcard<u32>>().put(7).await?;
    /// assert_eq!(r.with::<Postcard<u32>>().get().await?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with<D: Codec>(&self) -> Reader<D> {
        Reader { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Waits for the next message. `None` is the end: every writer is closed and no message is left. Each message goes to
    /// exactly one get, in the order in which the gets were first polled.
    ///
    /// Cancel-safe: a get that is dropped takes nothing with it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put("text").await?;
    /// w.close()?;
    /// while let Some(message) = r.get().await? {
    ///     assert_eq!(message, b"text");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed`; `Truncated` and `TooLarge`, which stay; `Decode`; `Io`.
    ///
    /// # Panics
    ///
    /// If the current runtime has no I/O enabled.
    pub async fn get(&self) -> Result<Option<C::Got>, Error> {
        // A message that was read ahead costs one short lock; anything else needs a turn.
        let message = match self.end.at_once(Incoming::ready) {
            Some(message) => Some(message),
            None => self.end.enter().await?.next().await?,
        };
        message.map(C::decode).transpose().map_err(Error::Decode)
    }

    /// Like [`get`](Self::get), but fails with `Timeout` after `limit`. Time spent queued behind other tasks counts. A part
    /// of a message that came in time is not lost: the next get continues it. Cancel-safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, pipe};
    /// use std::time::Duration;
    ///
    /// let (r, _w) = pipe()?;
    /// let got = r.get_within(Duration::from_millis(1)).await;
    /// assert!(matches!(got, Err(Error::Timeout)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and `Timeout`.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get), and if the current runtime has no time enabled.
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

    /// Returns the next message if all of it is there; `None` is the end, as in [`get`](Self::get). Does not wait, and needs
    /// no runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, pipe};
    ///
    /// let (r, w) = pipe()?;
    /// assert!(matches!(r.try_get(), Err(Error::WouldBlock)));
    /// w.put("text").await?;
    /// assert_eq!(r.try_get()?.as_deref(), Some(&b"text"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); `WouldBlock` if there is no whole message now; `Locked` while a get of another task waits.
    pub fn try_get(&self) -> Result<Option<C::Got>, Error> {
        let message = self.reserve()?.try_next()?;
        message.map(C::decode).transpose().map_err(Error::Decode)
    }

    /// Refuses messages longer than this many bytes from now on, instead of those longer than [`MAX_MESSAGE`]: `get` returns
    /// `TooLarge` before it has used any memory for them, and so does every later get. The limit applies to this process and
    /// does not go with the handle to a child.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, pipe};
    ///
    /// let (r, w) = pipe()?;
    /// r.limit(3)?;
    /// w.put("text").await?;
    /// assert!(matches!(r.get().await, Err(Error::TooLarge { len: 4, max: 3 })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed`; `Locked` while a get waits.
    pub fn limit(&self, bytes: u64) -> Result<(), Error> {
        self.reserve().map(|mut end| end.max = bytes.min(MAX_MESSAGE))
    }

    /// Closes the descriptor for all clones. Does not wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// r.close()?;
    /// assert!(matches!(w.put("text").await, Err(gipc_core::Error::Broken)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a get waits. Nothing has happened then.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// Waits until all earlier gets of all tasks are done, then closes. Cancel-safe: if it is dropped before that, it closes
    /// nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, _w) = gipc_core::pipe()?;
    /// r.close_when_idle().await?;
    /// assert!(matches!(r.get().await, Err(gipc_core::Error::Closed)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before.
    pub async fn close_when_idle(&self) -> Result<(), Error> {
        drop(self.end.enter().await?.commit());
        Ok(())
    }

    /// Returns the raw descriptor while it is open, for diagnostics. Do not read, write or close it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, _w) = gipc_core::pipe()?;
    /// assert!(r.descriptor().is_some());
    /// r.close()?;
    /// assert!(r.descriptor().is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    /// Takes the descriptor away from all clones. Returns it with the bytes that were read from it and not returned by a
    /// get, which come before everything that can still be read. The descriptor is non-blocking once it has been used.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put("a").await?;
    /// w.put("b").await?;
    /// r.get().await?;
    /// let (descriptor, ahead) = r.take_descriptor()?;
    /// assert_eq!(ahead, b"\x01\0\0\0b"); // the second message, with its length
    /// # drop(descriptor);
    /// # Ok(())
    /// # }
    /// ```
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

    pub(crate) fn reserve(&self) -> Result<Held<ReaderState>, Error> {
        self.end.reserve()
    }
}

impl<C> Clone for Reader<C> {
    fn clone(&self) -> Self {
        Self { end: Arc::clone(&self.end), codec: PhantomData }
    }
}

impl<C> fmt::Debug for Reader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("descriptor", &self.end.descriptor()).finish()
    }
}
