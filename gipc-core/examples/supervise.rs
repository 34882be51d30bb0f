//! A supervisor: a child that panics is started again, with what it had not done yet; one that is killed is given up.

use gipc_core::{Command, Error, Exit, Postcard, Start, Writer, entry, init, pipe_of};
use std::io::Write;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Says each number from here on, and stumbles over every fourth on its first attempt.
    async fn counter(start: Start<(u32, u32), Writer<Postcard<u32>>>) -> Result<u32, Error> {
        let (first, attempt) = start.args;
        for n in first..10 {
            assert!(n % 4 != 3 || attempt % 2 == 1, "cannot say {n}");
            start.handles.put(n).await?;
        }
        Ok(10)
    }
}

fn main() -> Result<(), Failure> {
    init!(counter);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(supervise())
}

async fn supervise() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let (mut next, mut attempt) = (0, 0);
    loop {
        let (r, w) = pipe_of::<Postcard<u32>>()?;
        // A daemon: if this supervisor goes away, so does the child.
        let command =
            Command::new(counter())?.handles(w).daemon(true).stderr(std::process::Stdio::null());
        let child = command.name(format!("counter from {next}")).spawn(&(next, attempt))?;
        while let Some(n) = r.get().await? {
            next = n + 1;
        }
        match child.join().await? {
            Exit::Returned(end) => {
                writeln!(out, "{} came to {end}", child.name())?;
                return Ok(());
            }
            Exit::Panicked(words) => writeln!(out, "{} panicked: {words}", child.name())?,
            other => return Err(format!("{} ended: {other:?}", child.name()).into()),
        }
        attempt += 1;
    }
}
