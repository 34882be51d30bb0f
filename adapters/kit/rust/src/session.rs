//! The session of an asynchronous implementation: tasks run concurrently on one thread, the steps of a task one after
//! the other.

use crate::command::Command;
use crate::connection::{Connection, Ending, hello, own_pid, report, understand};
use crate::implementation::{Answer, Identity, Implementation};
use crate::os_actions::OsActions;
use crate::protocol::{FromAgent, ToAgent, WireOutcome};
use crate::writer::Writer;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, ReadBuf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local, yield_now};

/// The name of a task; `None` is the main line of the process.
type TaskName = Option<String>;

/// Asks a task to drop its current step. The task answers when it has.
type Cancel = oneshot::Sender<oneshot::Sender<()>>;

struct Step {
    id: usize,
    command: Command,
    within: Option<Duration>,
}

/// What the tasks of a process share.
struct Session<I> {
    implementation: I,
    os: OsActions,
    writer: Writer,
    pid: i32,
    /// The steps under way that can be cancelled.
    running: RefCell<BTreeMap<TaskName, Cancel>>,
    /// Notified when the entry is to fail.
    raise: Notify,
}

/// Connects to the harness, introduces this process as `role`, and performs its steps until its script is done.
///
/// Must run on a current-thread runtime with I/O and time enabled, so that an answered ping proves that the event loop
/// of the implementation turns. Dropping the future closes the connection, which the harness reports as an error.
///
/// # Errors
///
/// If there is no harness to connect to: the process was not started by one.
pub async fn serve<I: Implementation>(
    implementation: I,
    identity: &Identity,
    role: &str,
) -> io::Result<Ending> {
    serve_on(Connection::from_environment()?, implementation, identity, role).await
}

pub(crate) async fn serve_on<I: Implementation>(
    connection: Connection,
    implementation: I,
    identity: &Identity,
    role: &str,
) -> io::Result<Ending> {
    let Connection { stream, token } = connection;
    stream.set_nonblocking(true)?;
    let writer = Writer::new(stream.try_clone()?);
    let stream = tokio::net::UnixStream::from_std(stream)?;
    writer.send(&hello(token, identity, role));
    let session = Rc::new(Session {
        implementation,
        os: OsActions::default(),
        writer,
        pid: own_pid(),
        running: RefCell::default(),
        raise: Notify::new(),
    });
    let tasks = LocalSet::new();
    let ending = tasks
        .run_until(async {
            tokio::select! {
                ending = listen(&session, &identity.profiles, &stream) => ending,
                () = session.writer.drain_backlog(&stream) => Ending::Gone,
                () = session.raise.notified() => Ending::Raised,
            }
        })
        .await;
    session.writer.finish();
    Ok(ending)
}

async fn listen<I: Implementation>(
    session: &Rc<Session<I>>,
    profiles: &[String],
    stream: &tokio::net::UnixStream,
) -> Ending {
    let mut tasks: BTreeMap<TaskName, mpsc::UnboundedSender<Step>> = BTreeMap::new();
    let mut lines = BufReader::new(SharedReader(stream)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match understand(&line, profiles, &session.implementation) {
            Ok(ToAgent::Welcome { .. }) => {}
            Ok(ToAgent::Reject { .. }) => return Ending::Gone,
            Ok(ToAgent::Finish) => {
                if let Some(handles) = session.implementation.remaining_handles() {
                    session.writer.send(&FromAgent::Left { handles });
                }
                return Ending::Finished;
            }
            // This future is the first of each turn of the loop. The pong says that the other tasks have had their turn,
            // and that the events which were due to them have been seen.
            Ok(ToAgent::Ping { n }) => {
                let session = Rc::clone(session);
                spawn_local(async move {
                    yield_now().await;
                    session.writer.send(&FromAgent::Pong { n });
                });
            }
            Ok(ToAgent::Step { id, task, command, within_ms }) => {
                let step = Step { id, command, within: within_ms.map(Duration::from_millis) };
                let queue = tasks.entry(task.clone()).or_insert_with(|| {
                    let (queue, steps) = mpsc::unbounded_channel();
                    spawn_local(run_task(Rc::clone(session), task, steps));
                    queue
                });
                // A task ends only when this function does.
                let _ = queue.send(step);
            }
            Err(answer) => session.writer.send(&answer),
        }
    }
    Ending::Gone
}

/// How often the loop turns before a step: once for the system's events, once for the tasks that react to them.
const TURNS: usize = 2;

async fn run_task<I: Implementation>(
    session: Rc<Session<I>>,
    task: TaskName,
    mut steps: mpsc::UnboundedReceiver<Step>,
) {
    while let Some(step) = steps.recv().await {
        let (id, pid) = (step.id, session.pid);
        // Events that are due are handled before the step: the system may report this line before an earlier event.
        for _ in 0..TURNS {
            yield_now().await;
        }
        session.writer.send(&FromAgent::Begin { id, pid });
        let (cancel, cancelled) = oneshot::channel();
        session.running.borrow_mut().insert(task.clone(), cancel);
        let mut canceller = None;
        let answer = tokio::select! {
            biased;
            answer = perform(&session, step) => answer,
            Ok(who) = cancelled => {
                canceller = Some(who);
                Ok(WireOutcome::Cancelled.into())
            }
        };
        session.running.borrow_mut().remove(&task);
        session.writer.send(&report(id, pid, answer));
        if let Some(canceller) = canceller {
            let _ = canceller.send(());
        }
    }
}

async fn perform<I: Implementation>(session: &Session<I>, step: Step) -> Answer {
    match step.command {
        Command::Exit { code } => {
            session.writer.finish();
            std::process::exit(code);
        }
        Command::Raise => {
            session.raise.notify_one();
            pending().await
        }
        Command::Pause { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(WireOutcome::Ok.into())
        }
        Command::Cancel { task } => {
            let cancel = session.running.borrow_mut().remove(&Some(task));
            let (done, is_done) = oneshot::channel();
            if cancel.is_some_and(|cancel| cancel.send(done).is_ok()) {
                // An error only means that the step returned by itself at this very moment.
                let _ = is_done.await;
            }
            Ok(WireOutcome::Ok.into())
        }
        Command::Reaped { child } => {
            within(step.within, WireOutcome::Timeout, async {
                let pid = session.os.pid(&child, &session.implementation)?;
                // The system has no event for this.
                while OsActions::pid_exists(pid) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(WireOutcome::Ok.into())
            })
            .await
        }
        command if OsActions::performs(&command) => {
            session.os.perform(command, &session.implementation)
        }
        command => {
            let is_join = matches!(command, Command::Join { .. });
            let late = if is_join { WireOutcome::Running } else { WireOutcome::Timeout };
            within(step.within, late, session.implementation.perform(command)).await
        }
    }
}

async fn within(
    limit: Option<Duration>,
    late: WireOutcome,
    call: impl Future<Output = Answer>,
) -> Answer {
    match limit {
        None => call.await,
        Some(limit) => tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Ok(late.into())),
    }
}

/// Reads from a stream that the writer also waits on.
struct SharedReader<'a>(&'a tokio::net::UnixStream);

impl AsyncRead for SharedReader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}
