//! The error of every operation on handles and children.

use crate::codec::CodecError;
use std::fmt;
use std::io;
use tokio::runtime::{TryCurrentError, is_rt_shutdown_err};

/// Why an operation failed. Unless a variant says otherwise, nothing has happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The handle was closed, or given to a child: this process no longer has it.
    Closed,
    /// The handle is in use by another task, or half a message must still be finished, so it can be neither closed nor given
    /// away now.
    Locked,
    /// The other end was closed in the middle of a message. The part that came is lost, and every later get returns the same
    /// error.
    Truncated,
    /// The other end is closed, so nothing can read what is put. Part of it may have been written.
    Broken,
    /// The message is longer than [`MAX_MESSAGE`](crate::MAX_MESSAGE), or than [`limit`](crate::Reader::limit) allows. After
    /// this error from `get`, the pipe is unusable: it is unknown where the next message begins.
    TooLarge {
        /// The length of the message, or the length that it announces, in bytes.
        len: u64,
        /// The maximum length, in bytes.
        max: u64,
    },
    /// The time limit expired. The message of a put is withdrawn.
    Timeout,
    /// The time limit of a put expired in the middle of its message. The rest is written in the background before anything
    /// else. Putting the message again would send it twice.
    StillSending,
    /// No whole message is there now: [`try_get`](crate::Reader::try_get) does not wait for one.
    WouldBlock,
    /// The value could not be encoded. Nothing of it was written; of `put_all`, all messages before it were written.
    Encode(CodecError),
    /// The bytes are not a value of the expected type. The next message is not affected.
    Decode(CodecError),
    /// A handle is given to a child twice. A child can have it only once.
    GivenTwice,
    /// [`init!`](crate::init!) was not called. It must be the first thing that `main` does.
    NotInitialised,
    /// There is no tokio runtime here, or the one that the handle belongs to has ended.
    NoRuntime,
    /// The system refused. This is the system's own error.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the handle is closed, or was given away"),
            Self::Locked => f.write_str("the handle is in use by another task"),
            Self::Truncated => f.write_str("the other end went away in the middle of a message"),
            Self::Broken => f.write_str("the other end is closed"),
            Self::TooLarge { len, max } => {
                write!(f, "a message of {len} bytes, but at most {max} are allowed")
            }
            Self::Timeout => f.write_str("the time limit passed"),
            Self::StillSending => f.write_str(
                "the time limit passed in the middle of the message; its rest is sent in the background",
            ),
            Self::WouldBlock => f.write_str("no message is there now"),
            Self::Encode(error) => write!(f, "this value cannot be sent: {error}"),
            Self::Decode(error) => {
                write!(f, "this message is not a value of the expected type: {error}")
            }
            Self::GivenTwice => f.write_str("a handle is given twice; a child can have it once"),
            Self::NotInitialised => {
                f.write_str("gipc_core::init! must be the first thing that main does")
            }
            Self::NoRuntime => f.write_str("no tokio runtime is here, or it has ended"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The `Display` text above already contains the error itself.
            Self::Io(error) => error.source(),
            Self::Encode(error) | Self::Decode(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let is_elsewhere = error.get_ref().is_some_and(|inner| inner.is::<TryCurrentError>());
        if is_elsewhere || is_rt_shutdown_err(&error) { Self::NoRuntime } else { Self::Io(error) }
    }
}
