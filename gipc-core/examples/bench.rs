//! gipc-core under load: `bench WORKLOAD SIZE COUNT`, for `compare` and for anybody else who wants to measure it.
//!
//! Workloads: `oneway` (COUNT messages to a child), `fresh` (each from a buffer of its own), `reused` (each into the same
//! buffer), `batched` (by `put_all`), `pingpong` (there and back), `spawnseq` (children one after the other), `spawnconc`
//! (all started, then all joined), `alive` (all alive at once, each with its own pipes). Prints one line of JSON.

mod support;

use gipc_core::{Command, Duplex, Error, Exit, Process, Start, duplex, entry, init};
use support::{Task, Usage, Watch};

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Gets as many messages as it is told and says what that cost.
    async fn sink(start: Start<(usize, String), Duplex>) -> Result<(), Error> {
        let (both, (count, workload)) = (start.handles, start.args);
        both.put(b"ready").await?;
        let began = Usage::now();
        let mut buffer = Vec::new();
        for _ in 0..count {
            match workload.as_str() {
                "reused" => drop(both.reader().get_into(&mut buffer).await?),
                "pingpong" => both.put(both.get().await?.unwrap_or_default()).await?,
                _ => drop(both.get().await?),
            }
        }
        both.put(began.words_since().as_bytes()).await
    }
}

entry! {
    /// Says one word, and waits for the end if it is to stay.
    async fn word(start: Start<bool, Duplex>) -> () {
        let both = start.handles;
        let _ = both.put(b"here").await;
        if start.args {
            let _ = both.get().await;
        }
    }
}

fn main() -> Result<(), Failure> {
    init!(sink, word);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let task = Task::parse(&words).ok_or("usage: bench WORKLOAD SIZE COUNT")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&task))
}

async fn run(task: &Task) -> Result<(), Failure> {
    match task.workload.as_str() {
        "oneway" | "fresh" | "reused" | "batched" | "pingpong" => talk(task).await,
        "spawnseq" => {
            let watch = Watch::start();
            for _ in 0..task.count {
                let (near, child) = start(false)?;
                near.get().await?;
                join(child).await?;
            }
            watch.report(task, b"");
            Ok(())
        }
        "spawnconc" | "alive" => {
            let stays = task.workload == "alive";
            let watch = Watch::start();
            let children: Vec<_> =
                (0..task.count).map(|_| start(stays)).collect::<Result<_, _>>()?;
            for (near, _) in &children {
                near.get().await?;
            }
            for (near, child) in children {
                near.close()?;
                join(child).await?;
            }
            watch.report(task, b"");
            Ok(())
        }
        other => Err(format!("no workload is called {other}").into()),
    }
}

async fn talk(task: &Task) -> Result<(), Failure> {
    let (near, far) = duplex()?;
    let args = (task.count, task.workload.clone());
    let child = Command::new(sink())?.handles(far).spawn(&args)?;
    near.get().await?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    match task.workload.as_str() {
        "batched" => near.writer().put_all(std::iter::repeat_n(&message[..], task.count)).await?,
        "pingpong" => {
            for _ in 0..task.count {
                near.put(&message).await?;
                near.get().await?;
            }
        }
        workload => {
            for _ in 0..task.count {
                match workload {
                    "fresh" => near.put(vec![7; task.size]).await?,
                    _ => near.put(&message).await?,
                }
            }
        }
    }
    watch.report(task, &near.get().await?.ok_or("the child is gone")?);
    join(child).await
}

fn start(stays: bool) -> Result<(Duplex, Process), Failure> {
    let (near, far) = duplex()?;
    Ok((near, Command::new(word())?.handles(far).spawn(&stays)?))
}

async fn join(child: Process) -> Result<(), Failure> {
    match child.join().await? {
        Exit::Returned(()) => Ok(()),
        other => Err(format!("a child ended: {other:?}").into()),
    }
}
