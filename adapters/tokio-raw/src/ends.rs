//! The ends of pipes that this process has, by their names. Tasks share an end the usual way, behind tokio's own
//! mutex; to drop it is to close it. Does not know what is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// An end as tasks share it. `None`: it was dropped here, or went to a child.
pub(crate) type Shared<T> = Arc<Mutex<Option<T>>>;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum End {
    Receiver(Shared<pipe::Receiver>),
    Sender(Shared<pipe::Sender>),
    Both(Shared<pipe::Receiver>, Shared<pipe::Sender>),
}

/// One direction, in the hand of one task.
pub(crate) enum Held {
    Receiver(OwnedMutexGuard<Option<pipe::Receiver>>),
    Sender(OwnedMutexGuard<Option<pipe::Sender>>),
}

impl Held {
    /// Its descriptor, if it is open.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.as_fd().map(|fd| fd.as_raw_fd())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Receiver(end) => end.as_ref().map(AsFd::as_fd),
            Self::Sender(end) => end.as_ref().map(AsFd::as_fd),
        }
    }

    /// Drops what is inside.
    pub(crate) fn drop_it(mut self) {
        match &mut self {
            Self::Receiver(end) => drop(end.take()),
            Self::Sender(end) => drop(end.take()),
        }
    }
}

/// Another task is using it: tokio's mutex said so.
pub(crate) struct InUse;

impl End {
    /// The one or two directions of it, without waiting.
    pub(crate) fn hold(&self) -> Result<Vec<Held>, InUse> {
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

/// All of this process.
#[derive(Default)]
pub(crate) struct Ends(RefCell<BTreeMap<String, End>>);

impl Ends {
    pub(crate) fn find(&self, name: &str) -> Option<End> {
        self.0.borrow().get(name).cloned()
    }

    /// Makes a pipe; says the descriptors.
    pub(crate) fn pipe(&self, reader: &str, writer: &str) -> io::Result<BTreeMap<String, i32>> {
        let (sender, receiver) = pipe::pipe()?;
        let descriptors = [(reader, receiver.as_raw_fd()), (writer, sender.as_raw_fd())];
        let descriptors = descriptors.map(|(name, fd)| (name.to_owned(), fd)).into();
        self.keep(reader, End::Receiver(shared(receiver)));
        self.keep(writer, End::Sender(shared(sender)));
        Ok(descriptors)
    }

    /// Makes two crossed pipes; says the descriptors of their four ends.
    pub(crate) fn duplex(&self, near: &str, far: &str) -> io::Result<BTreeMap<String, i32>> {
        let (there, here) = (pipe::pipe()?, pipe::pipe()?);
        let mut descriptors = BTreeMap::new();
        for (name, receiver, sender) in [(near, here.1, there.0), (far, there.1, here.0)] {
            descriptors.insert(format!("{name}.r"), receiver.as_raw_fd());
            descriptors.insert(format!("{name}.w"), sender.as_raw_fd());
            self.keep_both(name, receiver, sender);
        }
        Ok(descriptors)
    }

    /// Keeps a duplex under its name, and its halves under theirs.
    pub(crate) fn keep_both(&self, name: &str, receiver: pipe::Receiver, sender: pipe::Sender) {
        let (receiver, sender) = (shared(receiver), shared(sender));
        self.keep(&format!("{name}.r"), End::Receiver(Arc::clone(&receiver)));
        self.keep(&format!("{name}.w"), End::Sender(Arc::clone(&sender)));
        self.keep(name, End::Both(receiver, sender));
    }

    pub(crate) fn keep(&self, name: &str, end: End) {
        self.0.borrow_mut().insert(name.to_owned(), end);
    }
}

pub(crate) fn shared<T>(end: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(end)))
}
