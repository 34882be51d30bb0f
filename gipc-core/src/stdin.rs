//! The stdin of a child. Its descriptor travels like a handle, since descriptor 0 of a child is the socket to its parent
//! until the entry begins.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::process::ChildStdin;

/// The stdin of a child, as [`Stdio`](std::process::Stdio) is for other programs. `into` converts a file or a descriptor to
/// it; the result can be the stdin of several children.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// The null device: the child reads nothing.
    #[default]
    Null,
    /// The stdin of this process.
    Inherit,
    /// A new pipe, to which this process writes with [`Process::take_stdin`](crate::Process::take_stdin).
    Piped,
    /// This descriptor.
    Descriptor(Arc<OwnedFd>),
}

impl Stdin {
    /// The descriptor for the child and, if it is new, its other end.
    pub(crate) fn open(&self) -> io::Result<(Option<Arc<OwnedFd>>, Option<ChildStdin>)> {
        Ok(match self {
            Self::Null => (None, None),
            Self::Inherit => (Some(Arc::new(io::stdin().as_fd().try_clone_to_owned()?)), None),
            Self::Piped => {
                let (theirs, ours) = crate::platform::pipe()?;
                (Some(Arc::new(theirs)), Some(ChildStdin::from_std(ours.into())?))
            }
            Self::Descriptor(descriptor) => (Some(Arc::clone(descriptor)), None),
        })
    }
}

impl From<OwnedFd> for Stdin {
    fn from(descriptor: OwnedFd) -> Self {
        Self::Descriptor(Arc::new(descriptor))
    }
}

impl From<File> for Stdin {
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}
