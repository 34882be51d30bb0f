//! Starting a child: what it is given, its surroundings, and the socket over which both travel.
//!
//! How handles travel is `handoff`'s business, where the child begins `entry`'s, and how it ends `process`'s.

use crate::entry::{self, Entry};
use crate::handoff::{ENTRY_VARIABLE, Luggage};
use crate::process::{Ended, Life, Ward, reap};
use crate::{Error, Handle, Process, platform};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;
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
        let _ = UnixStream::from(socket).read_to_end(&mut said); // stops where it would have to wait
    }
    Ok((status, said.into()))
}
