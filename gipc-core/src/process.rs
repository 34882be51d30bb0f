//! Starting a child, and learning how it ended. Every child has a task that waits for it, so none stays a zombie.
//!
//! What travels to the child is `handoff`'s business, where it begins `entry`'s.

use crate::codec::whole;
use crate::entry::{self, Entry, LastWords};
use crate::handoff::{ENTRY_VARIABLE, Luggage};
use crate::{Error, Handle, platform};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::runtime;
use tokio::sync::watch;

/// A child to be: where it begins, what it is given, and its surroundings, which are this process's unless said
/// otherwise; but its stdin is the null device.
#[derive(Debug)]
pub struct Command<A, R> {
    command: tokio::process::Command,
    /// What the child is told to begin with.
    signature: String,
    name: String,
    handles: Vec<Handle>,
    stdin: Option<OwnedFd>,
    daemon: bool,
    types: PhantomData<fn(A) -> R>,
}

impl<A: Serialize, R: DeserializeOwned> Command<A, R> {
    /// A child that begins with this entry.
    ///
    /// # Errors
    ///
    /// If this program's own file cannot be found.
    pub fn new(entry: Entry<A, R>) -> io::Result<Self> {
        let (name, signature) = (entry.name(), entry.signature());
        let mut command = tokio::process::Command::new(platform::own_program()?);
        command.env(ENTRY_VARIABLE, &signature).arg(name);
        if let Some(own) = std::env::args_os().next() {
            command.arg0(own);
        }
        let (handles, types) = (Vec::new(), PhantomData);
        Ok(Self {
            command,
            signature,
            name: name.to_owned(),
            handles,
            stdin: None,
            daemon: false,
            types,
        })
    }

    /// Adds a handle, which the child will own once it is spawned, and this process no longer.
    #[must_use]
    pub fn handle(mut self, handle: impl Into<Handle>) -> Self {
        self.handles.push(handle.into());
        self
    }

    /// A name for people; the entry's if none is given.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it is killed when the last [`Process`] of it is dropped. It is reaped in any case.
    #[must_use]
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// As [`std::process::Command::env`].
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As [`std::process::Command::envs`].
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        all: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.command.envs(all);
        self
    }

    /// As [`std::process::Command::env_remove`].
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// As [`std::process::Command::env_clear`].
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear().env(ENTRY_VARIABLE, &self.signature);
        self
    }

    /// As [`std::process::Command::current_dir`].
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Its stdin: a file, the end of a pipe, whatever has a descriptor.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// As [`std::process::Command::stdout`].
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// As [`std::process::Command::stderr`].
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts the child. When this returns, the handles are the child's (OWN-1); it need not have begun to run.
    ///
    /// It blocks for as long as the system takes to start a program, one or two milliseconds (SPAWN-18).
    ///
    /// # Errors
    ///
    /// `Closed` (OWN-10), `Locked` (LOCK-7), `Encode` (the arguments), and `Misuse` (a handle given twice, OWN-11;
    /// [`init`](crate::init()) not called; no tokio runtime, SPAWN-16) before anything has happened; `Io` if the system
    /// refuses, and then every handle is still with this process (OWN-12), and the child, if there was one already, is
    /// ended before its entry has begun.
    ///
    /// # Panics
    ///
    /// If the runtime here has no I/O enabled.
    pub fn spawn(mut self, args: &A) -> Result<Process<R>, Error> {
        if !entry::is_initialised() {
            return Err(Error::Misuse(
                "gipc_core::init! must be the first thing that main does".into(),
            ));
        }
        let runtime =
            runtime::Handle::try_current().map_err(|error| Error::Misuse(error.to_string()))?;
        let args = postcard::to_stdvec(args).map_err(|error| Error::Encode(error.into()))?;
        let luggage = Luggage::pack(&self.handles, self.stdin.take())?;
        let (control, theirs) = UnixStream::pair()?;
        self.command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let label = luggage.label(&args);
        let mut child = {
            let _quiet = platform::quiet()?;
            self.command.spawn()?
        };
        self.command.stdin(Stdio::null()); // closes this side's copy of the child's end
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let control = luggage.send(&control).and_then(|()| Control::begin(control, label));
        if control.is_err() {
            let _ = child.start_kill();
        }
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::Misuse("a child without a process id".into()))?;
        let child = Arc::new(Mutex::new(Some(child)));
        let (end, ended) = watch::channel(None);
        let (control, failed) = match control {
            Ok(control) => (Some(control), None),
            Err(error) => (None, Some(error)),
        };
        let ward = Ward { child: Arc::clone(&child), end };
        runtime.spawn(async move {
            let ended = match control {
                Some(control) => accompany(control, &ward.child).await,
                None => reap(&ward.child).await.map(|status| (status, Arc::default())),
            };
            ward.tell(ended);
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        luggage.commit();
        let streams = Mutex::new((stdout, stderr));
        let life = Life { pid, name: self.name, daemon: self.daemon, child, streams };
        Ok(Process { life: Arc::new(life), ended, result: PhantomData })
    }
}

/// The socket to a child, on this side: what it says, and what it must still be told.
struct Control {
    said: pipe::Receiver,
    rest: Option<(pipe::Sender, Vec<u8>)>,
}

impl Control {
    /// Tells as much as goes at once, which is all unless the arguments are large.
    fn begin(socket: UnixStream, mut label: Vec<u8>) -> io::Result<Self> {
        // A child begins when it has all of its label: what may fail comes before.
        let speaker = socket.try_clone();
        let said = platform::listener(socket)?;
        // A child that is gone already needs no arguments; its status says how it went.
        label.drain(..nix::unistd::write(said.as_fd(), &label).unwrap_or(0));
        let rest = match label[..] {
            [] => None,
            _ => Some((platform::speaker(speaker?)?, label)),
        };
        Ok(Self { said, rest })
    }

    /// Until the child, and all who have its copy, have closed it.
    async fn talk(&mut self, said: &mut Vec<u8>) -> io::Result<()> {
        if let Some((mut speaker, rest)) = self.rest.take() {
            speaker.write_all(&rest).await?;
        }
        self.said.read_to_end(said).await.map(drop)
    }
}

/// Gives the child its arguments, hears what it says last, and reaps it. Its end is not that of the socket, which a
/// process that it forked may hold.
async fn accompany(mut control: Control, child: &Mutex<Option<Child>>) -> Ended {
    let mut said = Vec::new();
    let status = {
        let (mut talk, mut reaped) = (pin!(control.talk(&mut said)), pin!(reap(child)));
        tokio::select! {
            status = &mut reaped => status?,
            _ = &mut talk => reaped.await?,
        }
    };
    // What it said last may still be in the socket.
    if let Ok(socket) = control.said.into_nonblocking_fd() {
        let _ = File::from(socket).read_to_end(&mut said); // stops where it would have to wait
    }
    Ok((status, said.into()))
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit<R = ()> {
    /// Its entry returned this.
    Returned(R),
    /// Its entry panicked, with these words; empty if they are none.
    Panicked(String),
    /// It could not begin, for this reason: for instance because the program was built anew meanwhile.
    NotBegun(String),
    /// It exited with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

/// A child that was started. Clones are the same child. Dropping all of them leaves it running, unless it is a daemon,
/// and never leaves a zombie (LEAK-1, LEAK-4). A child that outlives the runtime in which it was spawned is killed and
/// reaped while that is dropped, and `join` then says so (SPAWN-12).
pub struct Process<R = ()> {
    life: Arc<Life>,
    ended: watch::Receiver<Option<Ended>>,
    result: PhantomData<fn() -> R>,
}

type Ended = Result<(ExitStatus, Arc<[u8]>), Arc<io::Error>>;

struct Life {
    pid: Pid,
    name: String,
    daemon: bool,
    /// Locked while it is reaped and while it is signalled, so that no signal goes to a number that was reused.
    child: Arc<Mutex<Option<Child>>>,
    streams: Mutex<(Option<ChildStdout>, Option<ChildStderr>)>,
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits until it has ended. Any number of tasks may, at any time, in any runtime, and all hear the same (JOIN-3).
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// `Io` if something else in this process took its status (a `waitpid` of a foreign library, JOIN-10); `Decode` if
    /// what it returned is no value of this type.
    pub async fn join(&self) -> Result<Exit<R>, Error> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        told(end.ok_or(Error::Io(ErrorKind::Other.into()))?)
    }

    /// As [`join`](Self::join), for at most so long (JOIN-2). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join), and `Timeout`: it still runs.
    ///
    /// # Panics
    ///
    /// If the runtime here has no time enabled.
    pub async fn join_within(&self, limit: Duration) -> Result<Exit<R>, Error> {
        tokio::time::timeout(limit, self.join()).await.unwrap_or(Err(Error::Timeout))
    }

    /// How it ended, if that is known by now (JOIN-6): once its runtime has turned since.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn try_join(&self) -> Result<Option<Exit<R>>, Error> {
        let end = self.ended.borrow().clone();
        end.map(told).transpose()
    }
}

impl<R> Process<R> {
    /// Its process id. After it ended the number may be another's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.life.pid.as_raw().unsigned_abs()
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.life.name
    }

    /// Its stdout, if it was to be piped; the first who asks gets it.
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.life.streams.lock().unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// Its stderr, if it was to be piped; the first who asks gets it.
    #[must_use]
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.life.streams.lock().unwrap_or_else(PoisonError::into_inner).1.take()
    }

    /// Asks it to end, by SIGTERM. Nothing happens if it has ended (JOIN-12, SEC-3).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn terminate(&self) -> io::Result<()> {
        self.life.signal(Signal::SIGTERM)
    }

    /// Ends it, by SIGKILL. Nothing happens if it has ended (JOIN-12, SEC-3).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn kill(&self) -> io::Result<()> {
        self.life.signal(Signal::SIGKILL)
    }
}

impl Life {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.as_ref().and_then(Child::id) {
            Some(_) => Ok(kill(self.pid, signal)?),
            None => Ok(()), // reaped: the number is free for others
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.daemon {
            let _ = self.signal(Signal::SIGKILL);
        }
    }
}

impl<R> Clone for Process<R> {
    fn clone(&self) -> Self {
        Self { life: Arc::clone(&self.life), ended: self.ended.clone(), result: PhantomData }
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name()).field("id", &self.id()).finish()
    }
}

/// Puts the status and what was said last into one answer. The status is the truth: who was killed after it had said
/// its result was killed.
fn told<R: DeserializeOwned>(end: Ended) -> Result<Exit<R>, Error> {
    // Each who asks gets an error of their own.
    let (status, said) = end.map_err(|error| match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    })?;
    Ok(match (status.code(), LastWords::read(&said)) {
        (Some(0), Some(LastWords::Value(bytes))) => {
            Exit::Returned(whole(bytes).map_err(Error::Decode)?)
        }
        (Some(_), Some(LastWords::Panic(words))) => Exit::Panicked(words),
        (Some(_), Some(LastWords::Unfit(words))) => Exit::NotBegun(words),
        (Some(code), _) => Exit::Code(code),
        (None, _) => Exit::Signal(status.signal().unwrap_or(0)),
    })
}

/// The child as its task has it. If the task is dropped before its end, because the runtime goes, nobody would reap
/// the child: so it is killed and reaped here.
struct Ward {
    child: Arc<Mutex<Option<Child>>>,
    /// Whether anybody still asks does not matter: the child has to be reaped.
    end: watch::Sender<Option<Ended>>,
}

impl Ward {
    /// Says how it ended, once nothing of it is open here any more.
    fn tell(&self, ended: Ended) {
        drop(self.take());
        let _ = self.end.send(Some(ended));
    }

    fn take(&self) -> Option<Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let Some(mut child) = self.take() else { return };
        let _ = child.start_kill();
        let status = loop {
            match child.try_wait() {
                // A process that got SIGKILL is about to end, and there is no runtime left to wait for it.
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(status)) => break Ok((status, Arc::default())),
                Err(error) => break Err(Arc::new(error)),
            }
        };
        drop(child);
        let _ = self.end.send(Some(status));
    }
}

/// Waits for the child with the lock held only for the moment of each look.
async fn reap(child: &Mutex<Option<Child>>) -> Result<ExitStatus, Arc<io::Error>> {
    let status = poll_fn(|context| {
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.as_mut() {
            // `wait` keeps all it knows in the child, so each look can begin it anew.
            Some(child) => pin!(child.wait()).poll(context),
            None => Poll::Ready(Err(ErrorKind::NotFound.into())),
        }
    });
    status.await.map_err(Arc::new)
}
