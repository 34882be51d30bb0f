//! What a command can choose for its child, and the ways to stop it.

use crate::Failure;
use crate::entries::surroundings;
use gipc_core::{Command, Exit, Postcard, Reader, Start, Stdin, Writer, entry, pipe, pipe_of};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

entry! {
    /// Says that SIGTERM is ignored or not, as its arguments say, and stays until it is ended.
    pub(crate) async fn stays(start: Start<bool, Writer>) {
        if start.args {
            // SAFETY: a disposition without a handler.
            let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
        }
        let _ = start.handles.put("ready").await;
        std::future::pending().await
    }
}

entry! {
    /// Returns its stdin and its process group.
    pub(crate) async fn describes(_: Start) -> std::result::Result<(String, i32), io::Error> {
        Ok((io::read_to_string(io::stdin())?, nix::unistd::getpgrp().as_raw()))
    }
}

/// The handles of `sums`: of each kind of list one.
pub(crate) type Lists =
    (Vec<Reader<Postcard<u32>>>, Option<Reader<Postcard<u32>>>, [Writer<Postcard<u32>>; 2]);

entry! {
    /// Puts the sum of all numbers into both writers.
    pub(crate) async fn sums(
        Start { handles: (readers, one_more, writers), .. }: Start<(), Lists>,
    ) -> Result<(), gipc_core::Error> {
        let mut sum = 0;
        for r in readers.into_iter().chain(one_more) {
            while let Some(number) = r.get().await? {
                sum += number;
            }
        }
        for w in writers {
            w.put(sum).await?;
        }
        Ok(())
    }
}

pub(crate) async fn stopped() -> Result<(), Failure> {
    for (ignores, number, limit) in [(false, 15, 60_000), (true, 9, 10)] {
        let (r, w) = pipe()?;
        let child = Command::new(stays())?.handles(w).spawn(&ignores)?;
        assert_eq!(r.get().await?.as_deref(), Some(&b"ready"[..]));
        assert_eq!(child.stop(Duration::from_millis(limit)).await?, Exit::Signal(number));
        assert_eq!(child.stop(Duration::ZERO).await?, Exit::Signal(number), "it has ended");
    }
    let (r, w) = pipe()?;
    let child = Command::new(stays())?.handles(w).spawn(&false)?;
    r.get().await?;
    assert!(child.signal(1000).is_err(), "there is no such signal");
    child.signal(Signal::SIGUSR1 as i32)?;
    assert_eq!(child.join().await?, Exit::Signal(Signal::SIGUSR1 as i32));
    Ok(())
}

pub(crate) async fn stdins() -> Result<(), Failure> {
    let child = Command::new(describes())?.stdin(Stdin::Piped).spawn(&())?;
    let mut input = child.take_stdin().ok_or("it is piped")?;
    assert!(child.take_stdin().is_none(), "it was taken");
    input.write_all(b"typed").await?;
    drop(input);
    assert_eq!(child.join().await?.returned()?.0, "typed");
    let file = std::fs::File::open("/dev/null")?;
    let mut command = Command::new(describes())?.stdin(file).stdout(Stdio::null());
    for _ in 0..2 {
        assert_eq!(command.spawn(&())?.join().await?.returned()?.0, "", "a file can be used again");
    }
    // An end that is closed at once is what a child inherits here.
    let own = nix::unistd::dup(io::stdin())?;
    nix::unistd::dup2_stdin(nix::unistd::pipe()?.0)?;
    let child = Command::new(describes())?.stdin(Stdin::Inherit).spawn(&());
    nix::unistd::dup2_stdin(own)?;
    assert_eq!(child?.join().await?.returned()?.0, "");
    Ok(())
}

pub(crate) async fn piped_stdout() -> Result<(), Failure> {
    let child =
        Command::new(surroundings())?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn(&())?;
    let mut printed = String::new();
    let mut stdout = child.take_stdout().ok_or("it is piped")?;
    stdout.read_to_string(&mut printed).await?;
    assert_eq!(printed, "to stdout\n");
    assert!(child.take_stdout().is_none(), "it was taken");
    child.join().await?;
    Ok(())
}

pub(crate) async fn groups() -> Result<(), Failure> {
    let child = Command::new(describes())?.process_group(0).spawn(&())?;
    let id = i32::try_from(child.id())?;
    assert_eq!(child.join().await?.returned()?.1, id, "it is the first of a group of its own");
    let child = Command::new(describes())?.spawn(&())?;
    assert_eq!(child.join().await?.returned()?.1, nix::unistd::getpgrp().as_raw());
    Ok(())
}

pub(crate) async fn lists() -> Result<(), Failure> {
    let number = |number: u32| async move {
        let (r, w) = pipe_of::<Postcard<u32>>()?;
        w.put(number).await?;
        Ok::<_, Failure>(r)
    };
    let ((first, w), (second, v)) = (pipe_of::<Postcard<u32>>()?, pipe_of::<Postcard<u32>>()?);
    let readers = vec![number(1).await?, number(2).await?];
    let given = (readers, Some(number(4).await?), [w, v]);
    let child = Command::new(sums())?.handles(given).spawn(&())?;
    assert_eq!((first.get().await?, second.get().await?), (Some(7), Some(7)));
    child.join().await?.returned()?;
    Ok(())
}
