//! The harness's side of the supervisor: starts it, reads its events, and ends the run.

use super::messages::{ABORT, END, LeakedProcess, START, SupervisorEvent};
use crate::process_role::SUPERVISOR;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A running supervisor.
pub struct Supervisor {
    process: tokio::process::Child,
    events: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    /// The directory that the supervisor removes when it ends, unless it is killed first.
    scratch: PathBuf,
}

/// How long to wait for the end of a run before the known processes are killed, and the supervisor is continued in case it
/// was stopped. A slow supervisor answers later, so this decides nothing.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Starts a supervisor, which makes a scratch directory for the run.
    ///
    /// `command` is the command line of `main`, `env` is added to the environment of all processes of the run, and `exe` is
    /// the harness's own program.
    pub async fn start(
        command: &[String],
        env: &BTreeMap<String, String>,
        exe: &Path,
    ) -> io::Result<Self> {
        let null = File::options().write(true).open("/dev/null");
        let null =
            null.map_err(|error| io::Error::other(format!("cannot open /dev/null: {error}")))?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = tokio::process::Command::new(exe)
            .arg(SUPERVISOR)
            .args(command)
            .envs(env)
            .stdin(OwnedFd::from(theirs))
            .stdout(null.try_clone()?)
            .stderr(null)
            // Ctrl-C in the terminal must reach only the harness, which tells the supervisor over the socket.
            .process_group(0)
            .spawn()?;
        let (reader, orders) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (events, scratch) = (BufReader::new(reader).lines(), PathBuf::new());
        let mut supervisor = Self { process, events, orders, scratch };
        match supervisor.next().await {
            Some(SupervisorEvent::Ready(scratch)) => {
                supervisor.scratch = scratch;
                Ok(supervisor)
            }
            Some(SupervisorEvent::Failed(reason)) => Err(io::Error::other(reason)),
            _ => Err(supervisor.ended_early().await),
        }
    }

    /// The scratch directory of the run.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Orders the supervisor to start `main`. The next event says whether it was started.
    pub async fn start_main(&mut self) -> io::Result<()> {
        match self.send(START).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended_early().await),
        }
    }

    /// The pid of the supervisor; the processes of the run are below it. `None` once the supervisor was reaped.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process.id().and_then(|pid| i32::try_from(pid).ok())
    }

    /// Waits for the next event; `None` if the supervisor is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<SupervisorEvent> {
        let line = self.events.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Ends the run: kills and reaps all its processes that are left, and waits for the end of the supervisor. Returns the
    /// processes that were left behind, if `is_judged` says that the run is judged by them, and what all processes printed.
    ///
    /// `connected` are the pids of the processes that have connected, for a system that does not list processes.
    /// `kill_known_processes` kills the processes that the harness knows, in case the supervisor itself was killed.
    ///
    /// Fails if the supervisor ended before it had answered.
    pub async fn finish(
        mut self,
        is_judged: bool,
        connected: &[i32],
        kill_known_processes: impl Fn(),
    ) -> io::Result<(Vec<LeakedProcess>, String)> {
        let pids: Vec<String> = connected.iter().map(i32::to_string).collect();
        // This fails if the supervisor is gone. The missing answer then shows it.
        let order = if is_judged { END } else { ABORT };
        let _ = self.send(format!("{order} {}", pids.join(" ")).trim_end()).await;
        let mut answer = None;
        loop {
            // The implementation may have stopped the supervisor.
            self.signal(Signal::SIGCONT);
            match tokio::time::timeout(RETRY_AFTER, self.next()).await {
                Ok(Some(SupervisorEvent::Finished { leaked, printed })) => {
                    answer = Some((leaked, printed));
                    // This is the last event, and no process is left that could stop the supervisor. Do not wait for the end
                    // of the socket: gVisor may not report it.
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => kill_known_processes(),
            }
        }
        if answer.is_none() {
            kill_known_processes();
            let _ = std::fs::remove_dir_all(&self.scratch);
        }
        match answer {
            Some(answer) => self.process.wait().await.map(|_| answer),
            None => Err(self.ended_early().await),
        }
    }

    /// Waits for the end of the supervisor, which ended before it was told to, and returns an error that says how it ended.
    async fn ended_early(&mut self) -> io::Error {
        let status = self.process.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        io::Error::other(format!("the supervisor of a run ended unexpectedly ({status})"))
    }

    async fn send(&mut self, order: &str) -> io::Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await
    }

    /// Sends a signal to the supervisor. It is a child that was not reaped yet, so its pid cannot belong to another process.
    fn signal(&self, signal: Signal) {
        let pid = self.pid().map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, signal));
    }
}
