//! Synchronisation: a message each way, and both sides know that the other has come to the same point.

use gipc_core::{Command, Duplex, Error, Postcard, Raw, Start, duplex, entry, init};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Failure = Box<dyn std::error::Error>;

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

entry! {
    /// Says that it is there, waits for the answer, and returns when that was.
    async fn other(start: Start<(), Duplex>) -> Result<Duration, Error> {
        let both = start.handles;
        both.put(b"here").await?;
        both.get().await?;
        Ok(now())
    }
}

fn main() -> Result<(), Failure> {
    init!(other);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (near, far) = duplex()?;
        let child = Command::new(other())?.handles(far).spawn(&())?;
        near.get().await?; // the child has begun, however long that took
        near.with::<Raw, Postcard<()>>().put(&()).await?;
        let here = now();
        let there = child.join().await?.returned()?;
        let apart = there.abs_diff(here);
        writeln!(std::io::stdout(), "both went on, {} microseconds apart", apart.as_micros())?;
        Ok(())
    })
}
