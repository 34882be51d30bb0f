//! The descriptor behind an end: it belongs to no runtime until somebody waits for it, and from then on to that one.
//!
//! Moves bytes and knows nothing of messages.

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::runtime;

/// A descriptor, and what tokio makes of it when it is first waited for.
pub(crate) enum Channel<S> {
    Idle(OwnedFd),
    Open(S),
    /// The system would not watch it. It is closed.
    Lost,
}

/// What can be made of the descriptor of a pipe.
pub(crate) trait Watched: AsRawFd + Unpin + Sized {
    fn watch(descriptor: OwnedFd) -> io::Result<Self>;
}

impl Watched for Receiver {
    fn watch(descriptor: OwnedFd) -> io::Result<Self> {
        Self::from_owned_fd(descriptor)
    }
}

impl Watched for Sender {
    fn watch(descriptor: OwnedFd) -> io::Result<Self> {
        Self::from_owned_fd(descriptor)
    }
}

impl<S: Watched> Channel<S> {
    fn open(&mut self) -> io::Result<&mut S> {
        if matches!(self, Self::Idle(_)) {
            // Says in words what tokio would say by a panic, and leaves all as it was.
            runtime::Handle::try_current().map_err(io::Error::other)?;
            if let Self::Idle(descriptor) = mem::replace(self, Self::Lost) {
                *self = Self::Open(S::watch(descriptor)?);
            }
        }
        match self {
            Self::Open(open) => Ok(open),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl<S: Watched> AsRawFd for Channel<S> {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Idle(descriptor) => descriptor.as_raw_fd(),
            Self::Open(open) => open.as_raw_fd(),
            Self::Lost => -1,
        }
    }
}

impl AsyncRead for Channel<Receiver> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.open()?).poll_read(context, into)
    }
}

impl AsyncWrite for Channel<Sender> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.open()?).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.open()?).poll_write_vectored(context, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
