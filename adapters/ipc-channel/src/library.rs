//! The implementation of the commands with ipc-channel and `std::process`, and of how their errors are reported.

use crate::ends::{End, Ends, InUse, lock};
use crate::start::{Given, start};
use gipc_agent::{
    Answer, BlockingImplementation, Command, Completed, Failure, Resources, WireOutcome,
    message_outcome, payload_bytes,
};
use ipc_channel::{IpcError, TryRecvError};
use std::collections::BTreeMap;
use std::io;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A child as threads share it, and its pid.
type SharedChild = (Arc<Mutex<Child>>, i32);

/// The channel ends and the children of this process.
#[derive(Default)]
pub(crate) struct IpcChannel {
    pub(crate) ends: Ends,
    children: Mutex<BTreeMap<String, SharedChild>>,
}

impl From<InUse> for Failure {
    fn from(_: InUse) -> Self {
        WireOutcome::Locked.into()
    }
}

impl Resources for IpcChannel {
    fn child_pid(&self, child: &str) -> Option<i32> {
        lock(&self.children).get(child).map(|(_, pid)| *pid)
    }
}

impl BlockingImplementation for IpcChannel {
    fn perform(&self, command: Command, within: Option<Duration>) -> Answer {
        match command {
            Command::Pipe { reader, writer, codec } => {
                self.ends.channel(&reader, &writer, codec.as_deref())?;
            }
            Command::Duplex { near, far } => self.ends.duplex(&near, &far)?,
            Command::Spawn { child, handles, .. } => self.spawn(child, &handles)?,
            Command::Put { .. } if within.is_some() => {
                return Err(Failure::unsupported("send takes no time limit"));
            }
            Command::Put { handle, payload } => {
                let payload = payload_bytes(&payload);
                let end = self.end(&handle)?;
                let end = end.sender().ok_or_else(|| impossible("a receiver does not send"))?;
                let sender = lock(end);
                sender.as_ref().ok_or(WireOutcome::Closed)?.send(payload).map_err(explain)?;
            }
            Command::Get { handle } => {
                let end = self.end(&handle)?;
                let end = end.receiver().ok_or_else(|| impossible("a sender does not receive"))?;
                let receiver = lock(end);
                return Ok(match receiver.as_ref().ok_or(WireOutcome::Closed)?.receive(within) {
                    Ok(got) => message_outcome(&got).into(),
                    Err(TryRecvError::Empty) => WireOutcome::Timeout.into(),
                    Err(TryRecvError::IpcError(error @ IpcError::SerializationError(_))) => {
                        Completed { outcome: WireOutcome::Decode, ..explain(error) }
                    }
                    Err(TryRecvError::IpcError(error)) => explain(error),
                });
            }
            Command::Close { handle } => self.close(&handle)?,
            Command::Join { child } => return Ok(join(&*self.child(&child)?, within)?.into()),
            // `Child::kill` succeeds if the child has ended already.
            Command::Kill { child } => lock(&*self.child(&child)?).kill()?,
            Command::Terminate { .. } => {
                return Err(Failure::unsupported(
                    "neither ipc-channel nor std::process sends SIGTERM",
                ));
            }
            Command::Alive { child } => {
                let status = lock(&*self.child(&child)?).try_wait()?;
                let is_alive = status.is_none();
                return Ok(if is_alive { WireOutcome::Yes } else { WireOutcome::No }.into());
            }
            Command::Code { child } => {
                let status = lock(&*self.child(&child)?).try_wait()?;
                return Ok(status.map_or(WireOutcome::Running, WireOutcome::from).into());
            }
            other => return Err(Failure::unsupported(format!("no such thing here: {other:?}"))),
        }
        Ok(WireOutcome::Ok.into())
    }
}

impl IpcChannel {
    /// Starts a child and sends it the named ends. An end that is closed or in use is reported before the child is
    /// started.
    fn spawn(&self, child: String, names: &[String]) -> Result<(), Failure> {
        let ends: Vec<End> = names.iter().map(|name| self.end(name)).collect::<Result<_, _>>()?;
        let mut held = Vec::new();
        for end in &ends {
            let locked = end.try_lock()?;
            if locked.is_closed() {
                return Err(WireOutcome::Closed.into());
            }
            held.push(locked);
        }
        let (process, connection) = start(&child).map_err(explain)?;
        let pid = i32::try_from(process.id()).unwrap_or(-1);
        lock(&self.children).insert(child, (Arc::new(Mutex::new(process)), pid));
        let given = names.iter().zip(held).map(|(name, mut held)| {
            let (receiver, sender) = held.take();
            Given { name: name.clone(), receiver, sender }
        });
        let given = given.collect();
        Ok(connection.send(given).map_err(explain)?)
    }

    /// Closes the ends that a name refers to.
    fn close(&self, name: &str) -> Result<(), Failure> {
        let end = self.end(name)?;
        let dropped = end.try_lock()?.take();
        if matches!(dropped, (None, None)) { Err(WireOutcome::Closed.into()) } else { Ok(()) }
    }

    /// The end with this name. A name that this process does not have refers to an end of another process, which counts
    /// as closed.
    fn end(&self, name: &str) -> Result<End, Failure> {
        Ok(self.ends.find(name).ok_or(WireOutcome::Closed)?)
    }

    fn child(&self, name: &str) -> Result<Arc<Mutex<Child>>, Failure> {
        let child = lock(&self.children).get(name).map(|(child, _)| Arc::clone(child));
        child.ok_or_else(|| impossible("no such child is here"))
    }
}

/// Waits for a child. With a time limit, the child is polled, since `wait` takes none.
fn join(child: &Mutex<Child>, within: Option<Duration>) -> io::Result<WireOutcome> {
    let Some(limit) = within else { return Ok(lock(child).wait()?.into()) };
    let began = Instant::now();
    loop {
        if let Some(status) = lock(child).try_wait()? {
            return Ok(status.into());
        }
        if began.elapsed() >= limit {
            return Ok(WireOutcome::Running);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A failure for a command that the types of ipc-channel rule out.
fn impossible(what: &str) -> Failure {
    Failure::unsupported(format!("impossible by type: {what}"))
}

/// The outcome of an error, with its text.
fn explain(error: IpcError) -> Completed {
    let outcome = match &error {
        IpcError::Disconnected => WireOutcome::Eof,
        IpcError::SerializationError(_) => WireOutcome::Encode,
        // The first error of a socket whose reader was closed with unread messages.
        IpcError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            WireOutcome::Broken
        }
        IpcError::Io(error) => Completed::from(error).outcome,
    };
    Completed { detail: Some(error.to_string()), ..outcome.into() }
}
