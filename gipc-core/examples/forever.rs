//! Sending without end: the parent puts as fast as the child takes, and learns from `put` itself that the child has had
//! enough. `forever [MESSAGES]`

use gipc_core::{Command, Error, Reader, Start, entry, init, pipe};
use std::io::Write;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Takes so many messages, and leaves.
    async fn takes(start: Start<usize, Reader>) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < start.args && start.handles.get().await?.is_some() {
            taken += 1;
        }
        Ok(taken)
    }
}

fn main() -> Result<(), Failure> {
    init!(takes);
    let wanted: usize = std::env::args().nth(1).map_or(Ok(200_000), |word| word.parse())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (r, w) = pipe()?;
        let child = Command::new(takes())?.handles(r).spawn(&wanted)?;
        let began = Instant::now();
        let mut sent = 0_usize;
        let over = loop {
            match w.put(b"a message of some length").await {
                Ok(()) => sent += 1,
                Err(over) => break over,
            }
        };
        assert!(matches!(over, Error::Broken));
        let taken = child.join().await?.returned()?;
        let rate = sent as f64 / began.elapsed().as_secs_f64() / 1e6;
        // What was on its way when the child left is lost: that is what closing a reader means.
        assert!(sent >= taken);
        writeln!(std::io::stdout(), "{taken} taken, {rate:.1} million a second")?;
        Ok(())
    })
}
