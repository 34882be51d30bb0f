//! The keeper: a process of its own between the harness and one run. All that the run starts stays below it, and
//! nothing of it outlives it.
//!
//! Both sides are here: `keeper_main` in the process, [`Keeper`] in the harness. It speaks lines of JSON over its
//! stdin, which is a socket: when that closes, for whatever reason, it kills, reaps and tidies up.

use super::{platform, tree};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, wait};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};

/// What the agents of a run print goes into this file of its scratch directory.
pub const PRINTED: &str = "main.out";

/// What the keeper tells.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum KeeperEvent {
    /// `main` runs.
    Started(i32),
    /// `main` could not be started.
    Failed(String),
    /// `main`, or a process that lost its parent, has ended and is reaped.
    Ended {
        /// Its number.
        pid: i32,
        /// How.
        end: Stopped,
    },
    /// All are gone; these were there until then.
    Swept(Vec<Left>),
}

/// How a process ended.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// With a code.
    Code(i32),
    /// By a signal, `SIGKILL`.
    Signal(String),
}

/// A process that was still there when the run was swept.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Left {
    /// Its number.
    pub pid: i32,
    /// The process that should have reaped it.
    pub parent: i32,
    /// One letter; `Z` is a zombie.
    pub state: String,
    /// Its command line.
    pub command: String,
}

/// The harness's side.
pub struct Keeper {
    process: tokio::process::Child,
    events: Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
    orders: tokio::net::unix::OwnedWriteHalf,
}

impl Keeper {
    /// Starts a keeper, which starts `command` as `main`. `exe` is the harness's own program.
    pub fn start(
        command: &[String],
        variables: &[(String, String)],
        scratch: &Path,
        exe: &Path,
    ) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = tokio::process::Command::new(exe)
            .arg("keeper")
            .arg(scratch)
            .args(command)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for the harness; the keeper hears of it by its socket.
            .process_group(0)
            .spawn()?;
        let (reader, orders) = tokio::net::UnixStream::from_std(ours)?.into_split();
        Ok(Self { process, events: BufReader::new(reader).lines(), orders })
    }

    /// The number of the keeper: the run's processes are those below it.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process.id().and_then(|pid| i32::try_from(pid).ok())
    }

    /// What it tells next; `None` if it is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<KeeperEvent> {
        let line = self.events.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Ends the run: kills and reaps all that is left of it, says what that was, and waits for the keeper's end.
    pub async fn sweep(mut self) -> io::Result<Vec<Left>> {
        // If the keeper is gone this fails, and the missing answer says so.
        let _ = self.orders.write_all(b"sweep\n").await;
        let mut left = None;
        while let Some(event) = self.next().await {
            if let KeeperEvent::Swept(swept) = event {
                left = Some(swept);
            }
        }
        self.process.wait().await?;
        left.ok_or_else(|| io::Error::other("the keeper of a run ended before its time"))
    }
}

/// The keeper's own main: `keeper SCRATCH PROGRAM ARGUMENT…`. Returns its exit code.
#[must_use]
pub fn keeper_main(arguments: Vec<OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    let (Some(scratch), Some(program)) = (arguments.next(), arguments.next()) else { return 2 };
    platform::close_strangers();
    if platform::clean_signals().is_err() {
        return 3;
    }
    platform::adopt_orphans();
    let Ok(control) = take_stdin() else { return 3 };
    let keeping = Keeping { control, scratch: scratch.into() };
    let code = keeping.keep(&program, arguments.collect());
    // Twice is harmless: the harness tidies up as well, if it can.
    let _ = fs::remove_dir_all(&keeping.scratch);
    code
}

struct Keeping {
    control: UnixStream,
    scratch: PathBuf,
}

impl Keeping {
    fn keep(&self, program: &OsString, arguments: Vec<OsString>) -> i32 {
        let main = match self.start(program, arguments) {
            Ok(pid) => pid,
            Err(error) => {
                self.tell(&KeeperEvent::Failed(format!("{}: {error}", program.to_string_lossy())));
                0
            }
        };
        let (all_ended, is_empty) = mpsc::channel();
        let Ok(voice) = self.control.try_clone() else { return 3 };
        if main > 0 {
            self.tell(&KeeperEvent::Started(main));
            thread::spawn(move || reap(&voice, &all_ended));
        } else {
            drop(all_ended);
        }
        // Anything but an order is the end of the harness, and answered in the same way.
        let mut order = String::new();
        let _ = io::BufReader::new(&self.control).read_line(&mut order);
        let left = self.sweep(main, &is_empty);
        self.tell(&KeeperEvent::Swept(left));
        0
    }

    fn start(&self, program: &OsString, arguments: Vec<OsString>) -> io::Result<i32> {
        let printed = File::options().create(true).append(true).open(self.scratch.join(PRINTED))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(printed.try_clone()?)
            .stderr(printed)
            .process_group(0)
            .spawn()?;
        // The child is reaped with all the others; std's handle does nothing when it is dropped.
        i32::try_from(child.id()).map_err(io::Error::other)
    }

    fn tell(&self, event: &KeeperEvent) {
        tell(&self.control, event);
    }

    /// Kills until nobody is left, and says who was.
    fn sweep(&self, main: i32, is_empty: &mpsc::Receiver<()>) -> Vec<Left> {
        let own = i32::try_from(std::process::id()).unwrap_or(-1);
        let shown = tree::below(own).unwrap_or_default();
        // A zombie of the keeper's own has ended already, and is just being reaped.
        let is_left = |member: &&tree::Member| member.state != 'Z' || member.parent != own;
        let left = shown.iter().filter(is_left).map(|member| Left {
            pid: member.pid,
            parent: member.parent,
            state: member.state.to_string(),
            command: tree::command(member.pid),
        });
        let left = left.collect();
        loop {
            for member in tree::below(own).unwrap_or_default() {
                platform::kill(member.pid, || {
                    tree::member(member.pid).is_some_and(|now| now.since == member.since)
                });
            }
            if shown.is_empty() && main > 0 {
                // Without a list of processes the group is all that can be named; nobody else can have its
                // number while one of it lives.
                let _ = nix::sys::signal::killpg(
                    nix::unistd::Pid::from_raw(main),
                    nix::sys::signal::SIGKILL,
                );
            }
            // One that was born between the look and the kill is found by the next look.
            match is_empty.recv_timeout(Duration::from_millis(20)) {
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return left,
            }
        }
    }
}

/// Reaps whatever ends below, and tells of it, until nobody is left.
fn reap(voice: &UnixStream, all_ended: &mpsc::Sender<()>) {
    loop {
        let (pid, end) = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Stopped::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                (pid, Stopped::Signal(signal.as_str().to_owned()))
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            // No children: and since orphans come here, nobody at all, for ever.
            Err(_) => break,
        };
        tell(voice, &KeeperEvent::Ended { pid: pid.as_raw(), end });
    }
    let _ = all_ended.send(());
}

fn tell(mut voice: &UnixStream, event: &KeeperEvent) {
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
