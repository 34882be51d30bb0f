//! A pool of workers: each gets jobs one by one over its own duplex, and whoever is free gets the next.

use gipc_core::{Command, Duplex, Error, Postcard, Start, duplex_of, entry, init};
use std::io::Write;
use std::sync::Arc;
use tokio::sync::Mutex;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Counts the primes below each number that it gets, until there are no more numbers.
    async fn worker(start: Start<(), Duplex<Postcard<u32>, Postcard<usize>>>) -> Result<(), Error> {
        let both = start.handles;
        while let Some(limit) = both.get().await? {
            let primes = (2..limit).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count();
            both.put(primes).await?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    init!(worker);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(pool())
}

async fn pool() -> Result<(), Failure> {
    let jobs = Arc::new(Mutex::new((1..=20_u32).map(|n| n * 500).collect::<Vec<_>>()));
    let mut tasks = Vec::new();
    let mut children = Vec::new();
    for _ in 0..4 {
        let (near, far) = duplex_of::<Postcard<usize>, Postcard<u32>>()?;
        children.push(Command::new(worker())?.handles(far).spawn(&())?);
        let jobs = Arc::clone(&jobs);
        // One task a worker: while one waits for its answer, the others go on.
        tasks.push(tokio::spawn(async move {
            let mut done = Vec::new();
            while let Some(limit) = { jobs.lock().await.pop() } {
                near.put(limit).await?;
                done.push((limit, near.get().await?));
            }
            near.close()?; // the worker sees the end, and returns
            Ok::<_, Error>(done)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    all.sort_unstable();
    for child in children {
        child.join().await?.returned()?;
    }
    for (limit, primes) in all {
        writeln!(std::io::stdout(), "{:?} primes below {limit}", primes.unwrap_or_default())?;
    }
    Ok(())
}
