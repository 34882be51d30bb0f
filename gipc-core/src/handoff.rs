//! How a child gets the handles it was given, and no others.
//!
//! The child is this program started again, with one socket on descriptor 0. Over it come first the descriptors
//! and then the arguments with what their former owner had read ahead. Nothing is inherited, so nothing can be
//! inherited by mistake, by whomever starts a program at the same moment.

use crate::end::Reserved;
use crate::frame::Incoming;
use crate::{Codec, Duplex, Error, Reader, Writer, platform};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::unix::pipe;

/// Names the entry in the child's environment, for as long as it takes to read it.
pub(crate) const ENTRY_VARIABLE: &str = "GIPC_CORE_ENTRY";

/// The exit code of a child that could not begin.
const CANNOT_BEGIN: i32 = 127;

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// A handle on its way to a child, of whatever kind.
#[derive(Clone, Debug)]
pub enum Handle {
    /// The end that gets.
    Reader(Reader),
    /// The end that puts.
    Writer(Writer),
    /// Both.
    Duplex(Duplex),
}

impl<C: Codec> From<Reader<C>> for Handle {
    fn from(reader: Reader<C>) -> Self {
        Self::Reader(reader.with())
    }
}

impl<C: Codec> From<Writer<C>> for Handle {
    fn from(writer: Writer<C>) -> Self {
        Self::Writer(writer.with())
    }
}

impl<In: Codec, Out: Codec> From<Duplex<In, Out>> for Handle {
    fn from(duplex: Duplex<In, Out>) -> Self {
        Self::Duplex(duplex.with())
    }
}

/// What a child is started with.
#[derive(Debug)]
pub struct Start {
    /// The arguments, in the order they were given.
    pub args: Vec<String>,
    /// The handles, in the order they were given. This process owns them now.
    pub handles: Vec<Handle>,
}

type Run = Box<dyn Fn(Start) -> Pin<Box<dyn Future<Output = i32>>>>;

/// A function that a child can begin with, and its name.
pub struct Entry {
    name: &'static str,
    run: Run,
}

/// Names a function. What it returns is the exit code of the child (its lowest eight bits); a panic is 101.
pub fn entry<F, O>(name: &'static str, run: F) -> Entry
where
    F: Fn(Start) -> O + 'static,
    O: Future<Output = i32> + 'static,
{
    Entry { name, run: Box::new(move |start| Box::pin(run(start))) }
}

/// Must be the first statement of `main`, in a process with one thread. In a child of this library it runs the entry
/// on a runtime of its own and does not return; anywhere else it only remembers that it was called.
///
/// The child begins with a clean signal state, SIGPIPE ignored, and no descriptor but 0 (the null device), 1, 2 and
/// those of its handles. One that cannot begin says why on its stderr and exits with 127.
pub fn init(entries: &[Entry]) {
    let Some(name) = platform::take_variable(ENTRY_VARIABLE) else {
        INITIALISED.store(true, Ordering::Relaxed);
        return;
    };
    let code = begin(entries, &name.to_string_lossy()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "this child cannot begin: {error}");
        CANNOT_BEGIN
    });
    std::process::exit(code & 0xff)
}

pub(crate) fn is_initialised() -> bool {
    INITIALISED.load(Ordering::Relaxed)
}

fn begin(entries: &[Entry], name: &str) -> Result<i32, Error> {
    let control = platform::take_stdin()?;
    platform::clean_signals()?;
    platform::close_strangers(control.as_raw_fd());
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        let known: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        return Err(Error::Misuse(format!(
            "no entry is named {name}; there are {}",
            known.join(", ")
        )));
    };
    INITIALISED.store(true, Ordering::Relaxed);
    let parcel = Parcel::receive(control)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Ok((entry.run)(parcel.open()?).await) })
}

/// Handles that are about to go. Dropped before `commit`, they stay with their owner.
pub(crate) struct Luggage {
    pieces: Vec<Piece>,
}

enum Piece {
    Reader(Reserved<Incoming<pipe::Receiver>>),
    Writer(Reserved<pipe::Sender>),
    Duplex(Reserved<Incoming<pipe::Receiver>>, Reserved<pipe::Sender>),
}

impl Luggage {
    /// Keeps everybody away from the handles, or refuses and changes nothing.
    pub(crate) fn pack(handles: &[Handle]) -> Result<Self, Error> {
        let mut seen: Vec<RawFd> = Vec::new();
        for descriptor in handles.iter().flat_map(descriptors).flatten() {
            if seen.contains(&descriptor) {
                return Err(Error::Misuse(
                    "a handle is given twice; a child can have it once".into(),
                ));
            }
            seen.push(descriptor);
        }
        let pieces = handles.iter().map(|handle| {
            Ok(match handle {
                Handle::Reader(reader) => Piece::Reader(reader.reserve()?),
                Handle::Writer(writer) => Piece::Writer(writer.reserve()?),
                Handle::Duplex(both) => {
                    Piece::Duplex(both.reader().reserve()?, both.writer().reserve()?)
                }
            })
        });
        Ok(Self { pieces: pieces.collect::<Result<_, Error>>()? })
    }

    /// Puts the descriptors on their way. It takes a few bytes of the socket, so it does not wait.
    ///
    /// A child that is gone already got them and lost them, as any child that dies: its status says so, and no error.
    pub(crate) fn send(&self, control: &UnixStream) -> io::Result<()> {
        match self.try_send(control) {
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            sent => sent,
        }
    }

    fn try_send(&self, control: &UnixStream) -> io::Result<()> {
        let descriptors: Vec<RawFd> = self.pieces.iter().flat_map(Piece::descriptors).collect();
        let count = u32::try_from(descriptors.len()).map_err(io::Error::other)?;
        (&mut &*control).write_all(&count.to_le_bytes())?;
        for some in descriptors.chunks(platform::DESCRIPTORS_A_MESSAGE) {
            let rights = [ControlMessage::ScmRights(some)];
            sendmsg::<()>(
                control.as_raw_fd(),
                &[IoSlice::new(&[0])],
                &rights,
                MsgFlags::empty(),
                None,
            )?;
        }
        Ok(())
    }

    /// The bytes that follow: arguments, then for each handle its kind and what was read ahead.
    pub(crate) fn label(&self, args: &[String]) -> Vec<u8> {
        let mut bytes = (args.len() as u64).to_le_bytes().to_vec();
        for arg in args {
            append(&mut bytes, arg.as_bytes());
        }
        for piece in &self.pieces {
            match piece {
                Piece::Writer(_) => bytes.push(b'w'),
                Piece::Reader(reader) => {
                    bytes.push(b'r');
                    append(&mut bytes, &reader.body().leftover());
                }
                Piece::Duplex(reader, _) => {
                    bytes.push(b'd');
                    append(&mut bytes, &reader.body().leftover());
                }
            }
        }
        bytes
    }

    /// They are the child's now: this process closes its copies.
    pub(crate) fn commit(self) {
        for piece in self.pieces {
            match piece {
                Piece::Reader(reader) => drop(reader.commit()),
                Piece::Writer(writer) => drop(writer.commit()),
                Piece::Duplex(reader, writer) => {
                    drop(writer.commit());
                    drop(reader.commit());
                }
            }
        }
    }
}

impl Piece {
    fn descriptors(&self) -> Vec<RawFd> {
        match self {
            Self::Reader(reader) => vec![reader.body().source.as_raw_fd()],
            Self::Writer(writer) => vec![writer.body().as_raw_fd()],
            Self::Duplex(reader, writer) => {
                vec![reader.body().source.as_raw_fd(), writer.body().as_raw_fd()]
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

fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
}

/// What came, in the child.
struct Parcel {
    descriptors: Vec<OwnedFd>,
    label: Vec<u8>,
}

impl Parcel {
    fn receive(mut control: UnixStream) -> Result<Self, Error> {
        let mut count = [0; 4];
        control.read_exact(&mut count)?;
        let count = u32::from_le_bytes(count) as usize;
        let mut descriptors = Vec::new();
        while descriptors.len() < count {
            let some = platform::receive(&control)?;
            if some.is_empty() {
                return Err(torn());
            }
            descriptors.extend(some);
        }
        let mut label = Vec::new();
        control.read_to_end(&mut label)?;
        Ok(Self { descriptors, label })
    }

    /// Makes handles of it; a runtime must be running.
    fn open(self) -> Result<Start, Error> {
        let mut label = Label(&self.label);
        let mut descriptors = self.descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(torn);
        let count = label.number()?;
        let mut args = Vec::new();
        for _ in 0..count {
            args.push(String::from_utf8_lossy(label.part()?).into_owned());
        }
        let mut handles = Vec::new();
        while let Some(kind) = label.kind() {
            handles.push(match kind {
                b'r' => Handle::Reader(Reader::from_descriptor(next()?, label.part()?.to_vec())?),
                b'w' => Handle::Writer(Writer::from_descriptor(next()?)?),
                _ => {
                    let reader = Reader::from_descriptor(next()?, label.part()?.to_vec())?;
                    Handle::Duplex(Duplex::from_halves(reader, Writer::from_descriptor(next()?)?))
                }
            });
        }
        Ok(Start { args, handles })
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
    Error::Misuse("its parent went away before it had handed everything over".into())
}
