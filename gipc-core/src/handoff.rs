//! How a child gets the handles it was given, and no others.
//!
//! The child is this program started again, with one socket on descriptor 0. Over it come first the descriptors
//! and then the arguments with what their former owner had read ahead. Nothing is inherited, so nothing can be
//! inherited by mistake, by whomever starts a program at the same moment.

use crate::end::{Body, Held};
use crate::outlet::Outlet;
use crate::reader::Inlet;
use crate::{Duplex, Error, Handle, Reader, Writer, platform};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Names the entry in the child's environment, for as long as it takes to read it. A program may contain two versions of this
/// crate; each starts and answers its own children.
pub(crate) const ENTRY_VARIABLE: &str = concat!("GIPC_CORE_ENTRY_", env!("CARGO_PKG_VERSION"));

/// The bytes of a length on the control socket.
const LENGTH: usize = 8;

/// Handles that are about to go. Dropped before `commit`, they stay with their owner.
pub(crate) struct Luggage {
    pieces: Vec<Piece>,
    stdin: Option<RawFd>,
}

enum Piece {
    Reader(Held<Inlet>),
    Writer(Held<Outlet>),
    /// What is open of a duplex; not neither.
    Duplex(Option<Held<Inlet>>, Option<Held<Outlet>>),
}

impl Luggage {
    /// Reserves all of the handles, or refuses and changes nothing.
    pub(crate) fn pack(handles: &VecDeque<Handle>, stdin: Option<RawFd>) -> Result<Self, Error> {
        let mut seen: Vec<RawFd> = Vec::new();
        // What is closed is said first, and what is in use last: until then the call has to make sense.
        if handles.iter().any(is_closed) {
            return Err(Error::Closed);
        }
        for descriptor in handles.iter().flat_map(descriptors).flatten() {
            if seen.contains(&descriptor) {
                return Err(Error::GivenTwice);
            }
            seen.push(descriptor);
        }
        let pieces = handles.iter().map(|handle| {
            Ok(match handle {
                Handle::Reader(reader) => Piece::Reader(reader.reserve()?),
                Handle::Writer(writer) => Piece::Writer(writer.reserve()?),
                Handle::Duplex(both) => {
                    let reader = unless_closed(both.reader().reserve())?;
                    let writer = unless_closed(both.writer().reserve())?;
                    if reader.is_none() && writer.is_none() {
                        return Err(Error::Closed);
                    }
                    Piece::Duplex(reader, writer)
                }
            })
        });
        Ok(Self { pieces: pieces.collect::<Result<_, Error>>()?, stdin })
    }

    /// Puts the descriptors on their way, as many as the system takes at once. That needs a few bytes of the socket, so it
    /// does not wait.
    pub(crate) fn send(&self, control: &UnixStream) -> io::Result<Sent> {
        let descriptors: Vec<RawFd> =
            self.pieces.iter().flat_map(Piece::descriptors).chain(self.stdin).collect();
        let count = u32::try_from(descriptors.len()).map_err(io::Error::other)?;
        let mut sent = Sent { descriptors, count: 0 };
        match (&mut &*control).write_all(&count.to_le_bytes()) {
            Err(error) if is_gone(&error) => sent.count = sent.descriptors.len(),
            written => written?,
        }
        sent.go_on(control)?;
        Ok(sent)
    }

    /// The bytes that follow, and how many they are: the arguments, then for each handle its kind and what was read
    /// ahead.
    pub(crate) fn label(&self, args: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        append(&mut bytes, args);
        for piece in &self.pieces {
            match piece {
                Piece::Writer(_) => bytes.push(b'w'),
                Piece::Reader(reader) => {
                    bytes.push(b'r');
                    append_with(&mut bytes, |bytes| reader.body().leftover(bytes));
                }
                Piece::Duplex(None, _) => bytes.push(b'p'),
                Piece::Duplex(Some(reader), writer) => {
                    bytes.push(if writer.is_some() { b'd' } else { b'g' });
                    append_with(&mut bytes, |bytes| reader.body().leftover(bytes));
                }
            }
        }
        if self.stdin.is_some() {
            bytes.push(b'i');
        }
        let len = (bytes.len() - LENGTH) as u64;
        bytes[..LENGTH].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    /// They are the child's now. This process closes its copies by dropping what this returns.
    pub(crate) fn commit(self) -> Vec<Body> {
        let pieces = self.pieces.into_iter();
        pieces
            .flat_map(|piece| match piece {
                Piece::Reader(reader) => vec![reader.commit() as Body],
                Piece::Writer(writer) => vec![writer.commit() as Body],
                Piece::Duplex(reader, writer) => {
                    let writer = writer.map(|writer| writer.commit() as Body);
                    writer.into_iter().chain(reader.map(|reader| reader.commit() as Body)).collect()
                }
            })
            .collect()
    }
}

/// The descriptors for a child, and how many of them are sent. Their owner keeps them open until all are.
pub(crate) struct Sent {
    descriptors: Vec<RawFd>,
    count: usize,
}

impl Sent {
    pub(crate) fn is_complete(&self) -> bool {
        self.count == self.descriptors.len()
    }

    /// Sends more. Returns whether all are sent: Linux refuses more than RLIMIT_NOFILE descriptors of a user who is not root
    /// that were sent and not yet received, to whatever child.
    ///
    /// A child that is gone already got them and lost them, as any child that dies: its status says so, and no error.
    pub(crate) fn go_on(&mut self, control: &UnixStream) -> io::Result<bool> {
        while !self.is_complete() {
            let rest = &self.descriptors[self.count..];
            let some = &rest[..rest.len().min(platform::DESCRIPTORS_A_MESSAGE)];
            let (bytes, rights) = ([IoSlice::new(&[0])], [ControlMessage::ScmRights(some)]);
            let none = MsgFlags::empty();
            match sendmsg::<()>(control.as_raw_fd(), &bytes, &rights, none, None) {
                Ok(_) => self.count += some.len(),
                Err(Errno::EINTR) => {}
                Err(Errno::ETOOMANYREFS | Errno::EAGAIN) => return Ok(false),
                Err(error) if is_gone(&error.into()) => self.count = self.descriptors.len(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl Piece {
    fn descriptors(&self) -> Vec<RawFd> {
        match self {
            Self::Reader(reader) => vec![reader.body().source.as_raw_fd()],
            Self::Writer(writer) => vec![writer.body().sink.as_raw_fd()],
            Self::Duplex(reader, writer) => {
                let reader = reader.iter().map(|reader| reader.body().source.as_raw_fd());
                reader.chain(writer.iter().map(|writer| writer.body().sink.as_raw_fd())).collect()
            }
        }
    }
}

fn descriptors(handle: &Handle) -> [Option<RawFd>; 2] {
    match handle {
        Handle::Reader(reader) => [reader.descriptor(), None],
        Handle::Writer(writer) => [None, writer.descriptor()],
        Handle::Duplex(both) => [both.reader().descriptor(), both.writer().descriptor()],
    }
}

/// Whether there is nothing to give. Of a duplex, one half is enough.
fn is_closed(handle: &Handle) -> bool {
    descriptors(handle).iter().flatten().next().is_none()
}

fn unless_closed<T>(reserved: Result<Held<T>, Error>) -> Result<Option<Held<T>>, Error> {
    match reserved {
        Err(Error::Closed) => Ok(None),
        reserved => reserved.map(Some),
    }
}

/// Adds a part behind its length.
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

/// What came, in the child.
pub(crate) struct Parcel {
    /// The socket to the parent, which stays open: its end is the parent's.
    control: UnixStream,
    descriptors: Vec<OwnedFd>,
    label: Vec<u8>,
}

impl Parcel {
    pub(crate) fn receive(control: &UnixStream) -> Result<Self, Error> {
        let mut control = control.try_clone()?;
        let mut count = [0; 4];
        control.read_exact(&mut count).map_err(|_| torn())?;
        let count = u32::from_le_bytes(count) as usize;
        let mut descriptors = Vec::new();
        while descriptors.len() < count {
            let some = platform::receive(&control)?;
            if some.is_empty() {
                return Err(torn());
            }
            descriptors.extend(some);
        }
        let mut len = [0; LENGTH];
        control.read_exact(&mut len).map_err(|_| torn())?;
        let len = u64::from_le_bytes(len);
        let mut label = Vec::new();
        if (&control).take(len).read_to_end(&mut label)? as u64 != len {
            return Err(torn());
        }
        control.set_nonblocking(true)?;
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
            handles.push_back(match kind {
                b'r' => Handle::Reader(Reader::from_descriptor(next()?, label.part()?.to_vec())),
                b'w' => Handle::Writer(Writer::from_descriptor(next()?)),
                b'i' => {
                    nix::unistd::dup2_stdin(next()?).map_err(io::Error::from)?;
                    continue;
                }
                kind => {
                    let reader = match kind {
                        b'p' => Reader::closed(),
                        _ => Reader::from_descriptor(next()?, label.part()?.to_vec()),
                    };
                    let writer = match kind {
                        b'g' => Writer::closed(),
                        _ => Writer::from_descriptor(next()?),
                    };
                    Handle::Duplex(Duplex::from_halves(reader, writer))
                }
            });
        }
        Ok((handles, self.control))
    }
}

/// Reads what `Luggage::label` has written.
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
