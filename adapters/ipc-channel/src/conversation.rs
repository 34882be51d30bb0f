//! One process's talk with the harness: a thread listens, and each task is a thread that does its orders one by one.
//! Knows the messages, and nothing of what an order does.

use crate::orders::Process;
use gipc_harness::adapter::order::Order;
use gipc_harness::adapter::protocol::{
    Control, FromAgent, Hello, Named, PROTOCOL, SOCKET_VARIABLE, Said, TOKEN_VARIABLE, ToAgent,
};
use gipc_harness::agent::{Done, Unsupported};
use nix::sys::signal::SigSet;
use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What can be asked of it.
const PROFILES: [&str; 6] = ["core", "tasks", "process", "signals", "limits", "codec"];

/// Why a conversation ended.
pub(crate) enum Ending {
    /// The script of this process is done.
    Finished,
    /// The harness is gone, or does not want this process.
    Gone,
    /// The entry is to fail.
    Raised,
}

struct Step {
    id: usize,
    order: Order,
    within: Option<Duration>,
    /// Told when it begins, and dropped when it is done.
    progress: Sender<()>,
}

/// How long the next line waits for a step that has begun, so that who is told first also asks first: threads that wake
/// together begin in any order. What takes longer waits for somebody, and stands in its line by then.
const HEAD_START: Duration = Duration::from_millis(1);

/// What the threads share.
struct Shared {
    /// The signals that were blocked when this process began.
    mask: SigSet,
    process: Process,
    voice: Mutex<UnixStream>,
    pid: i32,
}

impl Shared {
    /// Says one line, by one call. Without a harness nobody needs this process.
    fn say(&self, message: &FromAgent) {
        let mut line = serde_json::to_vec(message).unwrap_or_default();
        line.push(b'\n');
        let said = self.voice.lock().map(|mut voice| voice.write_all(&line));
        if !matches!(said, Ok(Ok(()))) {
            process::exit(1);
        }
    }
}

/// Talks until the script of this process is done. Signals are for the tasks alone: where another thread may take one,
/// it interrupts nobody, and may be counted after the message that was sent behind it.
pub(crate) fn serve(process: Process, role: &str, version: &str) -> io::Result<Ending> {
    let variable =
        |name| env::var(name).map_err(|_| io::Error::other(format!("{name} is not set")));
    let stream = UnixStream::connect(variable(SOCKET_VARIABLE)?)?;
    let lines = BufReader::new(stream.try_clone()?);
    let pid = i32::try_from(process::id()).unwrap_or(-1);
    let mask = SigSet::thread_get_mask()?;
    SigSet::all().thread_block()?;
    let shared = Arc::new(Shared { mask, process, voice: Mutex::new(stream), pid });
    shared.say(&FromAgent::Hello(Hello {
        protocol: PROTOCOL,
        token: variable(TOKEN_VARIABLE)?,
        role: role.to_owned(),
        pid,
        implementation: Named { name: "ipc-channel".into(), version: version.into() },
        profiles: PROFILES.map(str::to_owned).to_vec(),
        control: Control::Thread,
    }));
    let (over, ending) = mpsc::channel();
    thread::Builder::new().name("harness".into()).spawn(move || listen(&shared, lines, &over))?;
    Ok(ending.recv().unwrap_or(Ending::Gone))
}

fn listen(shared: &Arc<Shared>, lines: BufReader<UnixStream>, over: &Sender<Ending>) {
    let mut tasks = BTreeMap::from([(None, task(shared, over))]);
    for line in lines.lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(ToAgent::Welcome { .. }) => {}
            Ok(ToAgent::Ping { n }) => shared.say(&FromAgent::Pong { n }),
            Ok(ToAgent::Finish) => drop(over.send(Ending::Finished)),
            Ok(ToAgent::Reject { .. }) => break,
            Ok(ToAgent::Step { id, task: name, order, within_ms }) => {
                let (progress, seen) = mpsc::channel();
                let within = within_ms.map(Duration::from_millis);
                let task = tasks.entry(name).or_insert_with(|| task(shared, over));
                let is_idle = task.waiting.fetch_add(1, SeqCst) == 0;
                // A task ends only with its process.
                let _ = task.queue.send(Step { id, order, within, progress });
                if is_idle && seen.recv().is_ok() {
                    let _ = seen.recv_timeout(HEAD_START);
                }
            }
            Err(error) => shared.say(&misunderstood(&line, &error)),
        }
    }
    let _ = over.send(Ending::Gone);
}

/// A thread that does orders, and how many it has.
struct Task {
    queue: Sender<Step>,
    waiting: Arc<AtomicUsize>,
}

/// Begins a task.
fn task(shared: &Arc<Shared>, over: &Sender<Ending>) -> Task {
    let (queue, steps) = mpsc::channel();
    let (shared, over) = (Arc::clone(shared), over.clone());
    let waiting = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&waiting);
    thread::spawn(move || perform_all(&shared, &steps, &left, &over));
    Task { queue, waiting }
}

/// A line that is no message is a fault; a step with an unknown verb is only unsupported.
fn misunderstood(line: &str, error: &serde_json::Error) -> FromAgent {
    let words: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let reason = error.to_string();
    match words["id"].as_u64().and_then(|id| usize::try_from(id).ok()) {
        Some(id) if words["type"] == "step" => FromAgent::Unsupported { id, reason },
        _ => FromAgent::Fault { reason },
    }
}

/// The life of a task.
fn perform_all(shared: &Shared, steps: &Receiver<Step>, left: &AtomicUsize, over: &Sender<Ending>) {
    // This cannot fail: it is a mask that was in force before.
    let _ = shared.mask.thread_set_mask();
    while let Ok(Step { id, order, within, progress }) = steps.recv() {
        let pid = shared.pid;
        shared.say(&FromAgent::Begin { id, pid });
        let _ = progress.send(());
        let answer = match order {
            Order::Exit { code } => process::exit(code),
            Order::Raise => {
                let _ = over.send(Ending::Raised);
                return;
            }
            Order::Pause { ms } => {
                thread::sleep(Duration::from_millis(ms));
                Ok(Said::Ok.into())
            }
            Order::Cancel { .. } => {
                Err(Unsupported("a thread that waits in recv or send cannot be called back".into()))
            }
            order => {
                let done = catch_unwind(AssertUnwindSafe(|| shared.process.perform(order, within)));
                done.unwrap_or_else(|panic| {
                    let detail = panic.downcast_ref::<String>().cloned();
                    Ok(Done { detail, ..Said::Other.into() })
                })
            }
        };
        // Before the answer is told, since the next order may follow it at once.
        left.fetch_sub(1, SeqCst);
        shared.say(&match answer {
            Ok(Done { said, effect, detail, descriptors, child }) => {
                FromAgent::End { id, pid, outcome: said, effect, detail, descriptors, child }
            }
            Err(Unsupported(reason)) => FromAgent::Unsupported { id, reason },
        });
        drop(progress);
    }
}
