//! The descriptor behind an end. It belongs to no runtime until it first has to wait, and to the runtime of that moment from
//! then on.
//!
//! A channel moves bytes and knows nothing about messages.

use crate::platform;
use nix::errno::Errno;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime;
use tokio::task::coop;

/// One end of a pipe and, once it had to wait, its registration with tokio.
pub(crate) struct Channel {
    // Shared with the watch, so that the descriptor stays open if the watch cannot be made.
    descriptor: Arc<OwnedFd>,
    watch: Option<AsyncFd<Arc<OwnedFd>>>,
    interest: Interest,
    is_nonblocking: bool,
    /// Whether the last write found room for only a part of its bytes.
    is_full: bool,
}

impl Channel {
    pub(crate) fn for_reading(descriptor: OwnedFd) -> Self {
        Self::new(descriptor, Interest::READABLE)
    }

    pub(crate) fn for_writing(descriptor: OwnedFd) -> Self {
        Self::new(descriptor, Interest::WRITABLE)
    }

    fn new(descriptor: OwnedFd, interest: Interest) -> Self {
        Self {
            descriptor: Arc::new(descriptor),
            watch: None,
            interest,
            is_nonblocking: false,
            is_full: false,
        }
    }

    /// Begins to watch the descriptor, unless it is already watched. If it fails or panics, the descriptor is unharmed.
    fn watch(&mut self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
        if self.watch.is_none() {
            // tokio panics if there is no runtime.
            runtime::Handle::try_current().map_err(io::Error::other)?;
            self.set_nonblocking()?;
            let descriptor = Arc::clone(&self.descriptor);
            // SAFETY: the watch shares the descriptor, which is closed after the watch is dropped and never replaced.
            self.watch =
                Some(unsafe { AsyncFd::register_with_interest(descriptor, self.interest) }?);
        }
        self.watch.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Ends the watch and returns the descriptor.
    pub(crate) fn into_descriptor(mut self) -> OwnedFd {
        self.watch = None;
        Arc::into_inner(self.descriptor).expect("nothing but the watch shares the descriptor")
    }

    fn set_nonblocking(&mut self) -> io::Result<()> {
        if !self.is_nonblocking {
            platform::set_nonblocking(&self.descriptor)?;
            self.is_nonblocking = true;
        }
        Ok(())
    }

    /// Reads what is there now, without a runtime. Returns `WouldBlock` if there is nothing.
    pub(crate) fn try_read(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        self.set_nonblocking()?;
        platform::read(&self.descriptor, into, most)
    }

    /// Writes a part of these bytes, and waits while there is no room. Cancel-safe.
    pub(crate) async fn write(&mut self, parts: [&[u8]; 2]) -> io::Result<usize> {
        let wanted = parts[0].len() + parts[1].len();
        let write = |descriptor: &OwnedFd| loop {
            let written = match parts {
                [one, []] | [[], one] => nix::unistd::write(descriptor, one),
                two => nix::sys::uio::writev(descriptor, &two.map(IoSlice::new)),
            };
            if written != Err(Errno::EINTR) {
                return written.map_err(io::Error::from);
            }
        };
        let mut was_tried = self.is_full;
        let written = poll_fn(|context| {
            let watch = self.watch()?;
            let polled = attempt(watch, AsyncFd::poll_write_ready, context, wanted, |descriptor| {
                was_tried = true;
                write(descriptor)
            });
            // A pipe accepts these bytes if its last page has room for them, but it is reported as writable only when a
            // whole page is free. Only a write shows whether there is room.
            if polled.is_ready() || was_tried {
                return polled;
            }
            // A task whose writes never wait must still let other tasks run.
            let budget = ready!(coop::poll_proceed(context));
            was_tried = true;
            match write(&self.descriptor) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
                done => {
                    budget.made_progress();
                    Poll::Ready(done)
                }
            }
        })
        .await?;
        self.is_full = written < wanted;
        Ok(written)
    }
}

/// Where messages come from.
pub(crate) trait Source {
    /// Appends at most `most` bytes to `into`, and returns how many; 0 is the end.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>>;
}

impl Source for Channel {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let watch = self.watch()?;
        attempt(watch, AsyncFd::poll_read_ready, context, most, |fd| platform::read(fd, into, most))
    }
}

/// Tries a call until it does not have to wait. A call that moved less than was wanted has found the pipe full or empty, so
/// the next call waits at once instead of asking the system.
fn attempt<'w>(
    watch: &'w AsyncFd<Arc<OwnedFd>>,
    poll_ready: impl Fn(
        &'w AsyncFd<Arc<OwnedFd>>,
        &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'w, Arc<OwnedFd>>>>,
    context: &mut Context<'_>,
    wanted: usize,
    mut call: impl FnMut(&OwnedFd) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        let mut ready = ready!(poll_ready(watch, context))?;
        match call(watch.get_ref()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(moved) if 0 < moved && moved < wanted => {
                ready.clear_ready();
                return Poll::Ready(Ok(moved));
            }
            done => return Poll::Ready(done),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller gets if the system gives these results one after the other, and how often the system was asked.
    async fn attempted(said: &[io::Result<usize>]) -> (io::Result<usize>, usize) {
        let (_r, w) = platform::pipe().expect("a pipe");
        let mut channel = Channel::for_writing(w);
        let watch = channel.watch().expect("a pipe can be watched");
        let mut asked = 0;
        let heard = poll_fn(|context| {
            attempt(watch, AsyncFd::poll_write_ready, context, 9, |_| {
                asked += 1;
                said[asked - 1].as_ref().copied().map_err(|error| error.kind().into())
            })
        });
        (heard.await, asked)
    }

    /// A pipe of one page is not reported as writable while that page has a byte, but it still accepts more.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_write_for_which_the_last_page_has_room_does_not_wait() {
        let (_r, w) = platform::pipe().expect("a pipe");
        nix::fcntl::fcntl(&w, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).expect("a small pipe");
        let mut first = Channel::for_writing(w.try_clone().expect("a second writer"));
        let mut second = Channel::for_writing(w);
        first.write([&[1; 2000], &[]]).await.expect("there is room");
        for channel in [&mut second, &mut first] {
            let mut write = std::pin::pin!(channel.write([&[2; 3000], &[]]));
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending(), "there is no room for it");
        }
        for channel in [&mut second, &mut first] {
            let mut write = std::pin::pin!(channel.write([&[3; 100], &[]]));
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_ready(), "there is room for it");
        }
    }

    #[tokio::test]
    async fn a_call_that_was_interrupted_is_made_again_and_others_are_not() {
        let interrupted = || Err(ErrorKind::Interrupted.into());
        let (heard, asked) = attempted(&[interrupted(), interrupted(), Ok(9)]).await;
        assert_eq!((heard.expect("it moved all"), asked), (9, 3));
        let (heard, asked) = attempted(&[Err(ErrorKind::BrokenPipe.into())]).await;
        assert_eq!((heard.map_err(|error| error.kind()), asked), (Err(ErrorKind::BrokenPipe), 1));
    }
}
