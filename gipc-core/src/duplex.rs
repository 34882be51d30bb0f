//! Two crossed pipes as one handle, so that both sides can talk.
//!
//! A duplex adds only `close`: each half is also a handle, and can be closed or given away alone.

use crate::{Codec, Error, Message, Raw, Reader, Writer, pipe_of};
use std::fmt;
use std::io;
use std::time::Duration;

/// Makes two handles that talk to each other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, far) = gipc_core::duplex()?;
/// near.put("question").await?;
/// assert!(far.get().await?.is_some());
/// far.put("answer").await?;
/// assert!(near.get().await?.is_some());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`pipe`](crate::pipe()).
pub fn duplex() -> io::Result<(Duplex, Duplex)> {
    duplex_of()
}

/// Makes two handles that talk to each other: the first one gets messages of the codec `In` and puts messages of `Out`, the
/// second one the reverse.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use gipc_core::{Postcard, duplex_of};
///
/// let (near, far) = duplex_of::<Postcard<usize>, Postcard<String>>()?;
/// near.put("word".to_owned()).await?;
/// let word = far.get().await?.unwrap_or_default();
/// far.put(word.len()).await?;
/// assert_eq!(near.get().await?, Some(4));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`pipe`](crate::pipe()).
pub fn duplex_of<In: Codec, Out: Codec>() -> io::Result<(Duplex<In, Out>, Duplex<Out, In>)> {
    let (near_reader, far_writer) = pipe_of()?;
    let (far_reader, near_writer) = pipe_of()?;
    let near = Duplex { reader: near_reader, writer: near_writer };
    Ok((near, Duplex { reader: far_reader, writer: far_writer }))
}

/// A reader and a writer. Clones are the same handle, for other tasks of this process. A duplex can be given to a child with
/// the halves of it that are open, and each half can be given alone.
pub struct Duplex<In = Raw, Out = Raw> {
    reader: Reader<In>,
    writer: Writer<Out>,
}

impl Duplex {
    pub(crate) fn from_halves(reader: Reader, writer: Writer) -> Self {
        Self { reader, writer }
    }
}

impl<In: Codec, Out: Codec> Duplex<In, Out> {
    /// Returns the same handle with other codecs, for what it gets and for what it puts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::Postcard;
    ///
    /// let (near, far) = gipc_core::duplex()?;
    /// let near = near.with::<Postcard<u8>, Postcard<u16>>();
    /// near.put(300).await?;
    /// assert_eq!(far.with::<Postcard<u16>, Postcard<u8>>().get().await?, Some(300));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with<I: Codec, O: Codec>(&self) -> Duplex<I, O> {
        Duplex { reader: self.reader.with(), writer: self.writer.with() }
    }

    /// Returns the half that gets.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, _far) = gipc_core::duplex()?;
    /// near.reader().limit(1000)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reader(&self) -> &Reader<In> {
        &self.reader
    }

    /// Returns the half that puts. Closing only this half tells the other side that no more messages will come.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// near.writer().close()?;
    /// assert_eq!(far.get().await?, None);
    /// far.put("the other direction is open").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn writer(&self) -> &Writer<Out> {
        &self.writer
    }

    /// Like [`Reader::get`], and cancel-safe in the same way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// far.put("text").await?;
    /// assert_eq!(near.get().await?.as_deref(), Some(&b"text"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Reader::get`].
    pub async fn get(&self) -> Result<Option<In::Got>, Error> {
        self.reader.get().await
    }

    /// Like [`Writer::put`], and cancel-safe in the same way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// near.put("text").await?;
    /// assert_eq!(far.get().await?.as_deref(), Some(&b"text"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Writer::put`].
    pub async fn put(&self, message: impl Message<Out::Put>) -> Result<(), Error> {
        self.writer.put(message).await
    }

    /// Like [`Reader::get_within`], and cancel-safe in the same way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Error, duplex};
    /// use std::time::Duration;
    ///
    /// let (near, _far) = duplex()?;
    /// let got = near.get_within(Duration::from_millis(1)).await;
    /// assert!(matches!(got, Err(Error::Timeout)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Reader::get_within`].
    pub async fn get_within(&self, limit: Duration) -> Result<Option<In::Got>, Error> {
        self.reader.get_within(limit).await
    }

    /// Like [`Writer::put_within`], and cancel-safe in the same way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// near.put_within("text", std::time::Duration::from_secs(1)).await?;
    /// assert!(far.get().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Writer::put_within`].
    pub async fn put_within(
        &self,
        message: impl Message<Out::Put>,
        limit: Duration,
    ) -> Result<(), Error> {
        self.writer.put_within(message, limit).await
    }

    /// Closes what is still open: the writer, then the reader.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// near.close()?;
    /// assert_eq!(far.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed` if both halves were closed or given away before; `Locked` if either is in use. Then neither is closed.
    pub fn close(&self) -> Result<(), Error> {
        let writer = self.writer.reserve();
        let reader = self.reader.reserve();
        match (writer, reader) {
            (Err(Error::Closed), Err(Error::Closed)) => Err(Error::Closed),
            (Err(Error::Locked), _) | (_, Err(Error::Locked)) => Err(Error::Locked),
            (writer, reader) => {
                drop(writer.map(|end| end.commit()));
                drop(reader.map(|end| end.commit()));
                Ok(())
            }
        }
    }

    /// Waits until all earlier puts and gets are done, then closes what is still open: the writer, then the reader.
    /// Cancel-safe, but if it is dropped, only the writer may be closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = gipc_core::duplex()?;
    /// near.put("last").await?;
    /// near.close_when_idle().await?;
    /// assert!(far.get().await?.is_some());
    /// assert_eq!(far.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Writer::close_when_idle`]; `Closed` if both halves were closed or given away before.
    pub async fn close_when_idle(&self) -> Result<(), Error> {
        let writer = self.writer.close_when_idle().await;
        let reader = self.reader.close_when_idle().await;
        match writer {
            Err(Error::Closed) => reader,
            writer => writer,
        }
    }
}

impl<In, Out> Clone for Duplex<In, Out> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), writer: self.writer.clone() }
    }
}

impl<In, Out> fmt::Debug for Duplex<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplex")
            .field("reader", &self.reader)
            .field("writer", &self.writer)
            .finish()
    }
}
