//! The sending end of a pipe.
//!
//! A handle is a cheap clone of one shared end, as a reader is.

use crate::end::{End, Held};
use crate::frame::{Batch, Outgoing, header};
use crate::writer_state::{Turn, WriterState};
use crate::{Codec, Error, Message, Raw};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// The sending end of a pipe. Clones are the same handle, for other tasks of this process. The descriptor is closed with the
/// last clone, or by [`close`](Self::close).
pub struct Writer<C = Raw> {
    end: Arc<End<WriterState>>,
    codec: PhantomData<fn() -> C>,
}

/// Takes over a descriptor to which each message is written as four bytes of length, least significant first, and then as
/// many bytes. It must be a descriptor that can be waited for: a pipe, a FIFO, or a stream socket. With any other, `put`
/// fails with `Io`.
impl From<OwnedFd> for Writer {
    fn from(descriptor: OwnedFd) -> Self {
        let number = descriptor.as_raw_fd();
        Self { end: End::new(WriterState::new(descriptor), number), codec: PhantomData }
    }
}

impl Writer {
    /// A writer that is closed.
    pub(crate) fn closed() -> Self {
        Self { end: End::gone(), codec: PhantomData }
    }
}

impl<C: Codec> Writer<C> {
    /// Returns the same handle with another codec: `w.with::<Postcard<Job>>()`.
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
    pub fn with<D: Codec>(&self) -> Writer<D> {
        Writer { end: Arc::clone(&self.end), codec: PhantomData }
    }

    /// Writes one message, and waits while the pipe is full. When it returns, the message is in the pipe. Messages of
    /// several tasks never mix; they go in the order in which the puts were first polled.
    ///
    /// Cancel-safe: a put that is dropped before its first byte is withdrawn. If it is dropped later, the rest of the
    /// message is copied, which takes time in proportion to its length, and written in the background before any other put,
    /// because half a message would corrupt what follows. Until then the handle is in use. If no runtime can write the rest,
    /// or the runtime ends, the next put writes it first; without a next put, the reader gets `Truncated`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put("text").await?;
    /// w.put(vec![1, 2, 3]).await?;
    /// w.put(&[4, 5][..]).await?;
    /// # r.close()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed`; `TooLarge` and `Encode` before anything is written; `Broken` if there is no reader any more; `Io`, after
    /// which the next put continues where this one stopped.
    ///
    /// # Panics
    ///
    /// If the current runtime has no I/O enabled.
    pub async fn put(&self, message: impl Message<C::Put>) -> Result<(), Error> {
        self.put_noting(message.as_put(), &AtomicBool::new(false)).await
    }

    /// Puts a message, and records in `left_rest` whether the put was dropped or failed in the middle of the message.
    async fn put_noting(&self, message: &C::Put, left_rest: &AtomicBool) -> Result<(), Error> {
        let bytes = C::encode(message).map_err(Error::Encode)?;
        let header = header(bytes.len())?;
        let mut turn = Turn::enter(&self.end).await?;
        let frame = Outgoing::one(header, &bytes, turn.take_scratch());
        turn.write(frame, left_rest).await
    }

    /// Like [`put`](Self::put), but fails after `limit`. Time spent queued behind other tasks counts. Cancel-safe in the
    /// same way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, pipe};
    /// use std::time::Duration;
    ///
    /// let (_r, w) = pipe()?;
    /// let long = vec![0; 1 << 20]; // more than the pipe holds
    /// let put = w.put_within(&long, Duration::from_millis(1)).await;
    /// assert!(matches!(put, Err(Error::StillSending)));
    /// # w.abort()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); `Timeout` if the message is withdrawn, so that it can be put again; `StillSending` if a part
    /// of it was written, so that the rest follows in the background and putting it again would send it twice. In that case,
    /// [`abort`](Self::abort) gives up on a reader that does not read.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put), and if the current runtime has no time enabled.
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

    /// Writes many messages in few system calls, with no message of another task between them. They are encoded one after
    /// another while the handle is in use.
    ///
    /// Cancel-safe, as [`put`](Self::put): messages that were not begun are withdrawn.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put_all(["one", "two"]).await?;
    /// assert_eq!(r.get().await?.as_deref(), Some(&b"one"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put). After `Encode` and `TooLarge`, all messages before the refused one are written, and none after
    /// it. After other errors some may be written, from the first on.
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
                let (header, long) = long?;
                let frame = Outgoing::one(header, &long, turn.take_scratch());
                turn.write(frame, &left_rest).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Closes the descriptor for all clones. Does not wait: what was put is in the pipe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.close()?;
    /// assert_eq!(r.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before; `Locked` while a put waits or is being finished. Nothing has happened
    /// then.
    pub fn close(&self) -> Result<(), Error> {
        self.reserve().map(|end| drop(end.commit()))
    }

    /// Waits until all earlier puts of all tasks are done, then closes. Cancel-safe: if it is dropped before that, it closes
    /// nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put("last").await?;
    /// w.close_when_idle().await?;
    /// assert!(r.get().await?.is_some());
    /// assert_eq!(r.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before. `Broken` if the rest of a put that was given up could not be written;
    /// the handle is closed nevertheless. `Io`, after which the handle is not closed.
    ///
    /// # Panics
    ///
    /// If the current runtime has no I/O enabled and there is such a rest.
    pub async fn close_when_idle(&self) -> Result<(), Error> {
        Turn::close(&self.end).await
    }

    /// Closes at once for all clones, even in the middle of a message: the reader then gets `Truncated`. Puts that wait, and
    /// the put that is in progress, return `Closed`. The descriptor is closed when the put in progress has been polled or is
    /// dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, pipe};
    /// use std::time::Duration;
    ///
    /// let (r, w) = pipe()?;
    /// let put = w.put_within(vec![0; 1 << 20], Duration::from_millis(1)).await;
    /// assert!(matches!(put, Err(Error::StillSending))); // the reader does not read
    /// w.abort()?;
    /// tokio::task::yield_now().await;
    /// assert!(matches!(r.get().await, Err(Error::Truncated)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if it was closed or given away before.
    pub fn abort(&self) -> Result<(), Error> {
        if self.end.abort() { Ok(()) } else { Err(Error::Closed) }
    }

    /// Returns the raw descriptor while it is open, for diagnostics. Do not read, write or close it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_r, w) = gipc_core::pipe()?;
    /// println!("{:?}", w.descriptor());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.end.descriptor()
    }

    /// Takes the descriptor away from all clones and returns it. It is non-blocking once it has been used.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    ///
    /// let (r, w) = gipc_core::pipe()?;
    /// let mut file = std::fs::File::from(w.take_descriptor()?);
    /// file.write_all(b"\x01\0\0\0a")?; // a message, with its length
    /// assert_eq!(r.get().await?.as_deref(), Some(&b"a"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn take_descriptor(&self) -> Result<OwnedFd, Error> {
        Ok(self.reserve()?.commit().sink.into_descriptor())
    }

    /// Reserves the writer, if it has no unfinished frame.
    pub(crate) fn reserve(&self) -> Result<Held<WriterState>, Error> {
        let held = self.end.reserve()?;
        if held.has_rest() { Err(Error::Locked) } else { Ok(held) }
    }
}

impl<C> Clone for Writer<C> {
    fn clone(&self) -> Self {
        Self { end: Arc::clone(&self.end), codec: PhantomData }
    }
}

impl<C> fmt::Debug for Writer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("descriptor", &self.end.descriptor()).finish()
    }
}
