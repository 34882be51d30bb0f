//! The pipe ends of this process, by name. Tasks share an end behind tokio's mutex, as is usual; dropping it closes it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A pipe end as tasks share it; `None` after it was dropped or moved to a child.
pub(crate) type Shared<T> = Arc<Mutex<Option<T>>>;

/// The pipe end, or the two ends of a duplex, that a name refers to.
#[derive(Clone)]
pub(crate) enum End {
    Receiver(Shared<pipe::Receiver>),
    Sender(Shared<pipe::Sender>),
    Both(Shared<pipe::Receiver>, Shared<pipe::Sender>),
}

/// A locked pipe end.
pub(crate) enum Held {
    Receiver(OwnedMutexGuard<Option<pipe::Receiver>>),
    Sender(OwnedMutexGuard<Option<pipe::Sender>>),
}

impl Held {
    /// The descriptor, if the end is open.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.as_fd().map(|fd| fd.as_raw_fd())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Receiver(end) => end.as_ref().map(AsFd::as_fd),
            Self::Sender(end) => end.as_ref().map(AsFd::as_fd),
        }
    }

    /// Closes the end.
    pub(crate) fn close(mut self) {
        match &mut self {
            Self::Receiver(end) => drop(end.take()),
            Self::Sender(end) => drop(end.take()),
        }
    }
}

/// Another task holds the lock of the end.
pub(crate) struct InUse;

impl End {
    /// Locks the one or two ends without waiting.
    pub(crate) fn lock(&self) -> Result<Vec<Held>, InUse> {
        let receiver = |end: &Shared<pipe::Receiver>| {
            Arc::clone(end).try_lock_owned().map(Held::Receiver).map_err(|_| InUse)
        };
        let sender = |end: &Shared<pipe::Sender>| {
            Arc::clone(end).try_lock_owned().map(Held::Sender).map_err(|_| InUse)
        };
        Ok(match self {
            Self::Receiver(end) => vec![receiver(end)?],
            Self::Sender(end) => vec![sender(end)?],
            Self::Both(near, far) => vec![receiver(near)?, sender(far)?],
        })
    }
}

/// All pipe ends of this process, by name.
#[derive(Default)]
pub(crate) struct Ends(RefCell<BTreeMap<String, End>>);

impl Ends {
    /// The end with this name.
    pub(crate) fn find(&self, name: &str) -> Option<End> {
        self.0.borrow().get(name).cloned()
    }

    /// Creates a pipe. Returns the descriptors by the names of its ends.
    pub(crate) fn pipe(&self, reader: &str, writer: &str) -> io::Result<BTreeMap<String, i32>> {
        let (sender, receiver) = pipe::pipe()?;
        let descriptors = [(reader, receiver.as_raw_fd()), (writer, sender.as_raw_fd())];
        let descriptors = descriptors.map(|(name, fd)| (name.to_owned(), fd)).into();
        self.keep(reader, End::Receiver(shared(receiver)));
        self.keep(writer, End::Sender(shared(sender)));
        Ok(descriptors)
    }

    /// Creates a duplex, which is two pipes. Returns the descriptors by the names of its four ends.
    pub(crate) fn duplex(&self, near: &str, far: &str) -> io::Result<BTreeMap<String, i32>> {
        let (to_far, to_near) = (pipe::pipe()?, pipe::pipe()?);
        let mut descriptors = BTreeMap::new();
        for (name, receiver, sender) in [(near, to_near.1, to_far.0), (far, to_far.1, to_near.0)] {
            descriptors.insert(format!("{name}.r"), receiver.as_raw_fd());
            descriptors.insert(format!("{name}.w"), sender.as_raw_fd());
            self.keep_both(name, receiver, sender);
        }
        Ok(descriptors)
    }

    /// Stores a duplex under its name, and its two ends as `NAME.r` and `NAME.w`.
    pub(crate) fn keep_both(&self, name: &str, receiver: pipe::Receiver, sender: pipe::Sender) {
        let (receiver, sender) = (shared(receiver), shared(sender));
        self.keep(&format!("{name}.r"), End::Receiver(Arc::clone(&receiver)));
        self.keep(&format!("{name}.w"), End::Sender(Arc::clone(&sender)));
        self.keep(name, End::Both(receiver, sender));
    }

    /// Drops the end or the duplex with this name.
    pub(crate) fn forget(&self, name: &str) {
        let names = [name.to_owned(), format!("{name}.r"), format!("{name}.w")];
        self.0.borrow_mut().retain(|kept, _| !names.contains(kept));
    }

    /// Stores an end under its name.
    pub(crate) fn keep(&self, name: &str, end: End) {
        self.0.borrow_mut().insert(name.to_owned(), end);
    }
}

/// Wraps an end for sharing between tasks.
pub(crate) fn shared<T>(end: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(end)))
}
