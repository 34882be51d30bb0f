//! The messages of a reader as a stream.

use crate::{Codec, Error, Reader};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Next<C> = Pin<Box<dyn Future<Output = Result<Option<<C as Codec>::Got>, Error>> + Send>>;

/// What [`Reader::messages`] returns.
pub struct Messages<C: Codec> {
    reader: Reader<C>,
    next: Option<Next<C>>,
    over: bool,
}

impl<C: Codec> Messages<C> {
    pub(crate) fn new(reader: Reader<C>) -> Self {
        Self { reader, next: None, over: false }
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
        // Only a message that is no value leaves the next one readable.
        self.over = !matches!(got, Ok(Some(_)) | Err(Error::Decode(_)));
        Poll::Ready(got.transpose())
    }
}

impl<C: Codec> fmt::Debug for Messages<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("reader", &self.reader).finish()
    }
}
