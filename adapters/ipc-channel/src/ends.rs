//! The ends of channels that this process has, by their names. Threads share an end behind a mutex, without which a
//! receiver cannot be shared at all; to drop it is to close it. Does not know what is sent.

use crate::channels::{self, Receiver, Sender};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// An end as threads share it. `None`: it was dropped here, or went to a child.
pub(crate) type Shared<T> = Arc<Mutex<Option<T>>>;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum End {
    Receiver(Shared<Receiver>),
    Sender(Shared<Sender>),
    Both(Shared<Receiver>, Shared<Sender>),
}

impl End {
    pub(crate) fn receiver(&self) -> Option<&Shared<Receiver>> {
        match self {
            Self::Receiver(end) | Self::Both(end, _) => Some(end),
            Self::Sender(_) => None,
        }
    }

    pub(crate) fn sender(&self) -> Option<&Shared<Sender>> {
        match self {
            Self::Sender(end) | Self::Both(_, end) => Some(end),
            Self::Receiver(_) => None,
        }
    }

    /// The one or two directions of it, without waiting.
    pub(crate) fn hold(&self) -> Result<Held<'_>, InUse> {
        let receiver = self.receiver().map(|end| try_lock(end)).transpose()?;
        let sender = self.sender().map(|end| try_lock(end)).transpose()?;
        Ok(Held { receiver, sender })
    }
}

/// What an end has, in the hand of one thread.
pub(crate) struct Held<'a> {
    receiver: Option<MutexGuard<'a, Option<Receiver>>>,
    sender: Option<MutexGuard<'a, Option<Sender>>>,
}

impl Held<'_> {
    /// Whether a part of it is not here.
    pub(crate) fn is_closed(&self) -> bool {
        self.receiver.as_ref().is_some_and(|end| end.is_none())
            || self.sender.as_ref().is_some_and(|end| end.is_none())
    }

    /// Takes out what is inside.
    pub(crate) fn take(&mut self) -> (Option<Receiver>, Option<Sender>) {
        let receiver = self.receiver.as_mut().and_then(|end| end.take());
        (receiver, self.sender.as_mut().and_then(|end| end.take()))
    }
}

/// Another thread holds the mutex.
pub(crate) struct InUse;

/// Takes the mutex, and waits for it.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the mutex if nobody has it.
fn try_lock<T>(shared: &Mutex<T>) -> Result<MutexGuard<'_, T>, InUse> {
    match shared.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
        Err(TryLockError::WouldBlock) => Err(InUse),
    }
}

/// All of this process.
#[derive(Default)]
pub(crate) struct Ends(Mutex<BTreeMap<String, End>>);

impl Ends {
    pub(crate) fn find(&self, name: &str) -> Option<End> {
        lock(&self.0).get(name).cloned()
    }

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

    /// Two crossed channels.
    pub(crate) fn duplex(&self, near: &str, far: &str) -> io::Result<()> {
        let (there, here) = (channels::channel(None)?, channels::channel(None)?);
        self.keep_both(near, here.1, there.0);
        self.keep_both(far, there.1, here.0);
        Ok(())
    }

    /// Keeps a duplex under its name, and its halves under theirs.
    pub(crate) fn keep_both(&self, name: &str, receiver: Receiver, sender: Sender) {
        let (receiver, sender) = (shared(receiver), shared(sender));
        self.keep(&format!("{name}.r"), End::Receiver(Arc::clone(&receiver)));
        self.keep(&format!("{name}.w"), End::Sender(Arc::clone(&sender)));
        self.keep(name, End::Both(receiver, sender));
    }

    pub(crate) fn keep(&self, name: &str, end: End) {
        lock(&self.0).insert(name.to_owned(), end);
    }
}

pub(crate) fn shared<T>(end: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(end)))
}
