//! `run`: the start of a program whose standard streams are ends of pipes, as data and as text, and how it is read.

use super::token_line::TokenLine;
use super::{ParseError, Side};
use ecow::EcoString;
use std::fmt::{self, Display, Formatter};

/// What `run` starts, and with which standard streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStart {
    /// The program.
    pub executable: Executable,
    /// The streams that are ends of pipes, each at most once. The implementation decides about the other streams.
    pub streams: Vec<Stream>,
}

/// The program that is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executable {
    /// The program of the harness, which performs the steps of the child with plain system calls.
    Script,
    /// A file that does not exist.
    Missing,
    /// A file that is not executable.
    NotExecutable,
}

/// A standard stream of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Which stream it is.
    pub name: StreamName,
    /// The pipe that it is an end of.
    pub source: StreamSource,
}

/// The standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamName {
    /// Standard input, which the program reads.
    Stdin,
    /// Standard output, which the program writes.
    Stdout,
    /// Standard error, which the program writes.
    Stderr,
}

/// Where the end of a stream comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSource {
    /// The implementation makes a pipe for the stream and keeps the other end.
    Pipe {
        /// The reading end.
        reader: EcoString,
        /// The writing end.
        writer: EcoString,
    },
    /// An end that the process has, which moves to the child.
    Given {
        /// The handle.
        handle: EcoString,
    },
}

impl StreamName {
    /// All streams, in the order of their descriptors.
    pub const ALL: [Self; 3] = [Self::Stdin, Self::Stdout, Self::Stderr];

    /// The word of the language for this stream.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The side of the pipe that the program has.
    #[must_use]
    pub fn side(self) -> Side {
        if self == Self::Stdin { Side::Reader } else { Side::Writer }
    }
}

impl Stream {
    /// The handle of the end that the program has.
    #[must_use]
    pub fn of_child(&self) -> &str {
        match (&self.source, self.name.side()) {
            (StreamSource::Given { handle }, _) => handle,
            (StreamSource::Pipe { reader, .. }, Side::Reader) => reader,
            (StreamSource::Pipe { writer, .. }, Side::Writer) => writer,
        }
    }

    /// The handle of the end that the starting process keeps, if the stream is a new pipe.
    #[must_use]
    pub fn of_parent(&self) -> Option<&str> {
        match (&self.source, self.name.side()) {
            (StreamSource::Given { .. }, _) => None,
            (StreamSource::Pipe { writer, .. }, Side::Reader) => Some(writer),
            (StreamSource::Pipe { reader, .. }, Side::Writer) => Some(reader),
        }
    }
}

impl ProgramStart {
    /// The pipes that are made: the reading and the writing end of each.
    pub fn pipes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.streams.iter().filter_map(|stream| match &stream.source {
            StreamSource::Pipe { reader, writer } => Some((reader.as_str(), writer.as_str())),
            StreamSource::Given { .. } => None,
        })
    }

    /// The handles of the ends that the program has, new ones and given ones.
    pub fn given_to_child(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(Stream::of_child)
    }

    pub(super) fn names_mut(&mut self) -> Vec<&mut EcoString> {
        let sources = self.streams.iter_mut().map(|stream| &mut stream.source);
        sources
            .flat_map(|source| match source {
                StreamSource::Pipe { reader, writer } => vec![reader, writer],
                StreamSource::Given { handle } => vec![handle],
            })
            .collect()
    }
}

/// Reads what follows the name of the child, from the token `at` up to `end`.
pub(super) fn parse(
    tokens: &TokenLine<'_>,
    mut at: usize,
    end: usize,
) -> Result<ProgramStart, ParseError> {
    let executable = match tokens.text(at) {
        "missing" => Executable::Missing,
        "not-executable" => Executable::NotExecutable,
        _ => Executable::Script,
    };
    at += usize::from(executable != Executable::Script);
    let mut streams: Vec<Stream> = Vec::new();
    while at < end {
        let Some(name) = stream_name(tokens.text(at)) else {
            let hint = "write `stdin R W`, `stdout R W` or `stderr R W`, or one handle to give it";
            return Err(tokens.error(at, "not a standard stream", hint));
        };
        if streams.iter().any(|stream| stream.name == name) {
            return Err(tokens.error(at, "this stream is named twice", "name each stream once"));
        }
        let is_pipe = at + 2 < end && stream_name(tokens.text(at + 2)).is_none();
        let source = match is_pipe {
            true => {
                StreamSource::Pipe { reader: tokens.name(at + 1)?, writer: tokens.name(at + 2)? }
            }
            false => StreamSource::Given { handle: tokens.handle(at + 1)? },
        };
        at += if is_pipe { 3 } else { 2 };
        streams.push(Stream { name, source });
    }
    Ok(ProgramStart { executable, streams })
}

fn stream_name(word: &str) -> Option<StreamName> {
    StreamName::ALL.into_iter().find(|name| name.word() == word)
}

impl Display for ProgramStart {
    /// Writes what follows the name of the child, with a blank before it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.executable {
            Executable::Script => "",
            Executable::Missing => " missing",
            Executable::NotExecutable => " not-executable",
        })?;
        self.streams.iter().try_for_each(|stream| {
            write!(f, " {}", stream.name.word())?;
            match &stream.source {
                StreamSource::Pipe { reader, writer } => write!(f, " {reader} {writer}"),
                StreamSource::Given { handle } => write!(f, " {handle}"),
            }
        })
    }
}
