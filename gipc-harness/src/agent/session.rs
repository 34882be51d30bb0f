//! One process's talk with the harness: tasks side by side on one thread, the orders of a task one by one.
//!
//! Knows the messages and the time limits, and nothing of what an order does.

use super::writer::Writer;
use super::{Answer, Done, Ending, Identity, Implementation, Unsupported};
use crate::adapter::command::Command;
use crate::adapter::protocol::{
    FromAgent, Hello, PROTOCOL, SOCKET_VARIABLE, TOKEN_VARIABLE, ToAgent, WireOutcome,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;

/// The name of a task; none is the process's own line.
type TaskId = Option<String>;

/// Asks a task to drop what it is doing; it answers when it has.
type Cancel = oneshot::Sender<oneshot::Sender<()>>;

struct Step {
    id: usize,
    order: Command,
    within: Option<Duration>,
}

/// What the tasks of a process share.
struct Process<L> {
    library: L,
    voice: Writer,
    pid: i32,
    /// The orders under way that can be cancelled.
    busy: RefCell<BTreeMap<TaskId, Cancel>>,
    /// Told when the entry is to fail.
    raise: Notify,
}

/// Dials the harness, says who this is, and does what it is told until the script of this process is done.
///
/// Must run on a current-thread runtime, so that an answered ping proves that the library's loop turns.
///
/// # Errors
///
/// If there is no harness to talk to: the process was not started by one.
pub async fn serve<L: Implementation>(
    library: L,
    identity: &Identity,
    role: &str,
) -> io::Result<Ending> {
    let path = variable(SOCKET_VARIABLE)?;
    let token = variable(TOKEN_VARIABLE)?;
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    let voice = Writer::new(stream.try_clone()?);
    let stream = tokio::net::UnixStream::from_std(stream)?;
    let pid = i32::try_from(std::process::id()).unwrap_or(-1);
    voice.say(&FromAgent::Hello(Hello {
        protocol: PROTOCOL,
        token,
        role: role.to_owned(),
        pid,
        implementation: identity.implementation.clone(),
        profiles: identity.profiles.clone(),
        control: identity.control,
    }));
    let process =
        Rc::new(Process { library, voice, pid, busy: RefCell::default(), raise: Notify::new() });
    let tasks = LocalSet::new();
    let ending = tasks
        .run_until(async {
            tokio::select! {
                ending = listen(&process, &identity.profiles, &stream) => ending,
                () = process.voice.catch_up(&stream) => Ending::Gone,
                () = process.raise.notified() => Ending::Raised,
            }
        })
        .await;
    process.voice.finish();
    Ok(ending)
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|_| {
        io::Error::other(format!("{name} is not set: an agent is started by the harness"))
    })
}

async fn listen<L: Implementation>(
    process: &Rc<Process<L>>,
    profiles: &[String],
    stream: &tokio::net::UnixStream,
) -> Ending {
    let mut task_ids: BTreeMap<TaskId, mpsc::UnboundedSender<Step>> = BTreeMap::new();
    let mut lines = BufReader::new(Listener(stream)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match understand(&line) {
            Ok(ToAgent::Welcome { .. }) => {}
            Ok(ToAgent::Reject { .. }) => return Ending::Gone,
            Ok(ToAgent::Finish) => {
                if let Some(handles) = process.library.left() {
                    process.voice.say(&FromAgent::Left { handles });
                }
                return Ending::Finished;
            }
            // This future is the first of each turn. The answer says that the others have had theirs, and that what was due
            // to them in the meantime has been seen.
            Ok(ToAgent::Ping { n }) => {
                let process = Rc::clone(process);
                tokio::task::spawn_local(async move {
                    tokio::task::yield_now().await;
                    process.voice.say(&FromAgent::Pong { n });
                });
            }
            // What is done here and not by the library is refused here.
            Ok(ToAgent::Step {
                id, order: Command::Pause { .. } | Command::Cancel { .. }, ..
            }) if !profiles.iter().any(|profile| profile == "tasks") => {
                let reason = "the profile tasks is not here".into();
                process.voice.say(&FromAgent::Unsupported { id, reason });
            }
            Ok(ToAgent::Step { id, task, order, within_ms }) => {
                let step = Step { id, order, within: within_ms.map(Duration::from_millis) };
                let task_id = task_ids.entry(task.clone()).or_insert_with(|| {
                    let (queue, steps) = mpsc::unbounded_channel();
                    tokio::task::spawn_local(perform_all(Rc::clone(process), task, steps));
                    queue
                });
                // A task ends only when this function does.
                let _ = task_id.send(step);
            }
            Err(answer) => process.voice.say(&answer),
        }
    }
    Ending::Gone
}

/// A line that is no message is a fault; a step with an unknown verb is only unsupported.
fn understand(line: &str) -> Result<ToAgent, Box<FromAgent>> {
    serde_json::from_str(line).map_err(|error| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let id = value["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        Box::new(match id {
            Some(id) if value["type"] == "step" => {
                FromAgent::Unsupported { id, reason: error.to_string() }
            }
            _ => FromAgent::Fault {
                reason: format!("cannot understand a line of the harness: {error}"),
            },
        })
    })
}

/// So often the loop turns before a step: once for the system's news, once for those who hear of it.
const TURNS: usize = 2;

async fn perform_all<L: Implementation>(
    process: Rc<Process<L>>,
    task_id: TaskId,
    mut steps: mpsc::UnboundedReceiver<Step>,
) {
    while let Some(step) = steps.recv().await {
        let (id, pid) = (step.id, process.pid);
        // What is due is done before the next step: a system that has told two things at once may tell this one first.
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        process.voice.say(&FromAgent::Begin { id, pid });
        let (cancel, cancelled) = oneshot::channel();
        process.busy.borrow_mut().insert(task_id.clone(), cancel);
        let mut asked = None;
        let answer = tokio::select! {
            biased;
            answer = perform(&process, step) => answer,
            Ok(who) = cancelled => {
                asked = Some(who);
                Ok(WireOutcome::Cancelled.into())
            }
        };
        process.busy.borrow_mut().remove(&task_id);
        process.voice.say(&match answer {
            Ok(Done { said, effect, detail, descriptors, child }) => {
                FromAgent::End { id, pid, outcome: said, effect, detail, descriptors, child }
            }
            Err(Unsupported(reason)) => FromAgent::Unsupported { id, reason },
        });
        if let Some(asked) = asked {
            let _ = asked.send(());
        }
    }
}

async fn perform<L: Implementation>(process: &Process<L>, step: Step) -> Answer {
    match step.order {
        Command::Exit { code } => {
            process.voice.finish();
            std::process::exit(code);
        }
        Command::Raise => {
            process.raise.notify_one();
            std::future::pending().await
        }
        Command::Pause { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(WireOutcome::Ok.into())
        }
        Command::Cancel { task } => {
            let busy = process.busy.borrow_mut().remove(&Some(task));
            let (done, is_done) = oneshot::channel();
            if busy.is_some_and(|busy| busy.send(done).is_ok()) {
                // An error only means that the task ended by itself at this very moment.
                let _ = is_done.await;
            }
            Ok(WireOutcome::Ok.into())
        }
        order => {
            let late = if matches!(order, Command::Join { .. }) {
                WireOutcome::Running
            } else {
                WireOutcome::Timeout
            };
            let done = process.library.perform(order);
            match step.within {
                None => done.await,
                Some(limit) => {
                    tokio::time::timeout(limit, done).await.unwrap_or_else(|_| Ok(late.into()))
                }
            }
        }
    }
}

/// The stream again, for reading from a shared reference.
struct Listener<'a>(&'a tokio::net::UnixStream);

impl tokio::io::AsyncRead for Listener<'_> {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return std::task::Poll::Ready(read.map(drop)),
            }
        }
    }
}
