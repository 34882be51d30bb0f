//! A running child, and how it ended. Every child has a task that waits for it, so that it does not stay a zombie.
//!
//! How it is started is `command`'s business.

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

/// A child that was started. Clones are the same child. Dropping all of them leaves it running, unless it is a daemon,
/// and never leaves a zombie. A child that outlives the runtime in which it was spawned is killed and
/// reaped while that is dropped, and `join` then says so.
pub struct Process<R = ()> {
    pub(crate) life: Arc<Life>,
    pub(crate) ended: watch::Receiver<Option<Ended>>,
    pub(crate) result: PhantomData<fn() -> R>,
}

/// How a child ended: what the system says, and what the child itself said.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) status: Result<ExitStatus, Arc<io::Error>>,
    pub(crate) report: Option<Arc<Report>>,
}

pub(crate) struct Life {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    pub(crate) daemon: bool,
    /// Locked while it is reaped and while it is signalled, so that no signal goes to a number that was reused.
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
    /// Waits until it has ended. Any number of tasks may, at any time, in any runtime, and all hear the same.
    /// Cancel-safe.
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
    /// `Io` if something else in this process took its status (a `waitpid` of another library) and the entry did not end by
    /// itself; `Decode` if what it returned is not a value of this type.
    pub async fn join(&self) -> Result<Exit<R>, Error> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        told(end.ok_or(Error::Io(ErrorKind::Other.into()))?)
    }

    /// As [`join`](Self::join), for at most so long. Cancel-safe.
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
    /// As [`join`](Self::join), and `Timeout`: it still runs.
    ///
    /// # Panics
    ///
    /// If the runtime here has no time enabled.
    pub async fn join_within(&self, limit: Duration) -> Result<Exit<R>, Error> {
        tokio::time::timeout(limit, self.join()).await.unwrap_or(Err(Error::Timeout))
    }

    /// Stops it: asks it to end, by SIGTERM, and ends it by SIGKILL if it has not ended within `limit`. Returns how it ended.
    /// Cancel-safe; dropped before it returns, it has asked only.
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
    /// If the runtime here has no time enabled.
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

    /// How it ended, or `None` if that is not known yet. It becomes known when the runtime that spawned it has run since.
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
    /// Its process id. After it ended the number may be another's.
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

    /// The display name, for logs.
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

    /// Returns the pipe to its stdin, if it was to be piped and was not taken yet.
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

    /// Returns the pipe from its stdout, if it was to be piped and was not taken yet.
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

    /// Returns the pipe from its stderr, if it was to be piped and was not taken yet.
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

    /// Asks it to end, by SIGTERM. Nothing happens if it has ended.
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
    /// What the system says.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// Ends it, by SIGKILL. Nothing happens if it has ended.
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
    /// What the system says.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Sends it the signal of this number. Nothing happens if it has ended.
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
    /// What the system says; `InvalidInput` if it has no signal of this number.
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

/// Makes one answer of the status and of what the child said last. The status decides: a child that was killed after it had
/// reported its result was killed. Where something else took the status, the report has to do.
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

/// Each task that joins gets an error of its own.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// The child as its task has it. If the task is dropped before its end, because the runtime goes, nobody would reap
/// the child: so it is killed and reaped here.
pub(crate) struct Ward {
    pub(crate) child: Arc<Mutex<Option<Child>>>,
    /// Whether anybody still asks does not matter: the child has to be reaped.
    pub(crate) end: watch::Sender<Option<Ended>>,
}

impl Ward {
    /// Says how it ended, once nothing of it is open here any more.
    pub(crate) fn tell(&self, ended: Ended) {
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
                Ok(Some(status)) => break Ok(status),
                Err(error) => break Err(Arc::new(error)),
            }
        };
        drop(child);
        let _ = self.end.send(Some(Ended { status, report: None }));
    }
}

/// Waits for the child with the lock held only for the moment of each look.
pub(crate) async fn reap(child: &Mutex<Option<Child>>) -> Result<ExitStatus, Arc<io::Error>> {
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
