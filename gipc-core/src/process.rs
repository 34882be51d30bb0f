//! A running child, and how it ended. Every child has a task that waits for it, so that it never stays a zombie.
//!
//! `command` starts it.

use crate::codec::whole;
use crate::report::Report;
use crate::{Error, Exit, platform};
use nix::libc;
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

/// A child that was started. Clones are the same child. Dropping all of them leaves the child running, unless it is a
/// daemon, and never leaves a zombie. A child that outlives the runtime in which it was spawned is killed and reaped while
/// that runtime is dropped, and `join` then reports this.
pub struct Process<R = ()> {
    pub(crate) life: Arc<Life>,
    pub(crate) ended: watch::Receiver<Option<Ended>>,
    pub(crate) result: PhantomData<fn() -> R>,
}

/// How a child ended: what the system reports, and what the child itself reported.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) status: Result<ExitStatus, Arc<io::Error>>,
    pub(crate) report: Option<Arc<Report>>,
}

pub(crate) struct Life {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    pub(crate) daemon: bool,
    /// Locked while the child is reaped and while it is signalled, so that no signal goes to a process id that was reused.
    pub(crate) child: Arc<Mutex<Option<Child>>>,
    pub(crate) streams: Mutex<Streams>,
}

/// The ends of the pipes to a child that were not taken yet.
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits until the child has ended, and returns how. Any number of tasks may join, at any time and in any runtime, and
    /// all get the same answer. Cancel-safe.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// use gipc_core::Exit;
    ///
    /// match child.join().await? {
    ///     Exit::Returned(result) => println!("{result}"),
    ///     Exit::Panicked(message) => println!("a panic: {message}"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Io` if something else in this process took the status of the child (a `waitpid` of another library) and the entry
    /// did not end by itself; `Decode` if the result is not a value of this type.
    pub async fn join(&self) -> Result<Exit<R>, Error> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        told(end.ok_or(Error::Io(ErrorKind::Other.into()))?)
    }

    /// Like [`join`](Self::join), but waits at most this long. Cancel-safe.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// use gipc_core::Error;
    ///
    /// if let Err(Error::Timeout) = child.join_within(std::time::Duration::from_secs(1)).await {
    ///     println!("it still runs");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join), and `Timeout` if the child still runs.
    ///
    /// # Panics
    ///
    /// If the current runtime has no time enabled.
    pub async fn join_within(&self, limit: Duration) -> Result<Exit<R>, Error> {
        tokio::time::timeout(limit, self.join()).await.unwrap_or(Err(Error::Timeout))
    }

    /// Stops the child: asks it to end by SIGTERM, and kills it by SIGKILL if it has not ended within `limit`. Returns how
    /// the child ended. Cancel-safe: if this is dropped before it returns, it may only have sent SIGTERM.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// let exit = child.stop(std::time::Duration::from_secs(5)).await?;
    /// println!("{exit:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// If the current runtime has no time enabled.
    pub async fn stop(&self, limit: Duration) -> Result<Exit<R>, Error> {
        self.terminate()?;
        match self.join_within(limit).await {
            Err(Error::Timeout) => {
                self.kill()?;
                self.join().await
            }
            ended => ended,
        }
    }

    /// Returns how the child ended, or `None` if that is not known yet. It becomes known when the runtime that spawned the
    /// child has run after its end.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// let is_running = child.try_join()?.is_none();
    /// # drop(is_running);
    /// # Ok(())
    /// # }
    /// ```
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
    /// Returns the process id of the child. After the child has ended, the id may belong to another process.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// println!("process {}", child.id());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> u32 {
        self.life.pid.as_raw().unsigned_abs()
    }

    /// Returns the display name, for logs.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// println!("{}", child.name());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.life.name
    }

    /// Returns the pipe to the child's stdin, if it was set to be piped and has not been taken yet.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.stdin(gipc_core::Stdin::Piped).stdout(std::process::Stdio::piped())
    /// #     .stderr(std::process::Stdio::piped()).spawn(&1)?;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// if let Some(mut input) = child.take_stdin() {
    ///     input.write_all(b"a line\n").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.streams().stdin.take()
    }

    /// Returns the pipe from the child's stdout, if it was set to be piped and has not been taken yet.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.stdin(gipc_core::Stdin::Piped).stdout(std::process::Stdio::piped())
    /// #     .stderr(std::process::Stdio::piped()).spawn(&1)?;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut text = String::new();
    /// if let Some(mut output) = child.take_stdout() {
    ///     output.read_to_string(&mut text).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.streams().stdout.take()
    }

    /// Returns the pipe from the child's stderr, if it was set to be piped and has not been taken yet.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.stdin(gipc_core::Stdin::Piped).stdout(std::process::Stdio::piped())
    /// #     .stderr(std::process::Stdio::piped()).spawn(&1)?;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut text = String::new();
    /// if let Some(mut output) = child.take_stderr() {
    ///     output.read_to_string(&mut text).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.streams().stderr.take()
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.life.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the child to end, by SIGTERM. Does nothing if the child has ended.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// child.terminate()?;
    /// child.join().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// Kills the child, by SIGKILL. Does nothing if the child has ended.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// child.kill()?;
    /// child.join().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Sends the child the signal with this number. Does nothing if the child has ended.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// const SIGHUP: i32 = 1;
    /// child.signal(SIGHUP)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the system: `InvalidInput` if it has no signal with this number.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        self.life.signal(number)
    }
}

impl Life {
    fn signal(&self, number: i32) -> io::Result<()> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.as_ref().and_then(Child::id) {
            Some(_) => platform::kill(self.pid, number),
            None => Ok(()), // reaped: the number is free for others
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.daemon {
            let _ = self.signal(libc::SIGKILL);
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

/// Combines the status and the last report of the child into one answer. The status takes precedence: a child that was
/// killed after it had reported its result was killed. If something else took the status, only the report is used.
fn told<R: DeserializeOwned>(ended: Ended) -> Result<Exit<R>, Error> {
    let report = ended.report.as_deref();
    let status = match ended.status {
        Err(error) if report.is_none() => return Err(Error::Io(copy(&error))),
        status => status.ok(),
    };
    let signal = status.and_then(|status| status.signal());
    let code = status.and_then(|status| status.code());
    Ok(match report {
        _ if signal.is_some() => Exit::Signal(signal.unwrap_or_default()),
        Some(Report::Value(bytes)) if code.unwrap_or(0) == 0 => {
            Exit::Returned(whole(bytes).map_err(Error::Decode)?)
        }
        Some(Report::Failed(text)) => Exit::Failed(text.clone()),
        Some(Report::Panic(text)) => Exit::Panicked(text.clone()),
        Some(Report::NotBegun(why)) => Exit::NotBegun(why.clone()),
        Some(Report::Lost(why)) => Exit::ResultLost(why.clone()),
        Some(Report::Value(_)) | None => Exit::Code(code.unwrap_or_default()),
    })
}

/// Copies an error, so that each task that joins gets its own.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// The child as its task holds it. If the task is dropped before the child has ended, because the runtime is dropped,
/// nothing else would reap the child, so it is killed and reaped here.
pub(crate) struct ChildGuard {
    pub(crate) child: Arc<Mutex<Option<Child>>>,
    /// The channel for how it ended. The child must be reaped even if nothing receives this any more.
    pub(crate) end: watch::Sender<Option<Ended>>,
}

impl ChildGuard {
    /// Reports how the child ended, once nothing of it is open here any more.
    pub(crate) fn report_end(&self, ended: Ended) {
        drop(self.take());
        let _ = self.end.send(Some(ended));
    }

    fn take(&self) -> Option<Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let Some(mut child) = self.take() else { return };
        let _ = child.start_kill();
        let status = loop {
            match child.try_wait() {
                // A process that got SIGKILL is about to end, and there is no runtime left to wait for it.
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(status)) => break Ok(status),
                Err(error) => break Err(Arc::new(error)),
            }
        };
        drop(child);
        let _ = self.end.send(Some(Ended { status, report: None }));
    }
}

/// Waits for the child, and holds the lock only while it polls.
pub(crate) async fn reap(child: &Mutex<Option<Child>>) -> Result<ExitStatus, Arc<io::Error>> {
    let status = poll_fn(|context| {
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.as_mut() {
            // `wait` keeps its state in the child, so each poll can call it anew.
            Some(child) => pin!(child.wait()).poll(context),
            None => Poll::Ready(Err(ErrorKind::NotFound.into())),
        }
    });
    status.await.map_err(Arc::new)
}
