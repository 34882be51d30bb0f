//! Starts a child, with its handles and its environment.
//!
//! `control` talks to the child, `handoff` moves its handles, the child begins in `entry`, and `process` reports how it
//! ends.

use crate::control::{self, Control};
use crate::end::Body;
use crate::entry::{self, Entry};
use crate::handles::Bundle;
use crate::handoff::{ENTRY_VARIABLE, OutgoingHandles};
use crate::process::{ChildGuard, Ended, Life, Streams, reap};
use crate::stdin::Stdin;
use crate::{Error, Handles, Process, Start, platform};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::runtime;
use tokio::sync::watch;

/// The maximum length of a result, unless [`Command::result_limit`] sets another one: 64 MiB.
const RESULT_LIMIT: usize = 64 << 20;

/// Builds a child: its entry, its handles, and its environment. Unless set otherwise, the child has the environment, the
/// folder and the output of this process, and its stdin is the null device.
///
/// `H` is the type of the handles that the entry still needs, or `()` if it needs none.
#[derive(Debug)]
pub struct Command<A, R, H = ()> {
    command: tokio::process::Command,
    /// The entry that the child is told to begin with.
    signature: String,
    name: String,
    given: Bundle,
    stdin: Stdin,
    daemon: bool,
    result_limit: usize,
    types: PhantomData<fn(A, H) -> R>,
}

impl<A, R, H: Handles> Command<A, R, H> {
    /// Creates the command for a child that begins with this entry.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// use gipc_core::Command;
    ///
    /// let mut command = Command::new(work())?;
    /// let child = command.spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the file of this program cannot be found. `Unsupported` if this program was started through the dynamic loader
    /// (`ld-linux.so.2 ./program`), since Linux then takes the loader for the program.
    pub fn new(entry: Entry<Start<A, H>, R>) -> io::Result<Self> {
        let (name, signature) = (entry.name(), entry.signature());
        let mut command = tokio::process::Command::new(platform::own_program()?);
        command.env(ENTRY_VARIABLE, &signature).arg(name);
        if let Some(own) = std::env::args_os().next() {
            command.arg0(own);
        }
        Ok(Self {
            command,
            signature,
            name: name.to_owned(),
            given: Bundle::default(),
            stdin: Stdin::Null,
            daemon: false,
            result_limit: RESULT_LIMIT,
            types: PhantomData,
        })
    }

    /// Gives the child its handles, which must be those that its entry names. Once the child is spawned, it owns them, and
    /// this process no longer does.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Command, Reader, Start, Writer, entry, pipe};
    ///
    /// entry! {
    ///     async fn copy(Start { handles: (r, w), .. }: Start<(), (Reader, Writer)>) -> Result<(), gipc_core::Error> {
    ///         while let Some(message) = r.get().await? {
    ///             w.put(message).await?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// let ((r, near_w), (near_r, w)) = (pipe()?, pipe()?);
    /// let child = Command::new(copy())?.handles((r, w)).spawn(&())?;
    /// # drop((child, near_w, near_r));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn handles(mut self, handles: H) -> Command<A, R> {
        handles.pack(&mut self.given);
        let Self { command, signature, name, given, stdin, daemon, result_limit, .. } = self;
        let types = PhantomData;
        Command { command, signature, name, given, stdin, daemon, result_limit, types }
    }

    /// Sets the display name, for logs. The default is the name of the entry.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.name("worker 1").spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets whether the child is killed when the last [`Process`] of it is dropped. It is reaped in any case.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.daemon(true).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Sets how many bytes the encoded result of the entry may have; the default is 64 MiB. A longer result is
    /// [`Exit::ResultLost`](crate::Exit::ResultLost), and the parent uses no more memory for it. Large results are better
    /// sent through a pipe.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.result_limit(1 << 30).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn result_limit(mut self, bytes: usize) -> Self {
        self.result_limit = bytes;
        self
    }

    /// As [`std::process::Command::env`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.env("RUST_LOG", "debug").spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As [`std::process::Command::envs`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.envs([("LANG", "C"), ("TZ", "UTC")]).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        all: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.command.envs(all);
        self
    }

    /// As [`std::process::Command::env_remove`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.env_remove("LD_PRELOAD").spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// As [`std::process::Command::env_clear`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.env_clear().spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear().env(ENTRY_VARIABLE, &self.signature);
        self
    }

    /// As [`std::process::Command::current_dir`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.current_dir("/").spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets the process group of the child; 0 makes the child the first process of a new group. Signals of the terminal,
    /// such as Ctrl-C, go only to its foreground group.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.process_group(0).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn process_group(mut self, group: i32) -> Self {
        self.command.process_group(group);
        self
    }

    /// Sets the stdin of the child. The default is the null device.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.stdin(std::fs::File::open("input")?).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// As [`std::process::Command::stdout`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.stdout(std::process::Stdio::null()).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// As [`std::process::Command::stderr`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.stderr(std::process::Stdio::piped()).spawn(&1)?;
    /// # drop(child);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }
}

impl<A: Serialize, R: DeserializeOwned> Command<A, R> {
    /// Starts the child. When this returns, the child owns the handles, although it may not have begun to run.
    ///
    /// The call blocks for as long as the system takes to start a program, one or two milliseconds. A second call starts
    /// another child, which cannot be given a handle that the first one has.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// let child = gipc_core::Command::new(work())?.spawn(&7)?;
    /// println!("process {}", child.id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Closed`, `Locked` and `GivenTwice` (of a handle), `Encode` (the arguments), `NotInitialised` and `NoRuntime` before
    /// anything has happened; `Io` if the system refuses. A child that already exists then is ended before its entry has
    /// begun. After each error, this process still has every handle, and the command can be spawned again.
    ///
    /// # Panics
    ///
    /// If the current runtime has no I/O enabled.
    pub fn spawn(&mut self, args: &A) -> Result<Process<R>, Error> {
        if !entry::is_initialised() {
            return Err(Error::NotInitialised);
        }
        let runtime = runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let args = postcard::to_stdvec(&(args, &self.given.counts))
            .map_err(|error| Error::Encode(error.into()))?;
        let (stdin, input) = self.stdin.open()?;
        let outgoing = OutgoingHandles::pack(
            &self.given.handles,
            stdin.as_ref().map(|stdin| stdin.as_raw_fd()),
        )?;
        let (control, theirs) = UnixStream::pair()?;
        self.command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let label = outgoing.label(&args);
        let child = {
            let _blocked = platform::block_signals()?;
            self.command.spawn()
        };
        self.command.stdin(Stdio::null()); // closes this side's copy of the child's end
        let mut child = child?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let control = outgoing
            .send(&control)
            .and_then(|sent| Control::begin(control, label, sent, self.result_limit));
        if control.is_err() {
            let _ = child.start_kill();
        }
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a child without a process id"))?;
        let child = Arc::new(Mutex::new(Some(child)));
        let (end, ended) = watch::channel(None);
        let guard = ChildGuard { child: Arc::clone(&child), end };
        let mut control = match control {
            Ok(control) => control,
            Err(error) => {
                runtime.spawn(async move {
                    let status = reap(&guard.child).await;
                    guard.report_end(Ended { status, report: None });
                });
                return Err(error.into());
            }
        };
        let mut given = outgoing.commit();
        given.extend(stdin.map(|stdin| Box::new(stdin) as Body));
        control.keep(given);
        runtime.spawn(async move {
            let ended = control::serve_until_end(control, &guard.child).await;
            guard.report_end(ended);
        });
        let streams = Mutex::new(Streams { stdin: input, stdout, stderr });
        let life = Life { pid, name: self.name.clone(), daemon: self.daemon, child, streams };
        Ok(Process { life: Arc::new(life), ended, result: PhantomData })
    }
}
