//! The sending side that the clones of a writer share, and a put under way: half a message never stays alone.
//!
//! Knows frames and turns; what may be put, and who may, is `pipe`'s.

use crate::Error;
use crate::channel::Channel;
use crate::end::InUse;
use crate::frame::Outgoing;
use std::io::{self, Cursor, ErrorKind};
use std::os::fd::OwnedFd;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::runtime;

/// What writers share.
pub(crate) struct Outlet {
    pub(crate) sink: Channel<Sender>,
    /// Where short messages are put together.
    pub(crate) room: Vec<u8>,
    /// What is still to be written of a message whose put was given up. It goes before anything else.
    rest: Cursor<Vec<u8>>,
}

impl Outlet {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self { sink: Channel::Idle(descriptor), room: Vec::new(), rest: Cursor::default() }
    }

    /// Whether half a message is in the pipe, and its other half here.
    pub(crate) fn owes(&self) -> bool {
        !self.rest.get_ref().is_empty()
    }

    /// Writes what is still owed. Cancel-safe: what is written is not written again.
    pub(crate) async fn settle(&mut self) -> Result<(), Error> {
        if self.owes() {
            let written = self.sink.write_all_buf(&mut self.rest).await;
            self.told(written)?;
        }
        Ok(())
    }

    /// What a write came to. Nothing is owed any more where all is written, or where nobody reads.
    fn told(&mut self, written: io::Result<()>) -> Result<(), Error> {
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Io(error)),
            written => {
                self.rest = Cursor::default();
                written.map_err(|_| Error::Broken)
            }
        }
    }
}

/// A put under way. Given up or failed in its middle, it leaves what its frame lacks with the outlet.
pub(crate) struct Put<'e, 'm> {
    turn: Option<InUse<'e, Outlet>>,
    frame: Outgoing<'m>,
}

impl<'e, 'm> Put<'e, 'm> {
    pub(crate) fn new(turn: InUse<'e, Outlet>, frame: Outgoing<'m>) -> Self {
        Self { turn: Some(turn), frame }
    }

    /// Writes all of it, and gives the turn back.
    pub(crate) async fn finish(mut self) -> Result<InUse<'e, Outlet>, Error> {
        let Some(turn) = &mut self.turn else { return Err(Error::Closed) };
        let written = self.frame.write(&mut turn.sink).await;
        if written.is_err() {
            turn.rest = Cursor::new(self.frame.rest_of_frame());
        }
        turn.told(written)?;
        let Some(mut turn) = self.turn.take() else { return Err(Error::Closed) };
        turn.room = self.frame.take_room();
        Ok(turn)
    }
}

impl Drop for Put<'_, '_> {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        if !turn.owes() {
            turn.rest = Cursor::new(self.frame.rest_of_frame());
        }
        if !turn.owes() {
            return;
        }
        // The turn goes along: whoever puts next waits behind the rest of this message. Where there is no runtime, or it
        // ends before that, whoever puts next writes the rest himself.
        if let Ok(runtime) = runtime::Handle::try_current() {
            let mut turn = turn.detach();
            runtime.spawn(async move {
                // If nobody reads any more, the next put says so.
                let _ = turn.body_mut().settle().await;
            });
        }
    }
}
