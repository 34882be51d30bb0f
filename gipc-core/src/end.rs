//! One end of a pipe as all clones of a handle share it: free, in use, being given away, or gone.
//!
//! Knows nothing of messages. It sees to it that operations come one after the other in the order they were
//! asked for, and that an end in use cannot be taken from under them.

use crate::Error;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many ends of pipes this process has open: two for a pipe, four for a duplex pair, less those that were closed,
/// dropped or given away.
#[must_use]
pub fn live_handles() -> usize {
    LIVE.load(Ordering::Relaxed)
}

pub(crate) struct End<T> {
    state: Mutex<State<T>>,
    descriptor: RawFd,
}

/// Who works with the body has taken it out; who comes meanwhile is handed it in turn. The lock is held only for
/// moments, never while anybody waits.
enum State<T> {
    Free(Box<T>),
    InUse(VecDeque<oneshot::Sender<Box<T>>>),
    /// A close or a spawn has it; it may come back.
    Reserved,
    Gone,
}

impl<T> End<T> {
    pub(crate) fn new(body: T, descriptor: RawFd) -> Arc<Self> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { state: Mutex::new(State::Free(Box::new(body))), descriptor })
    }

    /// The descriptor, while this process has it.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.with(|state| match state {
            State::Gone => None,
            _ => Some(self.descriptor),
        })
    }

    /// Waits for the turn of one operation. Cancel-safe: who gives up waiting leaves the queue.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<InUse<'_, T>, Error> {
        let turn = self.with(|state| match state {
            State::Free(_) => match std::mem::replace(state, State::InUse(VecDeque::new())) {
                State::Free(body) => Ok(Turn::Now(body)),
                _ => Err(Error::Locked), // it was free a moment ago, under the same lock
            },
            State::InUse(queue) => {
                let (hand, handed) = oneshot::channel();
                queue.push_back(hand);
                Ok(Turn::Later(handed))
            }
            State::Reserved => Err(Error::Locked),
            State::Gone => Err(Error::Closed),
        })?;
        let body = match turn {
            Turn::Now(body) => body,
            Turn::Later(handed) => Waiting { end: self, handed: Some(handed) }.body().await?,
        };
        Ok(InUse { end: self, body: Some(body) })
    }

    /// Keeps everybody else away, until it is decided whether the end goes or stays.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Reserved<T>, Error> {
        let body = self.with(|state| match std::mem::replace(state, State::Reserved) {
            State::Free(body) => Ok(body),
            other => {
                let error =
                    if matches!(other, State::Gone) { Error::Closed } else { Error::Locked };
                *state = other;
                Err(error)
            }
        })?;
        Ok(Reserved { end: Arc::clone(self), body: Some(body) })
    }

    /// Hands the body to whoever has waited longest and still waits, or puts it back.
    fn release(&self, mut body: Box<T>) {
        self.with(|state| {
            if let State::InUse(queue) = state {
                while let Some(next) = queue.pop_front() {
                    match next.send(body) {
                        Ok(()) => return,
                        Err(back) => body = back,
                    }
                }
            }
            *state = State::Free(body);
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if self.descriptor().is_some() {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

enum Turn<T> {
    Now(Box<T>),
    Later(oneshot::Receiver<Box<T>>),
}

/// A place in the queue. If it is given up at the moment when the body is handed over, the body goes on.
struct Waiting<'a, T> {
    end: &'a End<T>,
    handed: Option<oneshot::Receiver<Box<T>>>,
}

impl<T> Waiting<'_, T> {
    async fn body(mut self) -> Result<Box<T>, Error> {
        let handed = self.handed.as_mut().ok_or(Error::Closed)?;
        // The queue lives as long as the end does, and the end as long as this.
        let body = handed.await.map_err(|_| Error::Closed)?;
        self.handed = None;
        Ok(body)
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let Some(mut handed) = self.handed.take() else { return };
        handed.close();
        if let Ok(body) = handed.try_recv() {
            self.end.release(body);
        }
    }
}

/// One operation's turn at an end.
pub(crate) struct InUse<'a, T> {
    end: &'a Arc<End<T>>,
    body: Option<Box<T>>,
}

impl<T> InUse<'_, T> {
    /// The same turn, for work that goes on after the call that began it was dropped.
    pub(crate) fn detach(mut self) -> Detached<T> {
        Detached { end: Arc::clone(self.end), body: self.body.take() }
    }
}

impl<T> Deref for InUse<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.body.as_ref().expect("an end in use has its body")
    }
}

impl<T> DerefMut for InUse<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.body.as_mut().expect("an end in use has its body")
    }
}

impl<T> Drop for InUse<'_, T> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.end.release(body);
        }
    }
}

/// A turn that has outlived its call.
pub(crate) struct Detached<T> {
    end: Arc<End<T>>,
    body: Option<Box<T>>,
}

impl<T> Detached<T> {
    pub(crate) fn body(&mut self) -> Option<&mut T> {
        self.body.as_deref_mut()
    }
}

impl<T> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.end.release(body);
        }
    }
}

/// An end that is about to go. Dropped, it stays where it was.
pub(crate) struct Reserved<T> {
    end: Arc<End<T>>,
    body: Option<Box<T>>,
}

impl<T> Reserved<T> {
    pub(crate) fn body(&self) -> &T {
        self.body.as_ref().expect("a reserved end has its body")
    }

    /// Takes it away from all clones. Dropping what comes back closes the descriptor.
    pub(crate) fn commit(mut self) -> Box<T> {
        self.end.with(|state| *state = State::Gone);
        LIVE.fetch_sub(1, Ordering::Relaxed);
        self.body.take().expect("a reserved end has its body")
    }
}

impl<T> Drop for Reserved<T> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.end.with(|state| *state = State::Free(body));
        }
    }
}
