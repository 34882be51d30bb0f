//! gipc-core under load: `bench WORKLOAD SIZE COUNT`, for `compare` and for anybody else who wants to measure it.
//!
//! Workloads: `oneway` (COUNT messages to a child), `batched` (the same by `put_all`), `pingpong` (there and back),
//! `spawnseq` (children one after the other), `spawnconc` (all started, then all joined), `alive` (all alive at once,
//! each with its own pipes). Prints one line of JSON.

mod support;

use gipc_core::{Command, Duplex, Exit, Postcard, Process, Start, duplex, entry, init};
use support::{Own, Task, Watch, cpu_seconds, peak_rss_kb};

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Takes so many messages and says what that cost.
    async fn sink(start: Start<(usize, bool), Duplex>) -> () {
        let both = start.handles;
        let (count, answers) = start.args;
        let _ = both.put(b"ready").await;
        let cpu = cpu_seconds();
        for _ in 0..count {
            let Ok(Some(message)) = both.get().await else { return };
            if answers && both.put(&message).await.is_err() {
                return;
            }
        }
        let cost = (cpu_seconds() - cpu, peak_rss_kb());
        let _ = both.with::<gipc_core::Raw, Postcard<(f64, u64)>>().put(&cost).await;
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
    let task = Task::from_args().ok_or("usage: bench WORKLOAD SIZE COUNT")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&task))
}

async fn run(task: &Task) -> Result<(), Failure> {
    match task.workload.as_str() {
        "oneway" | "batched" | "pingpong" => talk(task).await,
        "spawnseq" => {
            let watch = Watch::start();
            for _ in 0..task.count {
                let (near, child) = start(false)?;
                near.get().await?;
                join(child).await?;
            }
            watch.report(task, Own::default());
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
            watch.report(task, Own::default());
            Ok(())
        }
        other => Err(format!("no workload is called {other}").into()),
    }
}

async fn talk(task: &Task) -> Result<(), Failure> {
    let (near, far) = duplex()?;
    let answers = task.workload == "pingpong";
    let child = Command::new(sink())?.handles(far).spawn(&(task.count, answers))?;
    near.get().await?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    match task.workload.as_str() {
        "batched" => near.writer().put_all(std::iter::repeat_n(&message[..], task.count)).await?,
        "oneway" => {
            for _ in 0..task.count {
                near.put(&message).await?;
            }
        }
        _ => {
            for _ in 0..task.count {
                near.put(&message).await?;
                near.get().await?;
            }
        }
    }
    let (cpu_seconds, peak_rss_kb) =
        near.reader().with::<Postcard<(f64, u64)>>().get().await?.ok_or("the child is gone")?;
    watch.report(task, Own { cpu_seconds, peak_rss_kb });
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
