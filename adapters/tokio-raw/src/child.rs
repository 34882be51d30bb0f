//! A child and the task that owns it. `wait` borrows the child mutably, so other tasks send their requests to the owner
//! through a channel, as tokio's documentation of `Child::kill` shows.

use std::io;
use std::process::ExitStatus;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};

/// How a child ended, or the error of `wait`.
pub(crate) type Ended = Result<ExitStatus, i32>;

/// A request to the task that owns the child, with the channel for the answer.
enum Request {
    Kill(oneshot::Sender<io::Result<()>>),
    TryWait(oneshot::Sender<io::Result<Option<ExitStatus>>>),
    Id(oneshot::Sender<Option<u32>>),
}

/// A handle to a child and the task that owns it.
#[derive(Clone)]
pub(crate) struct ChildHandle {
    requests: mpsc::UnboundedSender<Request>,
    ended: watch::Receiver<Option<Ended>>,
    /// The process id at the start, for what the adapter does without tokio.
    pub(crate) pid: i32,
}

impl ChildHandle {
    /// Moves the child into a new task.
    pub(crate) fn new(child: Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(-1);
        let (requests, received) = mpsc::unbounded_channel();
        let (ending, ended) = watch::channel(None);
        tokio::task::spawn_local(own(child, received, ending));
        Self { requests, ended, pid }
    }

    /// Waits until the child has ended. Cancel-safe.
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.ok().and_then(|ended| *ended);
        ended.ok_or_else(gone)?.map_err(io::Error::from_raw_os_error)
    }

    /// Kills the child without waiting for its end.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        self.ask(Request::Kill).await?
    }

    /// How the child ended; `None` while it runs.
    pub(crate) async fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.ask(Request::TryWait).await?
    }

    /// The process id; `None` once the child was reaped.
    pub(crate) async fn id(&self) -> io::Result<Option<u32>> {
        self.ask(Request::Id).await
    }

    /// Sends a request and waits for the answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> io::Result<T> {
        let (sender, answer) = oneshot::channel();
        self.requests.send(request(sender)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

/// The task that owns a child. It ends when all handles are dropped.
async fn own(
    mut child: Child,
    mut requests: mpsc::UnboundedReceiver<Request>,
    ending: watch::Sender<Option<Ended>>,
) {
    loop {
        let has_ended = ending.borrow().is_some();
        tokio::select! {
            status = child.wait(), if !has_ended => {
                let status = status.map_err(|error| error.raw_os_error().unwrap_or(0));
                ending.send_replace(Some(status));
            }
            request = requests.recv() => match request {
                // The task that sent the request may have been cancelled, and then the answer is dropped.
                Some(Request::Kill(answer)) => drop(answer.send(child.start_kill())),
                Some(Request::TryWait(answer)) => drop(answer.send(child.try_wait())),
                Some(Request::Id(answer)) => drop(answer.send(child.id())),
                None => return,
            },
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the task that owns the child is gone")
}
