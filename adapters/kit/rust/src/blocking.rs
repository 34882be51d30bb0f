//! The session of an implementation whose calls block: each task is a thread, and a separate thread listens to the
//! harness.

use crate::command::Command;
use crate::connection::{Connection, Ending, hello, line, own_pid, report, understand};
use crate::implementation::{Answer, Completed, Failure, Identity, Resources};
use crate::os_actions::OsActions;
use crate::protocol::{ControlChannel, FromAgent, ToAgent, WireOutcome};
use nix::sys::signal::SigSet;
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// An implementation whose calls block, as one process of a scenario uses it.
pub trait BlockingImplementation: Resources + Send + Sync {
    /// Performs one command, and blocks the calling thread until it returns.
    ///
    /// Each task calls it from a thread of its own. `within` is the time limit of the call; a call that cannot take one
    /// is unsupported, and must not be made without it. If the limit passes, the outcome is `timeout`, or `running` for
    /// a join. A panic is reported as the outcome `other`.
    ///
    /// The session performs `exit`, `raise`, `pause`, `reaped` and what [`OsActions`] performs, refuses `cancel`, and
    /// refuses the commands of a profile that [`Identity::profiles`] does not contain; none of these is passed to this
    /// method.
    fn perform(&self, command: Command, within: Option<Duration>) -> Answer;

    /// Whether a thread of the library reaps ended children by itself. Then `reaped` polls; otherwise it looks again
    /// only after a command has returned, so that a child which nothing reaps is a stall that the harness can prove.
    fn reaps_in_background(&self) -> bool {
        false
    }
}

/// Connects to the harness, introduces this process as `role`, and performs its steps until its script is done.
///
/// Blocks the calling thread, which should be the main thread: when this function returns, the process should return
/// from `main`. All signals are blocked in the calling thread and in the thread that listens to the harness, so that a
/// signal always interrupts one of the tasks.
///
/// # Errors
///
/// If there is no harness to connect to (the process was not started by one), or no thread can be started.
pub fn serve_blocking<I: BlockingImplementation>(
    implementation: I,
    identity: &Identity,
    role: &str,
) -> io::Result<Ending> {
    serve_blocking_on(Connection::from_environment()?, implementation, identity, role)
}

pub(crate) fn serve_blocking_on<I: BlockingImplementation>(
    connection: Connection,
    implementation: I,
    identity: &Identity,
    role: &str,
) -> io::Result<Ending> {
    let Connection { stream, token } = connection;
    let lines = BufReader::new(stream.try_clone()?);
    let mask = SigSet::thread_get_mask()?;
    SigSet::all().thread_block()?;
    let (ending, result) = mpsc::channel();
    let session = Arc::new(Session {
        implementation,
        os: OsActions::default(),
        stream: Mutex::new(stream),
        pid: own_pid(),
        mask,
        ending,
        returned: Mutex::default(),
        step_returned: Condvar::new(),
    });
    let identity = Identity { control: ControlChannel::Thread, ..identity.clone() };
    session.send(&hello(token, &identity, role));
    let listener = move || listen(&session, lines, &identity.profiles);
    thread::Builder::new().name("harness".into()).spawn(listener)?;
    Ok(result.recv().unwrap_or(Ending::Gone))
}

struct Step {
    id: usize,
    command: Command,
    within: Option<Duration>,
    /// Sent to when the step begins, and dropped when it has returned.
    progress: Sender<()>,
}

/// How long the listener waits for a step that has begun, so that calls are made in the order of their steps. Threads
/// that wake up together would make them in any order. A call that takes longer than this is waiting for something,
/// and has taken its place in the queue by then.
const HEAD_START: Duration = Duration::from_millis(1);

/// How long a thread sleeps between two looks at a child that a thread of the library reaps.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What the threads of a process share.
struct Session<I> {
    implementation: I,
    os: OsActions,
    stream: Mutex<UnixStream>,
    pid: i32,
    /// The signals that were blocked when the session began.
    mask: SigSet,
    ending: Sender<Ending>,
    /// The number of steps that have returned, and who waits for the next.
    returned: Mutex<u64>,
    step_returned: Condvar,
}

fn listen<I: BlockingImplementation>(
    session: &Arc<Session<I>>,
    lines: BufReader<UnixStream>,
    profiles: &[String],
) {
    let mut tasks = BTreeMap::from([(None, Task::start(session))]);
    for line in lines.lines() {
        let Ok(line) = line else { break };
        match understand(&line, profiles, &session.implementation) {
            Ok(ToAgent::Welcome { .. }) => {}
            Ok(ToAgent::Ping { n }) => session.send(&FromAgent::Pong { n }),
            Ok(ToAgent::Reject { .. }) => break,
            Ok(ToAgent::Finish) => {
                if let Some(handles) = session.implementation.remaining_handles() {
                    session.send(&FromAgent::Left { handles });
                }
                let _ = session.ending.send(Ending::Finished);
            }
            Ok(ToAgent::Step { id, task, command, within_ms }) => {
                let within = within_ms.map(Duration::from_millis);
                let task = tasks.entry(task).or_insert_with(|| Task::start(session));
                task.queue(id, command, within);
            }
            Err(answer) => session.send(&answer),
        }
    }
    let _ = session.ending.send(Ending::Gone);
}

/// A thread that performs steps one after the other.
struct Task {
    steps: Sender<Step>,
    /// How many steps it has not finished.
    unfinished: Arc<AtomicUsize>,
}

impl Task {
    fn start<I: BlockingImplementation>(session: &Arc<Session<I>>) -> Self {
        let (steps, queue) = mpsc::channel();
        let unfinished = Arc::new(AtomicUsize::new(0));
        let (session, count) = (Arc::clone(session), Arc::clone(&unfinished));
        thread::spawn(move || session.run_task(&queue, &count));
        Self { steps, unfinished }
    }

    /// Adds a step. If the task is idle, waits until the step has written its begin, so that the begins of several
    /// tasks are written in the order in which their steps arrived.
    fn queue(&self, id: usize, command: Command, within: Option<Duration>) {
        let (progress, seen) = mpsc::channel();
        let is_idle = self.unfinished.fetch_add(1, SeqCst) == 0;
        // An error means that the task has performed `raise`: the process is about to end.
        let _ = self.steps.send(Step { id, command, within, progress });
        if is_idle && seen.recv().is_ok() {
            let _ = seen.recv_timeout(HEAD_START);
        }
    }
}

impl<I: BlockingImplementation> Session<I> {
    /// Writes one line with one call. Without a harness the process has nothing to do, and exits.
    fn send(&self, message: &FromAgent) {
        let written = self.stream.lock().map(|mut stream| stream.write_all(&line(message)));
        if !matches!(written, Ok(Ok(()))) {
            process::exit(1);
        }
    }

    fn run_task(&self, steps: &Receiver<Step>, unfinished: &AtomicUsize) {
        // This cannot fail: the mask was in force before.
        let _ = self.mask.thread_set_mask();
        while let Ok(Step { id, command, within, progress }) = steps.recv() {
            let pid = self.pid;
            self.send(&FromAgent::Begin { id, pid });
            let _ = progress.send(());
            if command == Command::Raise {
                let _ = self.ending.send(Ending::Raised);
                return;
            }
            let answer = catch_unwind(AssertUnwindSafe(|| self.perform(command, within)));
            let answer = answer.unwrap_or_else(|panic| {
                Ok(Completed { detail: panic_text(&*panic), ..WireOutcome::Other.into() })
            });
            // Before the answer is sent, since the next step may follow at once.
            unfinished.fetch_sub(1, SeqCst);
            *self.returned.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.step_returned.notify_all();
            self.send(&report(id, pid, answer));
            drop(progress);
        }
    }

    fn perform(&self, command: Command, within: Option<Duration>) -> Answer {
        match command {
            Command::Exit { code } => process::exit(code),
            Command::Pause { ms } => thread::sleep(Duration::from_millis(ms)),
            Command::Cancel { .. } => {
                return Err(Failure::unsupported(
                    "a thread inside a blocking call cannot be cancelled",
                ));
            }
            Command::Reaped { child } => {
                let pid = self.os.pid(&child, &self.implementation)?;
                return Ok(self.wait_until_reaped(pid, within).into());
            }
            command if OsActions::performs(&command) => {
                return self.os.perform(command, &self.implementation);
            }
            command => return self.implementation.perform(command, within),
        }
        Ok(WireOutcome::Ok.into())
    }

    fn wait_until_reaped(&self, pid: i32, within: Option<Duration>) -> WireOutcome {
        let deadline = within.map(|limit| Instant::now() + limit);
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        while OsActions::pid_exists(pid) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return WireOutcome::Timeout;
            }
            let poll = self.implementation.reaps_in_background().then_some(POLL_INTERVAL);
            returned = match left.into_iter().chain(poll).min() {
                None => self.step_returned.wait(returned).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.step_returned.wait_timeout(returned, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        WireOutcome::Ok
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}
