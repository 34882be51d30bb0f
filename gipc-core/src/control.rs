//! The parent's side of the socket to a child: what the child must still be told, and its last report.

use crate::end::Body;
use crate::handoff::Sent;
use crate::platform;
use crate::process::{Ended, reap};
use crate::report::Report;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;

/// How long to wait before asking the system again whether it accepts more descriptors.
const AGAIN: Duration = Duration::from_millis(5);

/// The conversation with a child that has just been started.
pub(crate) struct Control {
    listener: pipe::Receiver,
    rest: Option<Rest>,
    result_limit: usize,
}

/// What could not be sent at once.
struct Rest {
    socket: UnixStream,
    descriptors: Sent,
    label: Vec<u8>,
    /// Keeps the descriptors open until they are sent.
    bodies: Vec<Body>,
}

impl Control {
    /// Sends as much as the system accepts at once. That is everything, unless the arguments are large or many descriptors
    /// are in transit.
    pub(crate) fn begin(
        socket: UnixStream,
        mut label: Vec<u8>,
        descriptors: Sent,
        result_limit: usize,
    ) -> io::Result<Self> {
        // A child begins when it has the whole label, so nothing that may fail comes after that.
        let listener = platform::listener(socket)?;
        if descriptors.is_complete() {
            // A child that has already ended needs no arguments. Its status says how it ended.
            label.drain(..nix::unistd::write(listener.as_fd(), &label).unwrap_or(0));
            if label.is_empty() {
                return Ok(Self { listener, rest: None, result_limit });
            }
        }
        let socket = listener.as_fd().try_clone_to_owned()?.into();
        let rest = Rest { socket, descriptors, label, bodies: Vec::new() };
        Ok(Self { listener, rest: Some(rest), result_limit })
    }

    /// Keeps the handles that were given away until their descriptors are sent.
    pub(crate) fn keep(&mut self, bodies: Vec<Body>) {
        if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.descriptors.is_complete()) {
            rest.bodies = bodies;
        }
    }

    /// Sends what could not be sent at once. Then reads what the child reports, until the child and all processes that have
    /// its copy of the socket have closed it, or until the report is longer than it may be.
    async fn talk(&mut self, said: &mut Vec<u8>) -> io::Result<()> {
        if let Some(mut rest) = self.rest.take() {
            while !rest.descriptors.go_on(&rest.socket)? {
                // The runtime may have no timer.
                let _ = tokio::task::spawn_blocking(|| std::thread::sleep(AGAIN)).await;
            }
            drop(rest.bodies);
            let mut speaker = platform::speaker(rest.socket)?;
            while !rest.label.is_empty() {
                let sent = uninterrupted(speaker.write(&rest.label).await)?.unwrap_or(0);
                rest.label.drain(..sent);
            }
        }
        while let room @ 1.. = self.room(said) {
            if uninterrupted((&mut self.listener).take(room).read_buf(said).await)? == Some(0) {
                break;
            }
        }
        Ok(())
    }

    /// How many more bytes to read: one more than the child may report, plus the kind of its report.
    fn room(&self, said: &[u8]) -> u64 {
        (self.result_limit.saturating_add(2)).saturating_sub(said.len()) as u64
    }
}

/// Returns `None` for a call that a signal interrupted. The caller repeats it.
fn uninterrupted(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        result => result.map(Some),
    }
}

/// Gives the child its arguments, reads its last report, and reaps it. The socket may stay open after the child has ended: a
/// process that the child forked may hold it.
pub(crate) async fn serve_until_end(mut control: Control, child: &Mutex<Option<Child>>) -> Ended {
    let mut said = Vec::new();
    let early = {
        let (mut talk, mut reaped) = (pin!(control.talk(&mut said)), pin!(reap(child)));
        tokio::select! {
            status = &mut reaped => Some(status),
            _ = &mut talk => None,
        }
    };
    let (room, limit) = (control.room(&said), control.result_limit);
    // The last report may still be in the socket; a read stops where it would have to wait. Then the socket is closed, so
    // that a child that reports more than it may is not blocked by a parent that no longer reads.
    if let Ok(socket) = control.listener.into_nonblocking_fd() {
        let _ = UnixStream::from(socket).take(room).read_to_end(&mut said);
    }
    let status = match early {
        Some(status) => status,
        None => reap(child).await,
    };
    Ended { status, report: Report::read(said, limit).map(Arc::new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_was_interrupted_is_made_again() {
        let interrupted = uninterrupted(Err(io::ErrorKind::Interrupted.into()));
        assert!(matches!(interrupted, Ok(None)), "{interrupted:?}");
        let broken = uninterrupted(Err(io::ErrorKind::BrokenPipe.into()));
        assert!(broken.is_err(), "{broken:?}");
        assert!(matches!(uninterrupted(Ok(1)), Ok(Some(1))));
    }
}
