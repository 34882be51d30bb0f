//! The sending side that the clones of a writer share, and the turn of one put at it.
//!
//! No message stays incomplete: if a put ends in the middle of a frame, for whatever reason, the rest of that frame is kept
//! here and written before anything else.

use crate::Error;
use crate::channel::Channel;
use crate::end::{End, Held};
use crate::frame::Outgoing;
use crate::growth::Growth;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime;

/// What the clones of a writer share.
pub(crate) struct WriterState {
    pub(crate) sink: Channel,
    /// A buffer for short messages, kept from one put to the next.
    scratch: Vec<u8>,
    /// The unwritten rest of a frame whose put was dropped or failed. It precedes everything else.
    rest: Rest,
    /// Set once a large message was put: whether the pipe was made larger.
    growth: Option<Growth>,
}

impl WriterState {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self {
            sink: Channel::for_writing(descriptor),
            scratch: Vec::new(),
            rest: Rest::default(),
            growth: None,
        }
    }

    /// Whether part of a frame is in the pipe and its rest is here.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.sent < self.rest.bytes.len()
    }

    /// Writes the rest of the frame. Cancel-safe: what was written is not written again.
    async fn write_rest(&mut self) -> Result<(), Error> {
        while self.has_rest() {
            match self.sink.write([&self.rest.bytes[self.rest.sent..], &[]]).await {
                Ok(sent) => self.rest.sent += sent,
                Err(error) if is_broken(&error) => {
                    self.rest = Rest::default(); // nothing can read it any more
                    return Err(Error::Broken);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.rest = Rest::default();
        Ok(())
    }
}

/// The rest of a frame, and how much of it is written.
#[derive(Default)]
struct Rest {
    bytes: Vec<u8>,
    sent: usize,
}

/// The turn of one operation at a writer that has no unfinished frame. If it is dropped with an unfinished frame, the turn
/// goes on in the background.
pub(crate) struct Turn(Option<Held<WriterState>>);

impl Turn {
    /// Waits for the turn, then writes what an earlier put has left. Cancel-safe.
    pub(crate) async fn enter(end: &Arc<End<WriterState>>) -> Result<Self, Error> {
        let mut turn = Self(Some(end.enter().await?));
        turn.write_rest().await?;
        Ok(turn)
    }

    /// Waits for the turn, writes what an earlier put has left, and closes.
    pub(crate) async fn close(end: &Arc<End<WriterState>>) -> Result<(), Error> {
        let mut turn = Self(Some(end.enter().await?));
        let written = turn.write_rest().await;
        if !turn.held().has_rest() {
            drop(turn.0.take().map(Held::commit));
        }
        written
    }

    async fn write_rest(&mut self) -> Result<(), Error> {
        let (end, state) = self.held().parts();
        if !state.has_rest() {
            return Ok(());
        }
        end.unless_aborted(state.write_rest()).await.unwrap_or(Err(Error::Closed))
    }

    fn held(&mut self) -> &mut Held<WriterState> {
        self.0.as_mut().expect("a turn has its writer until it is dropped")
    }

    /// Returns the buffer for the next frame. [`write`](Self::write) brings it back.
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held().scratch)
    }

    /// Writes the whole frame. If it is dropped or fails in the middle, it leaves the rest with the writer and sets
    /// `left_rest`.
    pub(crate) async fn write(
        &mut self,
        frame: Outgoing<'_>,
        left_rest: &AtomicBool,
    ) -> Result<(), Error> {
        let (end, state) = self.held().parts();
        if state.growth.is_none() && frame.is_large() {
            state.growth = Some(Growth::of(&state.sink));
        }
        let mut writing = Writing { state, frame, left_rest };
        let written = end.unless_aborted(writing.frame.write(&mut writing.state.sink)).await;
        match written {
            None => Err(Error::Closed),
            Some(Err(error)) if is_broken(&error) => {
                writing.frame.abandon(); // nothing can read the rest
                Err(Error::Broken)
            }
            Some(written) => written.map_err(Error::from),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut held) = self.0.take().filter(|held| held.has_rest()) else { return };
        // The task keeps the turn, so the next put waits until the rest is written. If there is no runtime, or it ends
        // before that, the next put writes the rest.
        if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(async move {
                let (end, state) = held.parts();
                // If nothing reads any more, the next put reports it.
                let _ = end.unless_aborted(state.write_rest()).await;
            });
        }
    }
}

/// A frame that is being written. Whenever it is dropped, it leaves the missing part of the frame with the state of the writer.
struct Writing<'s, 'm> {
    state: &'s mut WriterState,
    frame: Outgoing<'m>,
    left_rest: &'s AtomicBool,
}

impl Drop for Writing<'_, '_> {
    fn drop(&mut self) {
        let rest = self.frame.rest_of_frame();
        if !rest.is_empty() {
            self.state.rest = Rest { bytes: rest, sent: 0 };
            self.left_rest.store(true, Ordering::Relaxed);
        }
        self.state.scratch = self.frame.take_scratch();
    }
}

fn is_broken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}
