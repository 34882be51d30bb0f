//! A child and the task that owns it: `wait` needs the child for itself, so whoever wants something of it asks that
//! task by a channel. This is the idiom that tokio's documentation of `Child::kill` shows.

use std::io;
use std::process::ExitStatus;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};

/// How a child ended, or the error of `wait`.
pub(crate) type Ended = Result<ExitStatus, i32>;

enum Ask {
    Kill(oneshot::Sender<io::Result<()>>),
    TryWait(oneshot::Sender<io::Result<Option<ExitStatus>>>),
    Id(oneshot::Sender<Option<u32>>),
}

/// What is left in the hands of those who started it.
#[derive(Clone)]
pub(crate) struct Owner {
    asks: mpsc::UnboundedSender<Ask>,
    ended: watch::Receiver<Option<Ended>>,
    /// The number it was started with, for what is done without the library.
    pub(crate) pid: i32,
}

impl Owner {
    /// Gives the child to a task of its own.
    pub(crate) fn new(child: Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(-1);
        let (asks, orders) = mpsc::unbounded_channel();
        let (tell, ended) = watch::channel(None);
        tokio::task::spawn_local(own(child, orders, tell));
        Self { asks, ended, pid }
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.ok().and_then(|ended| *ended);
        ended.ok_or_else(gone)?.map_err(io::Error::from_raw_os_error)
    }

    pub(crate) async fn kill(&self) -> io::Result<()> {
        self.ask(Ask::Kill).await?
    }

    pub(crate) async fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.ask(Ask::TryWait).await?
    }

    /// Its number, as long as it is its own.
    pub(crate) async fn id(&self) -> io::Result<Option<u32>> {
        self.ask(Ask::Id).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> io::Result<T> {
        let (tell, told) = oneshot::channel();
        self.asks.send(ask(tell)).map_err(|_| gone())?;
        told.await.map_err(|_| gone())
    }
}

async fn own(
    mut child: Child,
    mut orders: mpsc::UnboundedReceiver<Ask>,
    tell: watch::Sender<Option<Ended>>,
) {
    loop {
        let has_ended = tell.borrow().is_some();
        tokio::select! {
            status = child.wait(), if !has_ended => {
                let status = status.map_err(|error| error.raw_os_error().unwrap_or(0));
                tell.send_replace(Some(status));
            }
            ask = orders.recv() => match ask {
                // Who asked may have been cancelled meanwhile: then nobody wants the answer.
                Some(Ask::Kill(tell)) => drop(tell.send(child.start_kill())),
                Some(Ask::TryWait(tell)) => drop(tell.send(child.try_wait())),
                Some(Ask::Id(tell)) => drop(tell.send(child.id())),
                None => return,
            },
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the task that owns the child is gone")
}
