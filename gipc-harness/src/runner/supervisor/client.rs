//! The harness's side of one run of a supervisor: reads its events, and ends the run.

use super::messages::{ABORT, END, LeakedProcess, PREPARE, START, SupervisorEvent};
use super::pool::{IdleSupervisor, SupervisorPool, SupervisorProcess};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

/// A supervisor that has a run.
pub struct Supervisor {
    /// Events arrive here, and orders are sent. Comes before the process, so that it is closed first.
    connection: Lines<BufReader<UnixStream>>,
    process: SupervisorProcess,
    /// The directory that the supervisor removes at the end of the run, unless it is killed first.
    scratch: PathBuf,
    pool: SupervisorPool,
}

/// How long to wait for the end of a run before the known processes are killed, and the supervisor is continued in case it
/// was stopped. A slow supervisor answers later, so this decides nothing.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Takes a supervisor, which makes a scratch directory for the run.
    ///
    /// `command` is the command line of `main`, and `env` is added to the environment of all processes of the run.
    pub async fn start(
        command: &[String],
        env: &BTreeMap<String, String>,
        pool: &SupervisorPool,
    ) -> io::Result<Self> {
        let IdleSupervisor { socket, process } = pool.take(command, env)?;
        let connection = BufReader::new(UnixStream::from_std(socket)?).lines();
        let (scratch, pool) = (PathBuf::new(), pool.clone());
        let mut supervisor = Self { connection, process, scratch, pool };
        // If this fails, the supervisor is gone, and the missing event shows it.
        let _ = supervisor.send(PREPARE).await;
        match supervisor.next().await {
            Some(SupervisorEvent::Ready(scratch)) => {
                supervisor.scratch = scratch;
                Ok(supervisor)
            }
            Some(SupervisorEvent::Failed(reason)) => Err(io::Error::other(reason)),
            _ => Err(supervisor.ended_early()),
        }
    }

    /// The scratch directory of the run.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Orders the supervisor to start `main`. The next event says whether it was started.
    pub async fn start_main(mut self) -> io::Result<Self> {
        match self.send(START).await {
            Ok(()) => Ok(self),
            Err(_) => Err(self.ended_early()),
        }
    }

    /// The pid of the supervisor; the processes of the run are below it.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process.pid()
    }

    /// Waits for the next event; `None` if the supervisor is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<SupervisorEvent> {
        let line = self.connection.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Ends the run: kills and reaps all its processes that are left, and puts the supervisor back into its pool. Returns the
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
            self.process.signal(Signal::SIGCONT);
            match tokio::time::timeout(RETRY_AFTER, self.next()).await {
                Ok(Some(SupervisorEvent::Finished { leaked, printed })) => {
                    answer = Some((leaked, printed));
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
            Some(answer) => {
                // This was the last event of the run, so nothing is left in the buffer.
                let socket = self.connection.into_inner().into_inner().into_std()?;
                self.pool.put_back(IdleSupervisor { socket, process: self.process });
                Ok(answer)
            }
            None => Err(self.ended_early()),
        }
    }

    /// Waits for the end of the supervisor, which ended before it was told to, and returns an error that says how it ended.
    fn ended_early(self) -> io::Error {
        let Self { connection, mut process, .. } = self;
        drop(connection);
        let status = process.wait();
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        io::Error::other(format!("the supervisor of a run ended unexpectedly ({status})"))
    }

    async fn send(&mut self, order: &str) -> io::Result<()> {
        self.connection.get_mut().write_all(format!("{order}\n").as_bytes()).await
    }
}
