//! Starting a child, and learning how it ended. Every child has a task that waits for it, so none stays a zombie.
//!
//! What travels to the child is `handoff`'s business.

use crate::handoff::{self, ENTRY_VARIABLE, Luggage};
use crate::{Error, Handle, platform};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::runtime;
use tokio::sync::watch;

/// A child to be: the name of its entry, its arguments and its handles.
#[derive(Debug)]
pub struct Command {
    entry: String,
    args: Vec<String>,
    handles: Vec<Handle>,
}

impl Command {
    /// A child that begins with the entry of this name.
    #[must_use]
    pub fn new(entry: &str) -> Self {
        Self { entry: entry.into(), args: Vec::new(), handles: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds a handle, which the child will own once it is spawned, and this process no longer.
    #[must_use]
    pub fn handle(mut self, handle: impl Into<Handle>) -> Self {
        self.handles.push(handle.into());
        self
    }

    /// Starts the child. When this returns, the handles are the child's; it need not have begun to run.
    ///
    /// It blocks for as long as the system takes to start a program, one or two milliseconds.
    ///
    /// # Errors
    ///
    /// `Closed`, `Locked`, and `Misuse` (a handle given twice, [`init`](crate::init) not called, no tokio runtime)
    /// before anything has happened; `Io` if the system refuses, and then every handle is still with this process.
    pub fn spawn(&self) -> Result<Process, Error> {
        if !handoff::is_initialised() {
            return Err(Error::Misuse(
                "gipc_core::init must be the first statement of main".into(),
            ));
        }
        let runtime =
            runtime::Handle::try_current().map_err(|error| Error::Misuse(error.to_string()))?;
        let luggage = Luggage::pack(&self.handles)?;
        let (control, theirs) = UnixStream::pair()?;
        let mut command = tokio::process::Command::new(platform::own_program()?);
        command
            .arg(&self.entry)
            .env(ENTRY_VARIABLE, &self.entry)
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        let mut child = command.spawn()?;
        drop(command); // and with it this side's copy of the child's end
        let sent = luggage.send(&control).and_then(|()| control.set_nonblocking(true));
        let control = sent.and_then(|()| tokio::net::UnixStream::from_std(control));
        if control.is_err() {
            child.start_kill()?;
        }
        let label = luggage.label(&self.args);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::Misuse("a child without a process id".into()))?;
        let child = Arc::new(Mutex::new(child));
        let (end, ended) = watch::channel(None);
        let process = Process { pid, child: Arc::clone(&child), ended };
        let (control, failed) = match control {
            Ok(control) => (Some(control), None),
            Err(error) => (None, Some(error)),
        };
        runtime.spawn(async move {
            if let Some(mut control) = control {
                // A child that is gone already needs no arguments; its status says how it went.
                let _ = control.write_all(&label).await;
            }
            // Whether anybody still asks does not matter: the child must be reaped.
            let _ = end.send(Some(reap(&child).await));
        });
        match failed {
            None => {
                luggage.commit();
                Ok(process)
            }
            Some(error) => Err(error.into()),
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned or exited, with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

/// A child that was started. Clones are the same child. Dropping all of them neither ends it nor leaves a zombie.
#[derive(Clone, Debug)]
pub struct Process {
    pid: Pid,
    /// Locked while it is reaped and while it is signalled, so that no signal goes to a number that was reused.
    child: Arc<Mutex<Child>>,
    ended: watch::Receiver<Option<Result<Exit, io::ErrorKind>>>,
}

impl Process {
    /// Its process id. After it ended the number may be another's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits until it has ended. Any number of tasks may, at any time, and all hear the same. Cancel-safe.
    ///
    /// # Errors
    ///
    /// `Io` if something else in this process took its status (a `waitpid` of a foreign library), or if the runtime
    /// in which it was spawned is gone.
    pub async fn join(&self) -> Result<Exit, Error> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map_err(io::Error::other)?;
        end.unwrap_or(Err(io::ErrorKind::Other)).map_err(|kind| Error::Io(kind.into()))
    }

    /// How it ended, if that is known by now.
    #[must_use]
    pub fn try_join(&self) -> Option<Exit> {
        self.ended.borrow().and_then(Result::ok)
    }

    /// Asks it to end, by SIGTERM. Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Ends it, by SIGKILL. Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.id() {
            Some(_) => Ok(kill(self.pid, signal)?),
            None => Ok(()), // reaped: the number is free for others
        }
    }
}

/// Waits for the child with the lock held only for the moment of each look.
async fn reap(child: &Mutex<Child>) -> Result<Exit, io::ErrorKind> {
    let status = poll_fn(|context| {
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        // `wait` keeps all it knows in the child, so each look can begin it anew.
        pin!(child.wait()).poll(context)
    });
    status.await.map(Exit::from).map_err(|error| error.kind())
}
