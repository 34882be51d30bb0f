//! A duplex: parent and child talk both ways over one handle, and closing it is the last word.

use gipc_core::{Command, Duplex, Error, Postcard, Start, duplex_of, entry, init};
use std::io::Write;

type Failure = Box<dyn std::error::Error>;

entry! {
    /// Answers each text with itself in capitals, and returns how many there were.
    async fn echo(start: Start<(), Duplex<Postcard<String>, Postcard<String>>>) -> Result<usize, Error> {
        let both = start.handles;
        let mut answered = 0;
        while let Some(text) = both.get().await? {
            both.put(text.to_uppercase()).await?;
            answered += 1;
        }
        Ok(answered)
    }
}

fn main() -> Result<(), Failure> {
    init!(echo);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (near, far) = duplex_of::<Postcard<String>, Postcard<String>>()?;
        let child = Command::new(echo())?.handles(far).spawn(&())?;
        for text in ["who", "is", "there"] {
            near.put(text.to_owned()).await?;
            let answer = near.get().await?.ok_or("the child is gone")?;
            writeln!(std::io::stdout(), "{text} {answer}")?;
        }
        near.close()?; // the child sees the end, and returns
        assert_eq!(child.join().await?.returned()?, 3);
        Ok(())
    })
}
