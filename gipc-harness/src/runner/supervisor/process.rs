//! The supervisor process itself: starts `main`, reaps the processes that end below it, and leaves no process of the run
//! behind.

use super::left_behind;
use super::messages::{END, LeakedProcess, PREPARE, SOCKET, START, SupervisorEvent, token};
use crate::proc::{platform, process_tree};
use crate::trace::ProcessExit;
use gipc_agent::{SOCKET_VARIABLE, TOKEN_VARIABLE};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How many bytes are kept of what the processes of a run print. The rest is read and discarded.
const PRINTED_LIMIT: u64 = 256 * 1024;

/// How long to wait between two attempts to kill all processes below the supervisor.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// The main function of the supervisor: `supervisor PROGRAM ARGUMENT…`. Supervises one run of the program after the other,
/// until the harness closes the connection. Returns its exit code.
#[must_use]
pub fn supervisor_main(arguments: Vec<OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    let Some(program) = arguments.next() else { return 2 };
    let arguments: Vec<OsString> = arguments.collect();
    platform::close_inherited_fds();
    if platform::reset_signals().is_err() {
        return 3;
    }
    platform::become_subreaper();
    let Ok(control) = take_stdin() else { return 3 };
    let mut orders = io::BufReader::new(&control);
    while next_order(&mut orders) == PREPARE {
        // The supervisor makes the directory, because only the supervisor is sure to live long enough to remove it.
        let scratch = match tempfile::Builder::new().prefix("gipc-").tempdir() {
            Ok(scratch) => scratch,
            Err(error) => {
                let reason = format!("no directory for the run: {error}");
                report(&control, &SupervisorEvent::Failed(reason));
                continue;
            }
        };
        report(&control, &SupervisorEvent::Ready(scratch.path().to_owned()));
        let run = SupervisedRun { orders: &mut orders, control: &control, scratch: scratch.path() };
        let (leaked, printed) = run.supervise(&program, &arguments);
        // The harness may end as soon as it knows that the run is finished.
        drop(scratch);
        report(&control, &SupervisorEvent::Finished { leaked, printed });
    }
    0
}

/// The run that this process supervises.
struct SupervisedRun<'a, 'b> {
    orders: &'a mut io::BufReader<&'b UnixStream>,
    control: &'b UnixStream,
    scratch: &'a Path,
}

impl SupervisedRun<'_, '_> {
    /// Returns the processes that were left behind, and what was printed.
    fn supervise(self, program: &OsString, arguments: &[OsString]) -> (Vec<LeakedProcess>, String) {
        // Any other order ends the run, and so does the end of the harness.
        if next_order(self.orders) != START {
            return Default::default();
        }
        let (no_child_left, all_reaped) = mpsc::channel();
        let (send_printed, printed) = mpsc::channel();
        let (main_runs, may_reap) = mpsc::channel();
        let started = self
            .start_threads(send_printed, may_reap, no_child_left)
            .and_then(|output| self.start_main(program, arguments, output));
        let main = match started {
            Ok(main) => {
                self.report(&SupervisorEvent::Started(main));
                // This fails only if the thread has panicked.
                let _ = main_runs.send(());
                Some(main)
            }
            Err(reason) => {
                drop(main_runs);
                self.report(&SupervisorEvent::Failed(reason));
                None
            }
        };
        let order = next_order(self.orders);
        let mut words = order.split(' ');
        let is_judged = words.next() == Some(END);
        let connected = words.filter_map(|pid| pid.parse().ok());
        let known = main.into_iter().chain(connected).collect();
        let leaked = self.kill_and_reap_all(is_judged, known, &all_reaped);
        // No process is left that could print, so the reader reaches the end.
        (leaked, printed.recv().unwrap_or_default())
    }

    /// Starts two threads: one reads what is written to the returned pipe, the other reaps all children once `main` runs.
    /// They are started first, because a limit on processes may refuse them later.
    fn start_threads(
        &self,
        send_printed: mpsc::Sender<String>,
        may_reap: mpsc::Receiver<()>,
        no_child_left: mpsc::Sender<()>,
    ) -> Result<OwnedFd, String> {
        let threads = || {
            let (output, input) = platform::close_on_exec_pipe()?;
            let events = self.control.try_clone()?;
            let read = move || send_printed.send(read_output(File::from(output)));
            let reap = move || {
                if may_reap.recv().is_ok() {
                    reap_all(&events, &no_child_left);
                }
            };
            thread::Builder::new().spawn(read)?;
            thread::Builder::new().spawn(reap)?;
            Ok::<_, io::Error>(input)
        };
        threads().map_err(|error: io::Error| format!("no thread of the supervisor: {error}"))
    }

    fn start_main(
        &self,
        program: &OsString,
        arguments: &[OsString],
        output: OwnedFd,
    ) -> Result<i32, String> {
        let start = || {
            Command::new(program)
                .args(arguments)
                .env(SOCKET_VARIABLE, self.scratch.join(SOCKET))
                .env(TOKEN_VARIABLE, token(self.scratch))
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .process_group(0)
                .spawn()
        };
        // `reap_all` reaps this child like all others; dropping the handle does nothing.
        start()
            .and_then(|child| i32::try_from(child.id()).map_err(io::Error::other))
            .map_err(|error| format!("{}: {error}", program.to_string_lossy()))
    }

    fn report(&self, event: &SupervisorEvent) {
        report(self.control, event);
    }

    /// Kills all processes below this one until none is left. Returns the processes that were left behind, if `is_judged`
    /// says that the run is judged by them. `known` are the pids of `main` and of the processes that have connected; some of
    /// them may have ended.
    fn kill_and_reap_all(
        &self,
        is_judged: bool,
        known: Vec<i32>,
        all_reaped: &mpsc::Receiver<()>,
    ) -> Vec<LeakedProcess> {
        // Most runs leave nothing behind, and listing the processes takes time for each process of the machine.
        if all_reaped.try_recv() != Err(mpsc::TryRecvError::Empty) {
            return Vec::new();
        }
        let own = i32::try_from(std::process::id()).unwrap_or(-1);
        let leaked = if is_judged {
            let waits = || self.report(&SupervisorEvent::Waiting);
            left_behind::settled(own, left_behind::LIMIT, all_reaped, waits)
        } else {
            Some(Vec::new())
        };
        // A process that is started between the listing and the kill is found by the next round.
        let mut interval = Duration::ZERO;
        while all_reaped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
            for process in process_tree::descendants(own).unwrap_or_default() {
                platform::kill(process.pid, || {
                    process_tree::stat(process.pid)
                        .is_some_and(|now| now.start_time == process.start_time)
                });
            }
            if !process_tree::is_shown() {
                known.iter().for_each(|pid| kill_child(*pid));
            }
            interval = KILL_INTERVAL;
        }
        leaked.unwrap_or_default()
    }
}

/// Waits for the next order; empty if the harness is gone.
fn next_order(orders: &mut impl BufRead) -> String {
    let mut order = String::new();
    let _ = orders.read_line(&mut order);
    order.trim_end().to_owned()
}

/// Kills a process and the group that it leads, on a system that does not list processes. Does nothing unless the process is
/// a child of this one. The pid of a child that was not reaped yet cannot belong to another process. A process becomes a
/// child of the supervisor when its parent has ended. A process that has not connected and has left the group of its parent
/// cannot be killed.
fn kill_child(pid: i32) {
    if platform::is_own_child(pid) {
        let pid = Pid::from_raw(pid);
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Reads everything that the run prints, so that no process waits for room in the pipe, and returns the beginning of it.
fn read_output(mut output: File) -> String {
    let mut kept = Vec::new();
    let _ = (&mut output).take(PRINTED_LIMIT).read_to_end(&mut kept);
    let discarded = io::copy(&mut output, &mut io::sink()).unwrap_or(0);
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    if discarded > 0 {
        text.push_str(&format!("\n({discarded} bytes more were printed, and not kept)\n"));
    }
    text
}

/// Reaps and reports every process that ends, until there are no children.
fn reap_all(events: &UnixStream, no_child_left: &mpsc::Sender<()>) {
    loop {
        let (pid, exit) = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => (pid, ProcessExit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                (pid, ProcessExit::Signal(signal.as_str().into()))
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            // There are no children. Orphans become children of this process, so no process of the run is left either.
            Err(_) => break,
        };
        report(events, &SupervisorEvent::Exited { pid: pid.as_raw(), exit });
    }
    let _ = no_child_left.send(());
}

fn report(mut control: &UnixStream, event: &SupervisorEvent) {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    // This fails only if the harness is gone, which then needs no reports.
    let _ = control.write_all(&line);
}

/// Moves the socket away from descriptor 0, so that `main` does not inherit it.
fn take_stdin() -> io::Result<UnixStream> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(control.into())
}
