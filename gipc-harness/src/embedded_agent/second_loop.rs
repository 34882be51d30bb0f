//! A second event loop in a process of a scenario, beside that of its agent.
//!
//! The variant `two-loops` sets the variable `ADAPTER_TWO_LOOPS`. Each process then has a thread with a runtime of its own. While
//! the agent starts a child, this thread starts one as well, reads its message, and joins it.

use gipc_agent::Failure;
use gipc_core::{Command, Error, Exit, Process, Reader, Start, Writer, pipe};
use std::{env, io, thread};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

const GREETING: &[u8] = b"from the child of the second loop";

gipc_core::entry! {
    pub(super) async fn greet(start: Start<(), Writer>) {
        start.handles.put(GREETING).await.expect("the parent reads");
    }
}

/// The channel to the thread with the second runtime. Each request asks for one child, and carries the sender for its result.
pub(super) struct SecondLoop(mpsc::UnboundedSender<oneshot::Sender<Result<(), String>>>);

impl SecondLoop {
    /// Starts the second loop. Returns `None` outside of the variant `two-loops`.
    pub(super) fn wanted() -> io::Result<Option<Self>> {
        if env::var_os("ADAPTER_TWO_LOOPS").is_none() {
            return Ok(None);
        }
        let (asked, mut asks) = mpsc::unbounded_channel::<oneshot::Sender<_>>();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let serve = async move {
            while let Some(wanted) = asks.recv().await {
                let _ = wanted.send(child_of_its_own().await);
            }
        };
        thread::Builder::new().spawn(move || runtime.block_on(serve))?;
        Ok(Some(Self(asked)))
    }
}

/// Calls `start` on the loop of the agent while the second loop, if there is one, runs a child of its own. Returns the error
/// of `start`, or else what went wrong with that child.
pub(super) async fn beside<T>(
    second_loop: Option<&SecondLoop>,
    start: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(SecondLoop(asked)) = second_loop else { return start() };
    let (wanted, result) = oneshot::channel();
    let _ = asked.send(wanted);
    let started = start();
    let result = result.await.unwrap_or_else(|_| Err("the thread has ended".to_owned()));
    // If this process may not start a child, neither may the second loop.
    let started = started?;
    result.map_err(|error| io::Error::other(format!("second loop: {error}")))?;
    Ok(started)
}

/// Starts a child on the loop of this thread, reads its message, and joins it. Returns what went wrong.
async fn child_of_its_own() -> Result<(), String> {
    let (r, child) = start().map_err(|error| format!("start: {error}"))?;
    let heard = r.get().await.map_err(|error| format!("get: {error}"))?;
    if heard.as_deref() != Some(GREETING) {
        return Err(format!("get: {heard:?}"));
    }
    let end = r.get().await.map_err(|error| format!("end of the messages: {error}"))?;
    let exit = child.join().await.map_err(|error| format!("join: {error}"))?;
    match (end, exit) {
        (None, Exit::Returned(())) => Ok(()),
        other => Err(format!("join: {other:?}")),
    }
}

fn start() -> Result<(Reader, Process), Error> {
    let (r, w) = pipe()?;
    let child = Command::new(greet())?.handles(w).spawn(&())?;
    Ok((r, child))
}
