//! A pipeline of three processes. The end travels behind the last message: each stage returns when its reader ends, and
//! with that its writer is closed.

use gipc_core::{Command, Error, Reader, Start, Writer, entry, init, pipe};
use std::io::Write;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Passes on what it gets, with a letter added. Returns how many messages that were.
    async fn stage(Start { args: letter, handles: (r, w), .. }: Start<char, (Reader, Writer)>) -> Result<usize, Error> {
        let mut passed = 0;
        while let Some(mut message) = r.get().await? {
            message.extend(letter.to_string().bytes());
            w.put(message).await?;
            passed += 1;
        }
        Ok(passed)
    }
}

fn main() -> Result<(), Failure> {
    init!(stage);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (mut r, first) = pipe()?;
        let mut stages = Vec::new();
        for letter in ['a', 'b', 'c'] {
            let (next, w) = pipe()?;
            stages.push(Command::new(stage())?.handles((r, w)).spawn(&letter)?);
            r = next;
        }
        // Somebody must read while somebody writes: one task that did first all of one and then all of the other
        // would fill the pipes and wait for ever.
        let feed = async {
            for n in 0..1000 {
                first.put(n.to_string()).await?;
            }
            first.close()
        };
        let drain = async {
            let mut last = None;
            while let Some(message) = r.get().await? {
                last = Some(message);
            }
            Ok(last)
        };
        let ((), last) = tokio::try_join!(feed, drain)?;
        writeln!(std::io::stdout(), "{}", String::from_utf8(last.unwrap_or_default())?)?;
        for stage in stages {
            assert_eq!(stage.join().await?.returned()?, 1000);
        }
        Ok(())
    })
}
