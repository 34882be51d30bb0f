//! The error type of the commands: why a request cannot be carried out, in words for a person.

use crate::adapter::AdapterError;
use std::fmt;
use std::path::Path;

/// An error with a complete message: place, cause, cure.
#[derive(Debug)]
pub enum Error {
    /// The request is wrong: usage, a scenario or a manifest that is refused. A command exits with 2.
    Usage(String),
    /// The system, a file or an adapter makes the answer impossible. A command exits with 3.
    Unable(String),
}

impl Error {
    /// A wrong request.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// An answer that is impossible.
    pub fn unable(message: impl Into<String>) -> Self {
        Self::Unable(message.into())
    }

    /// A file that could not be written.
    pub fn unwritable(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::Unable(format!("error: cannot write {}: {error}", path.display()))
    }

    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unable(_) => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Unable(message)) = self;
        f.write_str(message.trim_end())
    }
}

impl std::error::Error for Error {}

impl From<AdapterError> for Error {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::Bad(text) => Self::Usage(format!("error: {text}")),
            AdapterError::Absent(text) => Self::Unable(format!("error: {text}")),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Unable(format!("error: {error}"))
    }
}
