//! The supervisor: a process of its own between the harness and one run. All that the run starts stays below it, and
//! nothing of it outlives it.
//!
//! Both sides are here: `supervisor_main` in the process, [`Supervisor`] in the harness. It speaks lines of JSON over its
//! stdin, which is a socket: when that closes, for whatever reason, it kills, reaps and tidies up.

use crate::proc::{platform, process_tree};
use crate::trace::ProcessExit;
use gipc_agent::{SOCKET_VARIABLE, TOKEN_VARIABLE};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};

/// So much is kept of what the agents of a run print, in bytes; the rest is read and forgotten.
const PRINTED: u64 = 256 * 1024;

/// The socket of a run, in its scratch directory.
pub const SOCKET: &str = "socket";

/// The token of a run: the name of its scratch directory, which has a part that nobody can guess.
#[must_use]
pub fn token(scratch: &Path) -> String {
    scratch.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What the supervisor tells.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SupervisorEvent {
    /// The scratch directory of the run is there.
    Ready(PathBuf),
    /// `main` runs.
    Started(i32),
    /// `main` could not be started.
    Failed(String),
    /// `main`, or a process that lost its parent, has ended and is reaped.
    Ended {
        /// Its number.
        pid: i32,
        /// How.
        end: ProcessExit,
    },
    /// All are gone.
    Swept {
        /// These were there until then.
        left: Vec<LeakedProcess>,
        /// What all of them printed; of very much only the beginning.
        printed: String,
    },
}

/// A process that was still there when the run was swept.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct LeakedProcess {
    /// Its number.
    pub pid: i32,
    /// The process that should have reaped it.
    pub parent: i32,
    /// Classified letter; `Z` is a zombie.
    pub state: String,
    /// Its command line.
    pub command: String,
}

/// The harness's side.
pub struct Supervisor {
    process: tokio::process::Child,
    events: Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
    orders: tokio::net::unix::OwnedWriteHalf,
    /// What it removes at its end, unless it is killed before.
    scratch: PathBuf,
}

/// After so long without an answer the supervisor is continued again, in case it was stopped, and those who are known are
/// killed. Decides nothing: who is slow answers later.
const AGAIN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Starts a supervisor, which makes a scratch directory for the run; its path is the second of the pair. `env` is
    /// added to the environment of all, and `exe` is the harness's own program.
    pub async fn start(
        command: &[String],
        env: &BTreeMap<String, String>,
        exe: &Path,
    ) -> io::Result<(Self, PathBuf)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = tokio::process::Command::new(exe)
            .arg("supervisor")
            .args(command)
            .envs(env)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for the harness; the supervisor hears of it by its socket.
            .process_group(0)
            .spawn()?;
        let (reader, orders) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (events, scratch) = (BufReader::new(reader).lines(), PathBuf::new());
        let mut supervisor = Self { process, events, orders, scratch };
        match supervisor.next().await {
            Some(SupervisorEvent::Ready(scratch)) => {
                supervisor.scratch.clone_from(&scratch);
                Ok((supervisor, scratch))
            }
            Some(SupervisorEvent::Failed(text)) => Err(io::Error::other(text)),
            _ => Err(io::Error::other("the supervisor of a run ended before its time")),
        }
    }

    /// Lets `main` start; whether it did is the next event.
    pub async fn begin(&mut self) -> io::Result<()> {
        self.orders.write_all(b"begin\n").await
    }

    /// The number of the supervisor: the run's processes are those below it.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process.id().and_then(|pid| i32::try_from(pid).ok())
    }

    /// What it tells next; `None` if it is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<SupervisorEvent> {
        let line = self.events.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Ends the run: kills and reaps all that is left of it, says what that was and what it printed, and waits for the
    /// supervisor's end. `kill_known` kills those of whom the harness knows: some may be beyond the supervisor's reach (in a
    /// session of their own where no list of processes is to be had), or the supervisor itself may have been killed.
    pub async fn sweep(
        mut self,
        kill_known: impl Fn(),
    ) -> io::Result<(Vec<LeakedProcess>, String)> {
        // If the supervisor is gone this fails, and the missing answer says so.
        let _ = self.orders.write_all(b"sweep\n").await;
        let mut left = None;
        loop {
            // An implementation may have stopped the supervisor.
            self.signal(Signal::SIGCONT);
            match tokio::time::timeout(AGAIN, self.next()).await {
                Ok(Some(SupervisorEvent::Swept { left: swept, printed })) => {
                    left = Some((swept, printed));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => kill_known(),
            }
        }
        if left.is_none() {
            kill_known();
            let _ = std::fs::remove_dir_all(&self.scratch);
        }
        self.process.wait().await?;
        left.ok_or_else(|| io::Error::other("the supervisor of a run ended before its time"))
    }

    /// It is a child that was not reaped yet, so the number is its own.
    fn signal(&self, signal: Signal) {
        let pid = self.pid().map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, signal));
    }
}

/// The supervisor's own main: `supervisor PROGRAM ARGUMENT…`. Returns its exit code.
#[must_use]
pub fn supervisor_main(arguments: Vec<OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    let Some(program) = arguments.next() else { return 2 };
    platform::close_strangers();
    if platform::clean_signals().is_err() {
        return 3;
    }
    platform::adopt_orphans();
    let Ok(control) = take_stdin() else { return 3 };
    // The supervisor makes the directory, because only the supervisor is sure to be there to remove it.
    let scratch = match tempfile::Builder::new().prefix("gipc-").tempdir() {
        Ok(scratch) => scratch,
        Err(error) => {
            tell(&control, &SupervisorEvent::Failed(format!("no directory for the run: {error}")));
            return 3;
        }
    };
    tell(&control, &SupervisorEvent::Ready(scratch.path().to_owned()));
    let keeping = SupervisorRun {
        orders: io::BufReader::new(&control),
        control: &control,
        scratch: scratch.path(),
    };
    keeping.keep(&program, arguments.collect())
}

struct SupervisorRun<'a> {
    orders: io::BufReader<&'a UnixStream>,
    control: &'a UnixStream,
    scratch: &'a Path,
}

impl SupervisorRun<'_> {
    fn keep(mut self, program: &OsString, arguments: Vec<OsString>) -> i32 {
        // Anything but the order, in particular the end of the harness, is an order to stop.
        if self.order() != "begin" {
            self.tell(&SupervisorEvent::Swept { left: Vec::new(), printed: String::new() });
            return 0;
        }
        let (all_ended, is_empty) = mpsc::channel();
        let (printed, has_printed) = mpsc::channel();
        let Ok(voice) = self.control.try_clone() else { return 3 };
        let main = match self.start(program, arguments) {
            Ok((main, output)) => {
                thread::spawn(move || printed.send(drain(output)));
                self.tell(&SupervisorEvent::Started(main));
                thread::spawn(move || reap(&voice, &all_ended));
                Some(main)
            }
            Err(error) => {
                drop((all_ended, printed));
                self.tell(&SupervisorEvent::Failed(format!(
                    "{}: {error}",
                    program.to_string_lossy()
                )));
                None
            }
        };
        self.order();
        let left = self.sweep(main, &is_empty);
        // All who could write it are gone.
        let printed = has_printed.recv().unwrap_or_default();
        self.tell(&SupervisorEvent::Swept { left, printed });
        0
    }

    fn order(&mut self) -> String {
        let mut order = String::new();
        let _ = self.orders.read_line(&mut order);
        order.trim_end().to_owned()
    }

    fn start(&self, program: &OsString, arguments: Vec<OsString>) -> io::Result<(i32, File)> {
        let (output, printed) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let child = Command::new(program)
            .args(arguments)
            .env(SOCKET_VARIABLE, self.scratch.join(SOCKET))
            .env(TOKEN_VARIABLE, token(self.scratch))
            .stdin(Stdio::null())
            .stdout(printed.try_clone()?)
            .stderr(printed)
            .process_group(0)
            .spawn()?;
        // The child is reaped with all the others; std's handle does nothing when it is dropped.
        let main = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok((main, File::from(output)))
    }

    fn tell(&self, event: &SupervisorEvent) {
        tell(self.control, event);
    }

    /// Kills until nobody is left, and says who was.
    fn sweep(&self, main: Option<i32>, is_empty: &mpsc::Receiver<()>) -> Vec<LeakedProcess> {
        let own = i32::try_from(std::process::id()).unwrap_or(-1);
        let shown = process_tree::below(own);
        // A zombie of the supervisor's own has ended already, and is just being reaped.
        let is_left =
            |member: &&process_tree::ProcStat| member.state != 'Z' || member.parent != own;
        let left = shown.iter().flatten().filter(is_left).map(|member| LeakedProcess {
            pid: member.pid,
            parent: member.parent,
            state: member.state.to_string(),
            command: process_tree::command(member.pid),
        });
        let left = left.collect();
        // Classified that is born between a look and a kill is found by the next look.
        let mut pause = Duration::ZERO;
        while is_empty.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
            for member in process_tree::below(own).unwrap_or_default() {
                platform::kill(member.pid, || {
                    process_tree::member(member.pid).is_some_and(|now| now.since == member.since)
                });
            }
            if let (None, Some(main)) = (&shown, main) {
                // Without a list of processes the group is all that can be named; it still has a member, since
                // somebody here is not reaped. Who left the group is beyond reach on such a system.
                let group = nix::unistd::Pid::from_raw(main);
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::SIGKILL);
            }
            pause = Duration::from_millis(20);
        }
        left
    }
}

/// Reads all that is printed, so that nobody waits for room, and keeps its beginning.
fn drain(mut output: File) -> String {
    let mut kept = Vec::new();
    let _ = (&mut output).take(PRINTED).read_to_end(&mut kept);
    let more = io::copy(&mut output, &mut io::sink()).unwrap_or(0);
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    if more > 0 {
        text.push_str(&format!("\n({more} bytes more were printed, and not kept)\n"));
    }
    text
}

/// Reaps whatever ends below, and tells of it, until nobody is left.
fn reap(voice: &UnixStream, all_ended: &mpsc::Sender<()>) {
    loop {
        let (pid, end) = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => (pid, ProcessExit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                (pid, ProcessExit::Signal(signal.as_str().to_owned()))
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            // No children: and since orphans come here, nobody at all, for ever.
            Err(_) => break,
        };
        tell(voice, &SupervisorEvent::Ended { pid: pid.as_raw(), end });
    }
    let _ = all_ended.send(());
}

fn tell(mut voice: &UnixStream, event: &SupervisorEvent) {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    // If the harness is gone, nobody needs to know.
    let _ = voice.write_all(&line);
}

/// Takes the socket away from descriptor 0, so that `main` does not inherit it.
fn take_stdin() -> io::Result<UnixStream> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(control.into())
}
