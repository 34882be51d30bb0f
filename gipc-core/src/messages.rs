//! The messages of a reader as a stream, and those of a writer as a sink.

use crate::{Codec, Error, Message, Reader, Writer};
use futures_core::Stream;
use futures_sink::Sink;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A get or a put that is in progress.
type UnderWay<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A stream of messages, returned by [`Reader::messages`].
pub struct Messages<C: Codec> {
    reader: Reader<C>,
    next: Option<UnderWay<Option<C::Got>>>,
    over: bool,
}

impl<C: Codec> Reader<C> {
    /// Returns all messages until the end as a stream. The stream ends after the first error other than `Decode`.
    /// Cancel-safe.
    ///
    /// A stream that was polled and found nothing is a waiting get. It keeps its place before the gets of other clones, and
    /// the handle is in use, until the stream has been polled to its message or is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::StreamExt;
    ///
    /// let (r, w) = gipc_core::pipe()?;
    /// w.put("text").await?;
    /// w.close()?;
    /// let mut messages = r.messages();
    /// while let Some(message) = messages.next().await {
    ///     assert_eq!(message?, b"text");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn messages(&self) -> Messages<C> {
        Messages { reader: self.clone(), next: None, over: false }
    }
}

impl<C: Codec> Stream for Messages<C> {
    type Item = Result<C::Got, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let reader = self.reader.clone();
        let next = self.next.get_or_insert_with(|| Box::pin(async move { reader.get().await }));
        let got = ready!(next.as_mut().poll(context));
        self.next = None;
        // Only after a message that is not a value can the next one be read.
        self.over = !matches!(got, Ok(Some(_)) | Err(Error::Decode(_)));
        Poll::Ready(got.transpose())
    }
}

impl<C: Codec> fmt::Debug for Messages<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("reader", &self.reader).finish()
    }
}

/// A sink of messages, returned by [`Writer::sink`].
pub struct MessageSink<C, M> {
    writer: Writer<C>,
    /// The put of the last accepted message, or the close.
    work: Option<UnderWay<()>>,
    messages: PhantomData<fn(M)>,
}

impl<C: Codec> Writer<C> {
    /// Returns a sink that puts messages of type `M`, and owns them. The sink accepts one message at a time and puts it as
    /// [`put`](Self::put) does. The message is in the pipe once the sink has been flushed or is ready for the next one.
    ///
    /// Dropping the sink closes nothing, and drops the put of a message that was accepted but not flushed. If no byte of the
    /// message was written, it is withdrawn; otherwise its rest is written in the background. A message has its place among
    /// the puts of other tasks from the first poll after it was accepted. From then on the handle is in use, until the sink
    /// has been polled to the end of that message or is dropped.
    ///
    /// Closing the sink, as `forward` does at the end of its stream, flushes it and closes the handle **for all clones**, as
    /// [`close_when_idle`](Self::close_when_idle) does. To keep the handle, flush the sink and drop it.
    ///
    /// Errors are those of `put`, and the next poll returns them. The message is then lost, unless a part of it was written.
    /// After `Encode`, `TooLarge` and `Io` the sink accepts further messages.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::{SinkExt, stream};
    ///
    /// let (r, w) = gipc_core::pipe()?;
    /// let mut sink = w.sink();
    /// sink.send("one").await?;
    /// sink.send_all(&mut stream::iter([Ok("two"), Ok("three")])).await?;
    /// sink.close().await?;
    /// for expected in ["one", "two", "three"] {
    ///     assert_eq!(r.get().await?.as_deref(), Some(expected.as_bytes()));
    /// }
    /// assert_eq!(r.get().await?, None); // closed, although `w` is still there
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sink<M>(&self) -> MessageSink<C, M> {
        MessageSink { writer: self.clone(), work: None, messages: PhantomData }
    }
}

impl<C: Codec<Put: Sync>, M: Message<C::Put> + Send + 'static> Sink<M> for MessageSink<C, M> {
    type Error = Error;

    /// Waits until the previous message is in the pipe. An error is about that message.
    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush(context)
    }

    /// # Panics
    ///
    /// If `poll_ready` has not returned that the sink is ready.
    fn start_send(mut self: Pin<&mut Self>, message: M) -> Result<(), Error> {
        assert!(self.work.is_none(), "poll_ready comes before start_send");
        let writer = self.writer.clone();
        self.work = Some(Box::pin(async move { writer.put(message).await }));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(work) = &mut self.work else { return Poll::Ready(Ok(())) };
        let done = ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }

    /// Flushes, and closes like [`Writer::close_when_idle`]. A handle that is already closed is not an error.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.as_mut().poll_flush(context))?;
        let writer = self.writer.clone();
        self.work = Some(Box::pin(async move {
            match writer.close_when_idle().await {
                Err(Error::Closed) => Ok(()),
                closed => closed,
            }
        }));
        self.poll_flush(context)
    }
}

impl<C: Codec, M> fmt::Debug for MessageSink<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageSink").field("writer", &self.writer).finish()
    }
}
