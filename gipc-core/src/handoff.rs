//! How a child gets the handles that it was given, and no others.
//!
//! The child is this program started again, with one socket on descriptor 0. Over the socket come first the descriptors, and
//! then the arguments with what the former owner of each handle had read ahead. Nothing is inherited, so no program that is
//! started at the same moment can inherit anything by mistake.

use crate::end::{Body, Held};
use crate::reader::ReaderState;
use crate::writer_state::WriterState;
use crate::{Duplex, Error, Handle, Reader, Writer, platform};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The environment variable that names the entry, until the child has read it. A program may contain two versions of this
/// crate; each starts its own children.
pub(crate) const ENTRY_VARIABLE: &str = concat!("GIPC_CORE_ENTRY_", env!("CARGO_PKG_VERSION"));

/// The bytes of a length on the control socket.
const LENGTH: usize = 8;

/// Handles that are about to go. If it is dropped before `commit`, they stay with their owner.
pub(crate) struct OutgoingHandles {
    pieces: Vec<Piece>,
    stdin: Option<RawFd>,
}

/// The open parts of a handle; at least one.
struct Piece {
    is_duplex: bool,
    reader: Option<Held<ReaderState>>,
    writer: Option<Held<WriterState>>,
}

impl OutgoingHandles {
    /// Reserves all of the handles, or refuses and changes nothing.
    pub(crate) fn pack(handles: &VecDeque<Handle>, stdin: Option<RawFd>) -> Result<Self, Error> {
        let mut seen: Vec<RawFd> = Vec::new();
        // A closed handle is reported first and a handle in use last, after every reason why the call makes no sense.
        if handles.iter().any(|handle| descriptors(handle).next().is_none()) {
            return Err(Error::Closed);
        }
        for descriptor in handles.iter().flat_map(descriptors) {
            if seen.contains(&descriptor) {
                return Err(Error::GivenTwice);
            }
            seen.push(descriptor);
        }
        let pieces = handles.iter().map(|handle| {
            let (reader, writer) = halves(handle);
            let reader = unless_closed(reader.map(Reader::reserve))?;
            let writer = unless_closed(writer.map(Writer::reserve))?;
            if reader.is_none() && writer.is_none() {
                return Err(Error::Closed);
            }
            Ok(Piece { is_duplex: matches!(handle, Handle::Duplex(_)), reader, writer })
        });
        Ok(Self { pieces: pieces.collect::<Result<_, Error>>()?, stdin })
    }

    /// Sends the descriptors, as many as the system accepts at once. That needs only a few bytes of the socket, so it does
    /// not wait.
    pub(crate) fn send(&self, control: &UnixStream) -> io::Result<Sent> {
        let descriptors = self.pieces.iter().flat_map(Piece::descriptors).chain(self.stdin);
        let mut sent = Sent { missing: descriptors.collect(), is_complete: false };
        sent.go_on(control)?;
        Ok(sent)
    }

    /// The bytes that follow, and how many they are: the arguments, then for each handle its kind and what was read ahead.
    pub(crate) fn label(&self, args: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        append(&mut bytes, args);
        for piece in &self.pieces {
            bytes.push(piece.kind());
            if let Some(reader) = &piece.reader {
                append_with(&mut bytes, |bytes| reader.leftover(bytes));
            }
        }
        if self.stdin.is_some() {
            bytes.push(b'i');
        }
        let len = (bytes.len() - LENGTH) as u64;
        bytes[..LENGTH].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    /// Gives the handles to the child. This process closes its copies by dropping the result.
    pub(crate) fn commit(self) -> Vec<Body> {
        let bodies = self.pieces.into_iter().flat_map(|piece| {
            let writer = piece.writer.map(|writer| writer.commit() as Body);
            writer.into_iter().chain(piece.reader.map(|reader| reader.commit() as Body))
        });
        bodies.collect()
    }
}

/// The descriptors for a child that are not sent yet. Their owner keeps them open until all are sent.
pub(crate) struct Sent {
    missing: Vec<RawFd>,
    /// Whether the child was told that no more follow.
    is_complete: bool,
}

impl Sent {
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Sends more descriptors. Returns whether all are sent. Linux refuses to have more than RLIMIT_NOFILE descriptors of a
    /// user other than root sent and not yet received, counted over all children.
    ///
    /// A child that has ended counts as having got all of them: its status says how it ended, so this is not an error.
    pub(crate) fn go_on(&mut self, control: &UnixStream) -> io::Result<bool> {
        while !self.is_complete {
            let count = self.missing.len().min(platform::DESCRIPTORS_PER_MESSAGE);
            let (some, later) = self.missing.split_at(count);
            let later = u32::try_from(later.len()).map_err(io::Error::other)?.to_le_bytes();
            let (bytes, rights) = ([IoSlice::new(&later)], [ControlMessage::ScmRights(some)]);
            let rights = if some.is_empty() { &[] } else { &rights[..] };
            match sendmsg::<()>(control.as_raw_fd(), &bytes, rights, MsgFlags::empty(), None) {
                Ok(_) => {
                    self.missing.drain(..count);
                    self.is_complete = self.missing.is_empty();
                }
                Err(Errno::EINTR) => {}
                Err(Errno::ETOOMANYREFS | Errno::EAGAIN) => return Ok(false),
                Err(Errno::EPIPE | Errno::ECONNRESET) => self.is_complete = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Piece {
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let reader = self.reader.iter().map(|reader| reader.source.as_raw_fd());
        reader.chain(self.writer.iter().map(|writer| writer.sink.as_raw_fd()))
    }

    /// A byte that says which handle the child must make.
    fn kind(&self) -> u8 {
        match (self.is_duplex, &self.reader, &self.writer) {
            (false, Some(_), _) => b'r',
            (false, None, _) => b'w',
            (true, Some(_), Some(_)) => b'd',
            (true, Some(_), None) => b'g',
            (true, None, _) => b'p',
        }
    }
}

fn halves(handle: &Handle) -> (Option<&Reader>, Option<&Writer>) {
    match handle {
        Handle::Reader(reader) => (Some(reader), None),
        Handle::Writer(writer) => (None, Some(writer)),
        Handle::Duplex(both) => (Some(both.reader()), Some(both.writer())),
    }
}

/// The descriptors of the open parts of a handle.
fn descriptors(handle: &Handle) -> impl Iterator<Item = RawFd> {
    let (reader, writer) = halves(handle);
    let reader = reader.and_then(Reader::descriptor);
    reader.into_iter().chain(writer.and_then(Writer::descriptor))
}

fn unless_closed<T>(reserved: Option<Result<Held<T>, Error>>) -> Result<Option<Held<T>>, Error> {
    match reserved {
        None | Some(Err(Error::Closed)) => Ok(None),
        Some(reserved) => reserved.map(Some),
    }
}

/// Appends a part, preceded by its length.
fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    append_with(bytes, |bytes| bytes.extend(part));
}

fn append_with(bytes: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
    let at = bytes.len();
    bytes.extend([0; LENGTH]);
    part(bytes);
    let len = (bytes.len() - at - LENGTH) as u64;
    bytes[at..at + LENGTH].copy_from_slice(&len.to_le_bytes());
}

/// What arrived, in the child.
pub(crate) struct ReceivedHandles {
    /// The socket to the parent, which stays open. It ends when the parent ends.
    control: UnixStream,
    descriptors: Vec<OwnedFd>,
    label: Vec<u8>,
}

impl ReceivedHandles {
    pub(crate) fn receive(control: &UnixStream) -> Result<Self, Error> {
        let mut control = control.try_clone()?;
        let mut descriptors = Vec::new();
        while platform::receive(&control, &mut descriptors)?.ok_or_else(torn)? > 0 {}
        let mut len = [0; LENGTH];
        control.read_exact(&mut len).map_err(|_| torn())?;
        let len = u64::from_le_bytes(len);
        let mut label = Vec::new();
        if (&control).take(len).read_to_end(&mut label)? as u64 != len {
            return Err(torn());
        }
        Ok(Self { control, descriptors, label })
    }

    /// The bytes of the arguments.
    pub(crate) fn args(&self) -> Result<&[u8], Error> {
        Label(&self.label).part()
    }

    /// Makes handles of it, and returns them with the socket to the parent.
    pub(crate) fn open(self) -> Result<(VecDeque<Handle>, UnixStream), Error> {
        let mut label = Label(&self.label);
        label.part()?; // the arguments
        let mut descriptors = self.descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(torn);
        let mut handles = VecDeque::new();
        while let Some(kind) = label.kind() {
            if kind == b'i' {
                nix::unistd::dup2_stdin(next()?).map_err(io::Error::from)?;
                continue;
            }
            let reader = match kind {
                b'r' | b'd' | b'g' => {
                    Some(Reader::from_descriptor(next()?, label.part()?.to_vec()))
                }
                _ => None,
            };
            let writer = match kind {
                b'w' | b'd' | b'p' => Some(Writer::from(next()?)),
                _ => None,
            };
            handles.push_back(match (kind, reader, writer) {
                (b'r', Some(reader), _) => Handle::Reader(reader),
                (b'w', _, Some(writer)) => Handle::Writer(writer),
                (_, reader, writer) => Handle::Duplex(Duplex::from_halves(
                    reader.unwrap_or_else(Reader::closed),
                    writer.unwrap_or_else(Writer::closed),
                )),
            });
        }
        Ok((handles, self.control))
    }
}

/// Reads what `OutgoingHandles::label` has written.
struct Label<'a>(&'a [u8]);

impl<'a> Label<'a> {
    fn kind(&mut self) -> Option<u8> {
        let (kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*kind)
    }

    fn number(&mut self) -> Result<usize, Error> {
        let (number, rest) = self.0.split_first_chunk().ok_or_else(torn)?;
        self.0 = rest;
        usize::try_from(u64::from_le_bytes(*number)).map_err(|_| torn())
    }

    fn part(&mut self) -> Result<&'a [u8], Error> {
        let len = self.number()?;
        let (part, rest) = self.0.split_at_checked(len).ok_or_else(torn)?;
        self.0 = rest;
        Ok(part)
    }
}

fn torn() -> Error {
    let why = "its parent went away before it had handed everything over";
    Error::Io(io::Error::new(ErrorKind::UnexpectedEof, why))
}
