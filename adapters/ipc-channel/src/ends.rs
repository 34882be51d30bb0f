//! The channel ends of this process, by name. Threads share an end behind a mutex, since a receiver is not `Sync`;
//! dropping an end closes it.

use crate::channels::{self, Receiver, Sender};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// A channel end as threads share it; `None` after it was dropped or moved to a child.
pub(crate) type Shared<T> = Arc<Mutex<Option<T>>>;

/// The channel end, or the two ends of a duplex, that a name refers to.
#[derive(Clone)]
pub(crate) enum End {
    Receiver(Shared<Receiver>),
    Sender(Shared<Sender>),
    Both(Shared<Receiver>, Shared<Sender>),
}

impl End {
    /// The receiver, if there is one.
    pub(crate) fn receiver(&self) -> Option<&Shared<Receiver>> {
        match self {
            Self::Receiver(end) | Self::Both(end, _) => Some(end),
            Self::Sender(_) => None,
        }
    }

    /// The sender, if there is one.
    pub(crate) fn sender(&self) -> Option<&Shared<Sender>> {
        match self {
            Self::Sender(end) | Self::Both(_, end) => Some(end),
            Self::Receiver(_) => None,
        }
    }

    /// Locks the one or two ends without waiting.
    pub(crate) fn try_lock(&self) -> Result<Held<'_>, InUse> {
        let receiver = self.receiver().map(|end| try_lock(end)).transpose()?;
        let sender = self.sender().map(|end| try_lock(end)).transpose()?;
        Ok(Held { receiver, sender })
    }
}

/// The locked ends that a name refers to.
pub(crate) struct Held<'a> {
    receiver: Option<MutexGuard<'a, Option<Receiver>>>,
    sender: Option<MutexGuard<'a, Option<Sender>>>,
}

impl Held<'_> {
    /// Whether an end was dropped or moved to a child.
    pub(crate) fn is_closed(&self) -> bool {
        self.receiver.as_ref().is_some_and(|end| end.is_none())
            || self.sender.as_ref().is_some_and(|end| end.is_none())
    }

    /// Removes the open ends.
    pub(crate) fn take(&mut self) -> (Option<Receiver>, Option<Sender>) {
        let receiver = self.receiver.as_mut().and_then(|end| end.take());
        (receiver, self.sender.as_mut().and_then(|end| end.take()))
    }
}

/// Another thread holds the mutex of an end.
pub(crate) struct InUse;

/// Locks a mutex, and waits for it.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex without waiting.
fn try_lock<T>(shared: &Mutex<T>) -> Result<MutexGuard<'_, T>, InUse> {
    match shared.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
        Err(TryLockError::WouldBlock) => Err(InUse),
    }
}

/// All channel ends of this process, by name.
#[derive(Default)]
pub(crate) struct Ends(Mutex<BTreeMap<String, End>>);

impl Ends {
    /// The end with this name.
    pub(crate) fn find(&self, name: &str) -> Option<End> {
        lock(&self.0).get(name).cloned()
    }

    /// Creates a channel for bytes, or with the codec of this name.
    pub(crate) fn channel(
        &self,
        reader: &str,
        writer: &str,
        codec: Option<&str>,
    ) -> io::Result<()> {
        let (sender, receiver) = channels::channel(codec)?;
        self.keep(reader, End::Receiver(shared(receiver)));
        self.keep(writer, End::Sender(shared(sender)));
        Ok(())
    }

    /// Creates a duplex, which is two channels.
    pub(crate) fn duplex(&self, near: &str, far: &str) -> io::Result<()> {
        let (to_far, to_near) = (channels::channel(None)?, channels::channel(None)?);
        self.keep_both(near, to_near.1, to_far.0);
        self.keep_both(far, to_far.1, to_near.0);
        Ok(())
    }

    /// Stores a duplex under its name, and its two ends as `NAME.r` and `NAME.w`.
    pub(crate) fn keep_both(&self, name: &str, receiver: Receiver, sender: Sender) {
        let (receiver, sender) = (shared(receiver), shared(sender));
        self.keep(&format!("{name}.r"), End::Receiver(Arc::clone(&receiver)));
        self.keep(&format!("{name}.w"), End::Sender(Arc::clone(&sender)));
        self.keep(name, End::Both(receiver, sender));
    }

    /// Stores an end under its name.
    pub(crate) fn keep(&self, name: &str, end: End) {
        lock(&self.0).insert(name.to_owned(), end);
    }
}

/// Wraps an end for sharing between threads.
pub(crate) fn shared<T>(end: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(end)))
}
