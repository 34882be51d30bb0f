//! What a child reports before it ends, to the process that started it: one byte for the kind, then a value or a text.

use std::io::Write;
use std::os::unix::net::UnixStream;

/// The exit code of a child that panicked, as in std.
pub(crate) const PANICKED: i32 = 101;

/// The exit code of a child that could not begin.
pub(crate) const CANNOT_BEGIN: i32 = 127;

/// How a child ended, as reported by itself.
pub(crate) enum Report {
    /// The encoded result of its entry.
    Value(Vec<u8>),
    /// The error that its entry returned.
    Failed(String),
    /// The message of its panic.
    Panic(String),
    /// Why it could not begin.
    NotBegun(String),
    /// Why its result could not be sent.
    Lost(String),
}

impl Report {
    /// Sends the report to the parent, if the parent still exists.
    pub(crate) fn send(&self, mut control: &UnixStream) {
        let (kind, bytes): (u8, &[u8]) = match self {
            Self::Value(bytes) => (b'v', bytes),
            Self::Failed(text) => (b'f', text.as_bytes()),
            Self::Panic(text) => (b'p', text.as_bytes()),
            Self::NotBegun(text) => (b'u', text.as_bytes()),
            Self::Lost(text) => (b'l', text.as_bytes()),
        };
        let _ = control.set_nonblocking(false);
        let _ = control.write_all(&[kind]).and_then(|()| control.write_all(bytes));
    }

    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Value(_) => 0,
            Self::Failed(_) => 1,
            Self::Lost(_) => 70,
            Self::Panic(_) => PANICKED,
            Self::NotBegun(_) => CANNOT_BEGIN,
        }
    }

    /// Reads the report of a child. A result longer than `limit` is lost, and a longer text is cut at the limit. `None` if
    /// the child reported nothing: then only its status says how it ended.
    pub(crate) fn read(mut said: Vec<u8>, limit: usize) -> Option<Self> {
        let kind = *said.first()?;
        said.remove(0);
        if kind == b'v' {
            if said.len() <= limit {
                return Some(Self::Value(said));
            }
            let why =
                format!("the result is longer than the {limit} bytes of Command::result_limit");
            return Some(Self::Lost(why));
        }
        said.truncate(limit);
        let text = String::from_utf8_lossy(&said).into_owned();
        match kind {
            b'f' => Some(Self::Failed(text)),
            b'p' => Some(Self::Panic(text)),
            b'u' => Some(Self::NotBegun(text)),
            b'l' => Some(Self::Lost(text)),
            _ => None,
        }
    }
}
