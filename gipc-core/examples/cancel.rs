//! What cancelling means: a get that is given up loses nothing, and a put that is given up in its middle is finished
//! before the next, so that the reader never sees half a message.

use gipc_core::{Command, Error, Reader, Start, entry, init, pipe};
use std::io::Write;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Waits until it is told to read; then it says how long each message was.
    async fn reader(Start { handles: (r, go), .. }: Start<(), (Reader, Reader)>) -> Result<Vec<usize>, Error> {
        go.get().await?;
        let mut lengths = Vec::new();
        while let Some(message) = r.get().await? {
            lengths.push(message.len());
        }
        Ok(lengths)
    }
}

fn main() -> Result<(), Failure> {
    init!(reader);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (r, w) = pipe()?;
        assert!(matches!(r.get_within(Duration::from_millis(5)).await, Err(Error::Timeout)));
        let (hold, go) = pipe()?;
        let child = Command::new(reader())?.handles((r, hold)).spawn(&())?;
        // Larger than a pipe, and nobody reads: a part is written, and then the time is over.
        let long = vec![0; 4 << 20];
        assert!(matches!(
            w.put_within(&long, Duration::from_millis(50)).await,
            Err(Error::StillSending)
        ));
        // It is still being written, so the handle cannot be closed now.
        assert!(matches!(w.close(), Err(Error::Locked)));
        go.put(b"read").await?;
        w.put(b"next").await?; // waits for its turn behind the rest
        w.close()?;
        let lengths = child.join().await?.returned()?;
        writeln!(std::io::stdout(), "{lengths:?}")?;
        Ok(())
    })
}
