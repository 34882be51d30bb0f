//! One end of a pipe as all clones of a handle share it: free, in use, or gone.
//!
//! An end knows nothing about messages. It ensures that operations run one after the other in the order in which they were
//! requested, and that an end in use cannot be taken away from them.

use crate::Error;
#[cfg(shuttle)] // its tests try every order of the threads that use an end
use shuttle::sync::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;
use std::pin::pin;
#[cfg(not(shuttle))]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// The contents of an end that was taken away, of whatever type. Dropping it closes its descriptor.
pub(crate) type Body = Box<dyn Send + Sync>;

pub(crate) struct End<T> {
    state: Mutex<State<T>>,
    descriptor: RawFd,
    /// Notified when the end is taken away from an operation that has its turn.
    aborted: Notify,
}

/// The state of an end. An operation takes the body out for its turn, and the waiting operations are handed it in order. The
/// lock is held only briefly, never while an operation waits.
enum State<T> {
    Free(Box<T>),
    InUse(Queue<T>),
    Gone,
}

/// The operations that wait for the body, each with a number.
struct Queue<T> {
    waiting: VecDeque<(u64, Waker)>,
    next: u64,
    /// The body for the operation whose turn it is and that is just being woken.
    handed: Option<(u64, Box<T>)>,
}

impl<T> State<T> {
    /// Takes the body out, if it is free.
    fn take(&mut self) -> Option<Box<T>> {
        let queue = Queue { waiting: VecDeque::new(), next: 0, handed: None };
        match std::mem::replace(self, Self::InUse(queue)) {
            Self::Free(body) => Some(body),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl<T> End<T> {
    pub(crate) fn new(body: T, descriptor: RawFd) -> Arc<Self> {
        let state = Mutex::new(State::Free(Box::new(body)));
        Arc::new(Self { state, descriptor, aborted: Notify::new() })
    }

    /// An end that was closed before this process got it.
    pub(crate) fn gone() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Gone), descriptor: -1, aborted: Notify::new() })
    }

    /// The descriptor, while this process has it.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.with(|state| match state {
            State::Gone => None,
            _ => Some(self.descriptor),
        })
    }

    /// Waits for the turn of one operation. Cancel-safe: a dropped wait leaves the queue.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Held<T>, Error> {
        let mut place = Place { end: self, number: None };
        let body = poll_fn(|context| place.poll(context)).await?;
        Ok(Held { end: Arc::clone(self), body: Some(body) })
    }

    /// Does something that never waits, if the end is free now.
    pub(crate) fn at_once<R>(&self, act: impl FnOnce(&mut T) -> Option<R>) -> Option<R> {
        self.with(|state| match state {
            State::Free(body) => act(body),
            _ => None,
        })
    }

    /// Takes a turn at once or not at all, for a close or a spawn. Other operations wait until it is decided whether the end
    /// goes or stays.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Held<T>, Error> {
        let body = self.with(|state| match state {
            State::Gone => Err(Error::Closed),
            _ => state.take().ok_or(Error::Locked),
        })?;
        Ok(Held { end: Arc::clone(self), body: Some(body) })
    }

    /// Takes the end away from all clones, whichever operation has its turn. The body is dropped with that turn. Returns
    /// whether the end was there.
    pub(crate) fn abort(&self) -> bool {
        let was_there = self.leave();
        self.aborted.notify_waiters();
        was_there
    }

    /// Does work of the operation that has the turn. If the end is taken away from it, the work stops, and this returns
    /// `None`.
    pub(crate) async fn unless_aborted<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        let mut work = pin!(work);
        // Most work is done at once. Only work that waits needs to be told about an abort.
        if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
        {
            return Some(done);
        }
        // An abort is noticed from here on, so none is missed between this line and the check of the state.
        let aborted = self.aborted.notified();
        self.descriptor()?;
        tokio::select! {
            biased;
            done = work => Some(done),
            () = aborted => None,
        }
    }

    /// Marks the end as gone, and wakes the tasks that wait for it. Returns whether it was there.
    fn leave(&self) -> bool {
        let before = self.with(|state| std::mem::replace(state, State::Gone));
        let was_there = !matches!(before, State::Gone);
        if let State::InUse(queue) = before {
            queue.waiting.into_iter().for_each(|(_, waker)| waker.wake());
        }
        was_there
    }

    /// Hands the body to the operation that has waited longest, or puts it back. If the end is gone, drops the body.
    fn release(&self, body: Box<T>) {
        let (next, _dropped_after_unlocking) = self.with(|state| {
            match state {
                State::Gone => return (None, Some(body)),
                State::InUse(queue) => {
                    if let Some((number, waker)) = queue.waiting.pop_front() {
                        queue.handed = Some((number, body));
                        return (Some(waker), None);
                    }
                }
                State::Free(_) => {}
            }
            *state = State::Free(body);
            (None, None)
        });
        if let Some(next) = next {
            next.wake();
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place in the queue. If it is dropped after it was handed the body, the body goes to the next operation.
struct Place<'a, T> {
    end: &'a End<T>,
    /// `None` before the operation is in the queue, and once it has the body.
    number: Option<u64>,
}

impl<T> Place<'_, T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Box<T>, Error>> {
        let number = &mut self.number;
        if let Some(done) = self.end.with(|state| take(state, number)) {
            return Poll::Ready(done);
        }
        // Cloning or dropping a waker can run any code, even code that uses this end, so both happen outside of the lock.
        let waker = context.waker().clone();
        let (polled, _unused) = self.end.with(|state| match take(state, number) {
            Some(done) => (Poll::Ready(done), Some(waker)),
            None => (Poll::Pending, enqueue(state, number, waker)),
        });
        polled
    }
}

/// What a waiting operation gets now; `None` if it must go on waiting.
fn take<T>(state: &mut State<T>, number: &mut Option<u64>) -> Option<Result<Box<T>, Error>> {
    match state {
        State::InUse(queue) => {
            let mine = (*number)?;
            let (_, body) = queue.handed.take_if(|(receiver, _)| *receiver == mine)?;
            *number = None;
            Some(Ok(body))
        }
        State::Free(_) => state.take().map(Ok),
        State::Gone => Some(Err(Error::Closed)),
    }
}

/// Takes a place in the queue, or renews its waker. Returns the waker that is no longer needed.
fn enqueue<T>(state: &mut State<T>, number: &mut Option<u64>, waker: Waker) -> Option<Waker> {
    let State::InUse(queue) = state else { return Some(waker) };
    if let Some(mine) = *number {
        let place = queue.waiting.iter_mut().find(|(waiting, _)| *waiting == mine);
        return Some(match place {
            Some((_, former)) => std::mem::replace(former, waker),
            None => waker,
        });
    }
    *number = Some(queue.next);
    queue.waiting.push_back((queue.next, waker));
    queue.next += 1;
    None
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let Some(mine) = self.number else { return };
        let (_waker, body) = self.end.with(|state| {
            let State::InUse(queue) = state else { return (None, None) };
            let place = queue.waiting.iter().position(|(waiting, _)| *waiting == mine);
            let waker = place.and_then(|place| queue.waiting.remove(place));
            let body = queue.handed.take_if(|(receiver, _)| *receiver == mine);
            (waker, body.map(|(_, body)| body))
        });
        if let Some(body) = body {
            self.end.release(body);
        }
    }
}

/// A turn of an operation, a close or a spawn. It borrows nothing, so it can outlive the call that began it.
pub(crate) struct Held<T> {
    end: Arc<End<T>>,
    body: Option<Box<T>>,
}

impl<T> Held<T> {
    /// The end, and what it holds.
    pub(crate) fn parts(&mut self) -> (&End<T>, &mut T) {
        (&self.end, self.body.as_mut().expect("an end in use has its body"))
    }

    /// Takes the end away from all clones, and wakes the tasks that wait for it. Dropping the result closes the descriptor.
    pub(crate) fn commit(mut self) -> Box<T> {
        self.end.leave();
        self.body.take().expect("an end in use has its body")
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.body.as_ref().expect("an end in use has its body")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.parts().1
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.end.release(body);
        }
    }
}

#[cfg(all(test, shuttle))]
mod tests;
