//! One end of a pipe as all clones of a handle share it: open, in use, being given away, or gone.
//!
//! Knows nothing of messages. It sees to it that operations come one after the other in the order they were
//! asked for, and that an end in use cannot be taken from under them.

use crate::Error;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many ends of pipes this process has open: two for a pipe, four for a duplex pair, less those that were closed,
/// dropped or given away.
#[must_use]
pub fn live_handles() -> usize {
    LIVE.load(Ordering::Relaxed)
}

pub(crate) struct End<T> {
    gate: Mutex<Gate>,
    /// tokio's mutex is fair: first asked, first served. Empty once the end is gone.
    body: Arc<Queue<Option<T>>>,
    descriptor: RawFd,
}

#[derive(Clone, Copy)]
enum Gate {
    /// So many operations are under way or wait for their turn.
    Open {
        users: usize,
    },
    /// A close or a spawn has it; it may come back.
    Reserved,
    Gone,
}

impl<T> End<T> {
    pub(crate) fn new(body: T, descriptor: RawFd) -> Arc<Self> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        let body = Arc::new(Queue::new(Some(body)));
        Arc::new(Self { gate: Mutex::new(Gate::Open { users: 0 }), body, descriptor })
    }

    /// The descriptor, while this process has it.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.gate(|gate| match gate {
            Gate::Gone => None,
            _ => Some(self.descriptor),
        })
    }

    /// Waits for the turn of one operation. Cancel-safe: who gives up waiting leaves the queue.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<InUse<T>, Error> {
        self.gate(|gate| match gate {
            Gate::Open { users } => {
                *users += 1;
                Ok(())
            }
            Gate::Reserved => Err(Error::Locked),
            Gate::Gone => Err(Error::Closed),
        })?;
        let mut turn = InUse { body: None, end: Arc::clone(self) };
        turn.body = Some(Arc::clone(&self.body).lock_owned().await);
        Ok(turn)
    }

    /// Keeps everybody else away, until it is decided whether the end goes or stays.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Reserved<T>, Error> {
        self.gate(|gate| match gate {
            Gate::Open { users: 0 } => {
                *gate = Gate::Reserved;
                Ok(())
            }
            Gate::Open { .. } | Gate::Reserved => Err(Error::Locked),
            Gate::Gone => Err(Error::Closed),
        })?;
        // Nobody uses it, so nobody holds the lock; should that ever be wrong, dropping opens the gate again.
        let mut kept = Reserved { body: None, end: Arc::clone(self) };
        kept.body = Some(Arc::clone(&self.body).try_lock_owned().map_err(|_| Error::Locked)?);
        Ok(kept)
    }

    fn gate<R>(&self, act: impl FnOnce(&mut Gate) -> R) -> R {
        act(&mut self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if self.descriptor().is_some() {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One operation's turn at an end. It may outlive the call that asked for it.
pub(crate) struct InUse<T> {
    body: Option<OwnedMutexGuard<Option<T>>>,
    end: Arc<End<T>>,
}

impl<T> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.body.as_ref().and_then(|body| body.as_ref()).expect("an end in use has its body")
    }
}

impl<T> DerefMut for InUse<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.body.as_mut().and_then(|body| body.as_mut()).expect("an end in use has its body")
    }
}

impl<T> Drop for InUse<T> {
    fn drop(&mut self) {
        self.body = None; // first the lock, then the count: a count of zero means that the lock is free
        self.end.gate(|gate| {
            if let Gate::Open { users } = gate {
                *users -= 1;
            }
        });
    }
}

/// An end that is about to go. Dropped, it stays where it was.
pub(crate) struct Reserved<T> {
    body: Option<OwnedMutexGuard<Option<T>>>,
    end: Arc<End<T>>,
}

impl<T> Reserved<T> {
    pub(crate) fn body(&self) -> &T {
        self.body.as_ref().and_then(|body| body.as_ref()).expect("a reserved end has its body")
    }

    /// Takes it away from all clones. Dropping what comes back closes the descriptor.
    pub(crate) fn commit(mut self) -> T {
        let body =
            self.body.take().and_then(|mut body| body.take()).expect("a reserved end has its body");
        self.end.gate(|gate| *gate = Gate::Gone);
        LIVE.fetch_sub(1, Ordering::Relaxed);
        body
    }
}

impl<T> Drop for Reserved<T> {
    fn drop(&mut self) {
        self.body = None;
        self.end.gate(|gate| {
            if let Gate::Reserved = gate {
                *gate = Gate::Open { users: 0 };
            }
        });
    }
}
