//! The standard streams of programs that an agent on tokio starts: the ends that the agent keeps, by name.

use crate::command::{WirePayload, WireStream};
use crate::implementation::{Answer, Completed, Failure, message_outcome, payload_bytes};
use crate::protocol::WireOutcome;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::Mutex;

/// The ends of the standard streams that this process has kept.
///
/// A message has a header of four bytes, its length with the most significant byte first.
#[derive(Debug, Default)]
pub struct Streams(RefCell<BTreeMap<String, Rc<Mutex<Option<Kept>>>>>);

/// Makes an end of a descriptor again.
type Restore = fn(OwnedFd) -> io::Result<Stream>;

/// An end of a stream that this process has.
#[derive(Debug)]
struct Kept {
    end: Stream,
    /// Whether it ended inside a message; it does so at each further get.
    is_truncated: bool,
}

/// The end of a standard stream of a child. It closes when it is dropped.
#[derive(Debug)]
pub enum Stream {
    /// The end that writes to the standard input.
    Stdin(ChildStdin),
    /// The end that reads the standard output.
    Stdout(ChildStdout),
    /// The end that reads the standard error.
    Stderr(ChildStderr),
}

/// Ends that are given to a child which is about to start. When this is dropped they return to this process, since a child
/// that was not started takes nothing.
#[derive(Debug)]
pub struct GivenEnds<'a> {
    streams: &'a Streams,
    taken: Vec<TakenEnd>,
}

#[derive(Debug)]
struct TakenEnd {
    name: String,
    descriptor: OwnedFd,
    restore: Restore,
    is_truncated: bool,
}

impl GivenEnds<'_> {
    /// Takes an end, and returns a copy of its descriptor for the child.
    ///
    /// # Errors
    ///
    /// `closed` if this process does not have the end, `locked` if a task uses it, or the error of the system if there is no
    /// room for the copy.
    pub fn take(&mut self, handle: &str) -> Result<OwnedFd, Failure> {
        let end = self.streams.end(handle)?;
        let end = end.try_lock().map_err(|_| WireOutcome::Locked)?.take();
        let Kept { end, is_truncated } = end.ok_or(WireOutcome::Closed)?;
        let (descriptor, restore) = end.into_descriptor()?;
        let copy = descriptor.try_clone();
        let name = handle.to_owned();
        self.taken.push(TakenEnd { name, descriptor, restore, is_truncated });
        Ok(copy?)
    }

    /// Closes the ends in this process: the child was started and has them.
    pub fn leave(mut self) {
        self.taken.clear();
    }
}

impl Drop for GivenEnds<'_> {
    fn drop(&mut self) {
        for TakenEnd { name, descriptor, restore, is_truncated } in self.taken.drain(..) {
            // This fails only if the system refuses to watch a descriptor that it has watched before.
            if let Ok(end) = restore(descriptor) {
                self.streams.insert(name, Kept { end, is_truncated });
            }
        }
    }
}

impl Streams {
    /// Whether a handle is the end of a stream that this process has or had.
    #[must_use]
    pub fn has(&self, handle: &str) -> bool {
        self.0.borrow().contains_key(handle)
    }

    /// The number of ends that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        let ends = self.0.borrow();
        // A task holds the lock only of an end that is open.
        ends.values().filter(|end| end.try_lock().map_or(true, |end| end.is_some())).count() as u64
    }

    /// Begins to give ends to a child. The ends return to this process unless [`GivenEnds::leave`] is called.
    #[must_use]
    pub fn give(&self) -> GivenEnds<'_> {
        GivenEnds { streams: self, taken: Vec::new() }
    }

    /// Keeps the ends that a child was started with, and returns the answer of `run`.
    pub fn keep(
        &self,
        streams: impl IntoIterator<Item = (Option<WireStream>, Option<Stream>)>,
    ) -> Completed {
        let mut descriptors = BTreeMap::new();
        for stream in streams {
            let (Some(WireStream::Pipe(name)), Some(end)) = stream else { continue };
            descriptors.insert(name.clone(), end.descriptor());
            self.insert(name, Kept { end, is_truncated: false });
        }
        Completed::with_descriptors(descriptors)
    }

    fn insert(&self, name: String, kept: Kept) {
        self.0.borrow_mut().insert(name, Rc::new(Mutex::new(Some(kept))));
    }

    /// The header of a message of this length, if it can express it.
    #[must_use]
    pub fn frame_header(len: u64) -> Option<Vec<u8>> {
        Some(u32::try_from(len).ok()?.to_be_bytes().to_vec())
    }

    /// Sends one message. If it is dropped before it completes, a part of the message may have been written.
    ///
    /// # Errors
    ///
    /// The outcome of the call, such as `broken`.
    pub async fn put(&self, handle: &str, payload: &WirePayload) -> Answer {
        let payload = payload_bytes(payload);
        let len = u32::try_from(payload.len()).map_err(|_| WireOutcome::TooLarge)?;
        let end = self.end(handle)?;
        let mut end = end.lock().await;
        match &mut end.as_mut().ok_or(WireOutcome::Closed)?.end {
            Stream::Stdin(end) => {
                end.write_all(&[&len.to_be_bytes()[..], &payload].concat()).await?;
            }
            _ => return Err(Failure::unsupported("impossible by type: an output is not written")),
        }
        Ok(WireOutcome::Ok.into())
    }

    /// Receives one message. If it is dropped before it completes, a part of the message may be lost.
    ///
    /// # Errors
    ///
    /// The outcome of the call, such as `truncated`.
    pub async fn get(&self, handle: &str) -> Answer {
        let end = self.end(handle)?;
        let mut end = end.lock().await;
        let kept = end.as_mut().ok_or(WireOutcome::Closed)?;
        if kept.is_truncated {
            return Err(WireOutcome::Truncated.into());
        }
        let got = match &mut kept.end {
            Stream::Stdout(end) => receive(end).await,
            Stream::Stderr(end) => receive(end).await,
            Stream::Stdin(_) => {
                return Err(Failure::unsupported("impossible by type: an input is not read"));
            }
        };
        kept.is_truncated = matches!(&got, Err(error) if error.kind() == ErrorKind::UnexpectedEof);
        let got = got?;
        Ok(got.map_or(WireOutcome::Eof, |got| message_outcome(&got)).into())
    }

    /// Drops an end.
    ///
    /// # Errors
    ///
    /// `closed` if this process does not have it any more, `locked` if a task uses it.
    pub fn close(&self, handle: &str) -> Answer {
        let end = self.end(handle)?;
        let end = end.try_lock().map_err(|_| WireOutcome::Locked)?.take();
        end.map(drop).ok_or(WireOutcome::Closed)?;
        Ok(WireOutcome::Ok.into())
    }

    /// The descriptor of an end.
    ///
    /// # Errors
    ///
    /// `closed` if this process does not have it any more, `locked` if a task uses it.
    pub fn descriptor(&self, handle: &str) -> Result<RawFd, Failure> {
        let end = self.end(handle)?;
        let end = end.try_lock().map_err(|_| WireOutcome::Locked)?;
        Ok(end.as_ref().ok_or(WireOutcome::Closed)?.end.descriptor())
    }

    fn end(&self, handle: &str) -> Result<Rc<Mutex<Option<Kept>>>, Failure> {
        self.0.borrow().get(handle).cloned().ok_or(WireOutcome::Closed.into())
    }
}

impl Stream {
    /// The descriptor, which then blocks, and what makes it an end again.
    fn into_descriptor(self) -> io::Result<(OwnedFd, Restore)> {
        Ok(match self {
            Self::Stdin(end) => {
                (end.into_owned_fd()?, |fd| ChildStdin::from_std(fd.into()).map(Self::Stdin))
            }
            Self::Stdout(end) => {
                (end.into_owned_fd()?, |fd| ChildStdout::from_std(fd.into()).map(Self::Stdout))
            }
            Self::Stderr(end) => {
                (end.into_owned_fd()?, |fd| ChildStderr::from_std(fd.into()).map(Self::Stderr))
            }
        })
    }

    fn descriptor(&self) -> RawFd {
        match self {
            Self::Stdin(end) => end.as_raw_fd(),
            Self::Stdout(end) => end.as_raw_fd(),
            Self::Stderr(end) => end.as_raw_fd(),
        }
    }
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 4];
    let first = stream.read(&mut header).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[first..]).await?;
    let len = usize::try_from(u32::from_be_bytes(header));
    let mut message = vec![0; len.map_err(|_| ErrorKind::UnexpectedEof)?];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}
