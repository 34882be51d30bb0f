//! An agent for a library that has pipes and no processes: its author writes two types and three functions.

use crate::command::Command;
use crate::implementation::{
    Answer, Completed, Failure, Identity, Implementation, Resources, conclude, message_outcome,
    payload_bytes,
};
use crate::protocol::WireOutcome;
use crate::session::serve;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::os::fd::RawFd;
use std::rc::Rc;
use tokio::runtime;

/// A library of pipes, asynchronous and on tokio. [`serve_pipes`] makes an agent of it.
///
/// An end is closed by dropping it. An `io::Error` becomes a [`Failure`] with `?`.
pub trait Pipes: 'static {
    /// The end of a pipe that messages come out of.
    type Reader: 'static;
    /// The end of a pipe that messages go into.
    type Writer: 'static;

    /// Makes a pipe. Called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The outcome of the step.
    fn pipe() -> Result<(Self::Reader, Self::Writer), Failure>;

    /// Sends one message. If the profile `tasks` is declared, a time limit and `cancel` drop the future.
    fn put(writer: &Self::Writer, message: &[u8]) -> impl Future<Output = Result<(), Failure>>;

    /// Receives one message; `None` at the end of the pipe. If the profile `tasks` is declared, a time limit and
    /// `cancel` drop the future.
    fn get(reader: &Self::Reader) -> impl Future<Output = Result<Option<Vec<u8>>, Failure>>;

    /// The descriptors of both ends of a new pipe, with which reports of deadlocks name the holders of an end. `None` if
    /// they are not to be had.
    fn descriptors(reader: &Self::Reader, writer: &Self::Writer) -> Option<(RawFd, RawFd)> {
        let _ = (reader, writer);
        None
    }
}

/// Serves a library of pipes in the process that plays `role`, until its script is done. Does what
/// [`conclude`] does at the end.
///
/// # Panics
///
/// If the system has no descriptors left for an event loop.
pub fn serve_pipes<P: Pipes>(identity: &Identity, role: &str) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("an event loop can be made");
    conclude(runtime.block_on(serve(PipeAgent::<P>::default(), identity, role)));
}

/// The pipe ends of one process, by their handles.
struct PipeAgent<P: Pipes> {
    readers: RefCell<BTreeMap<String, Rc<P::Reader>>>,
    writers: RefCell<BTreeMap<String, Rc<P::Writer>>>,
}

impl<P: Pipes> Default for PipeAgent<P> {
    fn default() -> Self {
        Self { readers: RefCell::default(), writers: RefCell::default() }
    }
}

impl<P: Pipes> Resources for PipeAgent<P> {}

impl<P: Pipes> Implementation for PipeAgent<P> {
    async fn perform(&self, command: Command) -> Answer {
        match command {
            Command::Pipe { codec: Some(_), .. } => {
                Err(Failure::unsupported("there are no values, only bytes"))
            }
            Command::Pipe { reader, writer, .. } => {
                let (r, w) = P::pipe()?;
                let descriptors = P::descriptors(&r, &w).map(|(read, write)| {
                    BTreeMap::from([(reader.clone(), read), (writer.clone(), write)])
                });
                self.readers.borrow_mut().insert(reader, Rc::new(r));
                self.writers.borrow_mut().insert(writer, Rc::new(w));
                Ok(Completed::with_descriptors(descriptors.unwrap_or_default()))
            }
            Command::Put { handle, payload } => {
                let writer = end(&self.writers, &handle)?;
                P::put(&writer, &payload_bytes(&payload)).await?;
                Ok(WireOutcome::Ok.into())
            }
            Command::Get { handle } => {
                let reader = end(&self.readers, &handle)?;
                let message = P::get(&reader).await?;
                Ok(message.map_or(WireOutcome::Eof, |bytes| message_outcome(&bytes)).into())
            }
            Command::Close { handle } => {
                let reader = self.readers.borrow_mut().remove(&handle).map(drop);
                let writer = self.writers.borrow_mut().remove(&handle).map(drop);
                Ok(reader.or(writer).map_or(WireOutcome::Closed, |()| WireOutcome::Ok).into())
            }
            _ => Err(Failure::unsupported("the library has only pipes")),
        }
    }
}

/// An end that this process has.
fn end<End>(ends: &RefCell<BTreeMap<String, Rc<End>>>, handle: &str) -> Result<Rc<End>, Failure> {
    ends.borrow().get(handle).cloned().ok_or(WireOutcome::Closed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::WirePayload;
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::{Context, Poll, Waker};

    /// Pipes in memory, without waiting.
    struct Channels;

    impl Pipes for Channels {
        type Reader = Receiver<Vec<u8>>;
        type Writer = Sender<Vec<u8>>;

        fn pipe() -> Result<(Self::Reader, Self::Writer), Failure> {
            let (writer, reader) = channel();
            Ok((reader, writer))
        }

        async fn put(writer: &Self::Writer, message: &[u8]) -> Result<(), Failure> {
            Ok(writer
                .send(message.to_vec())
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?)
        }

        async fn get(reader: &Self::Reader) -> Result<Option<Vec<u8>>, Failure> {
            Ok(reader.recv().ok())
        }
    }

    /// The outcome of a command, which must not wait.
    fn perform(agent: &PipeAgent<Channels>, command: Command) -> Result<WireOutcome, Failure> {
        let mut future = Box::pin(agent.perform(command));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.map(|completed| completed.outcome),
            Poll::Pending => panic!("it waits"),
        }
    }

    fn pipe() -> Command {
        Command::Pipe { reader: "r".into(), writer: "w".into(), codec: None }
    }

    fn put() -> Command {
        Command::Put { handle: "w".into(), payload: WirePayload::Text { text: "a".into() } }
    }

    fn get() -> Command {
        Command::Get { handle: "r".into() }
    }

    fn close(handle: &str) -> Command {
        Command::Close { handle: handle.into() }
    }

    #[test]
    fn three_functions_are_an_agent() {
        let agent = PipeAgent::<Channels>::default();
        assert_eq!(perform(&agent, pipe()), Ok(WireOutcome::Ok));
        assert_eq!(perform(&agent, put()), Ok(WireOutcome::Ok));
        assert_eq!(perform(&agent, get()), Ok(message_outcome(b"a")));
        assert_eq!(perform(&agent, close("w")), Ok(WireOutcome::Ok));
        assert_eq!(perform(&agent, get()), Ok(WireOutcome::Eof));
        assert_eq!(perform(&agent, close("w")), Ok(WireOutcome::Closed));
        assert_eq!(perform(&agent, put()), Err(WireOutcome::Closed.into()));
    }

    #[test]
    fn an_error_of_the_library_is_the_outcome_of_the_step() {
        let agent = PipeAgent::<Channels>::default();
        assert_eq!(perform(&agent, pipe()), Ok(WireOutcome::Ok));
        assert_eq!(perform(&agent, close("r")), Ok(WireOutcome::Ok));
        let Err(Failure::Outcome(answer)) = perform(&agent, put()) else { panic!("it passed") };
        assert_eq!(answer.outcome, WireOutcome::Broken);
    }

    #[test]
    fn what_pipes_alone_cannot_do_is_not_supported() {
        let agent = PipeAgent::<Channels>::default();
        let kill = Command::Kill { child: "child".into() };
        assert!(matches!(perform(&agent, kill), Err(Failure::Unsupported(_))));
    }
}
