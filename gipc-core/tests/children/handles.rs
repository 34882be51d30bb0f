//! What a child is given and what it is not, and how the other end sees it.

use crate::entries::{count, one_too_many, open, parent, put, text, wait};
use crate::starts::has_another_user;
use crate::{Failure, echoing, once, readable};
use crate::{open_descriptors, skipped, wait_id};
use gipc_core::{Command, Error, Exit, duplex, pipe};
use nix::libc::{P_ALL, WEXITED, WNOHANG, WNOWAIT};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;

pub(crate) async fn the_end_is_seen() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(put())?.handles(w).spawn(&3)?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"xxx"[..]));
    assert_eq!(r.get().await?, None);
    assert_eq!(r.get().await?, None, "the end stays");
    assert_eq!(child.join().await?, Exit::Returned(true));
    Ok(())
}

pub(crate) async fn every_size() -> Result<(), Failure> {
    let (near, child) = echoing()?;
    const MIB: usize = 1 << 20;
    for len in [0, 1, 4091, 4092, 4093, 4096, 65_531, 65_532, 65_536, 65_537, MIB, 64 * MIB] {
        let message: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let (put, got) = tokio::join!(near.put(&message), near.get());
        put?;
        assert!(got?.is_some_and(|got| got == message), "{len} bytes");
    }
    near.close()?;
    assert_eq!(child.join().await?, Exit::Returned(true));
    Ok(())
}

pub(crate) async fn cut_by_a_kill() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(put())?.handles(w).spawn(&8_000_000)?;
    let descriptor = r.descriptor().ok_or("it is open")?;
    // Once a first byte is here, the child is inside its put: no pipe holds all of it.
    tokio::task::spawn_blocking(move || readable(descriptor)).await??;
    child.kill()?;
    assert!(matches!(r.get().await, Err(Error::Truncated)));
    assert!(matches!(r.get().await, Err(Error::Truncated)), "and it stays so");
    assert_eq!(child.join().await?, Exit::Signal(9));
    Ok(())
}

pub(crate) async fn sibling() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (stay, go) = pipe()?;
    let first = Command::new(put())?.handles(w).spawn(&1)?;
    let second = Command::new(wait())?.handles(vec![stay.into()]).spawn(&())?;
    assert!(r.get().await?.is_some());
    assert_eq!(r.get().await?, None, "although the sibling lives");
    assert_eq!(second.try_join()?, None);
    go.close()?;
    first.join().await?;
    second.join().await?;
    Ok(())
}

pub(crate) async fn grandchild() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(parent())?.handles(w).spawn(&())?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"xxxxx"[..]));
    assert_eq!(r.get().await?, None);
    assert_eq!(child.join().await?, Exit::Returned(true));
    Ok(())
}

pub(crate) async fn fifty() -> Result<(), Failure> {
    let children: Vec<_> = (0..50).map(|_| echoing()).collect::<Result<_, _>>()?;
    for (i, (near, _)) in children.iter().enumerate() {
        near.put(&[i as u8]).await?;
    }
    for (i, (near, _)) in children.iter().enumerate() {
        assert_eq!(near.get().await?, Some(vec![i as u8]));
    }
    for (near, child) in children {
        near.close()?;
        assert_eq!(child.join().await?, Exit::Returned(true));
    }
    Ok(())
}

pub(crate) async fn no_descriptor_left() -> Result<(), Failure> {
    let run = async || -> Result<usize, Failure> {
        let (near, child) = echoing()?;
        near.put(b"a").await?;
        near.get().await?;
        near.close()?;
        child.join().await?;
        drop(child);
        tokio::task::yield_now().await;
        Ok(open_descriptors())
    };
    assert_eq!(run().await?, run().await?);
    Ok(())
}

pub(crate) async fn no_strangers() -> Result<(), Failure> {
    let (stranger, _keep) = nix::unistd::pipe()?; // without close-on-exec, as careless libraries do
    let (_r, w) = pipe()?;
    let child = Command::new(open())?.handles(w).spawn(&())?;
    let Exit::Returned(links) = child.join().await? else { return Err("it returns".into()) };
    assert!(stranger.as_fd().as_raw_fd() > 2);
    let unexpected: Vec<_> = links
        .iter()
        .filter(|link| !link.starts_with("anon_inode:") && !link.starts_with("socket:"))
        .collect();
    assert_eq!(
        unexpected.len(),
        usize::from(!links.is_empty()),
        "only the listing itself: {links:?}"
    );
    Ok(())
}

pub(crate) async fn given_is_closed() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let twin = w.clone();
    let child = Command::new(put())?.handles(w).spawn(&1)?;
    assert!(matches!(twin.put(b"a").await, Err(Error::Closed)));
    assert!(matches!(twin.close(), Err(Error::Closed)));
    assert_eq!(twin.descriptor(), None);
    assert!(matches!(Command::new(put())?.handles(twin).spawn(&1), Err(Error::Closed)));
    while r.get().await?.is_some() {}
    child.join().await?;
    Ok(())
}

pub(crate) async fn in_use_is_locked() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let mut get = pin!(r.get());
    assert!(once(get.as_mut()).await.is_none());
    assert!(matches!(r.close(), Err(Error::Locked)));
    assert!(matches!(
        Command::new(wait())?.handles(vec![r.clone().into()]).spawn(&()),
        Err(Error::Locked)
    ));
    w.put(b"a").await?;
    assert_eq!(get.await?.as_deref(), Some(&b"a"[..]));
    r.close()?;
    Ok(())
}

pub(crate) async fn given_twice() -> Result<(), Failure> {
    let (near, _far) = duplex()?;
    let mut twice =
        Command::new(wait())?.handles(vec![near.clone().into(), near.reader().clone().into()]);
    assert!(matches!(twice.spawn(&()), Err(Error::GivenTwice)));
    near.put(b"a").await?;
    Ok(())
}

pub(crate) async fn failed_spawn() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let before = open_descriptors();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let refused = Command::new(put())?.handles(w.clone()).spawn(&1);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
    assert_eq!(open_descriptors(), before);
    w.put(b"still mine").await?;
    assert!(r.get().await?.is_some());
    Ok(())
}

/// Wherever a start fails: before there is a process, and after.
pub(crate) async fn failed_half_way() -> Result<(), Failure> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let large = "x".repeat(4 << 20); // more than the socket takes at once
    let (r, w) = pipe()?;
    w.put(b"registered").await?;
    r.get().await?;
    let before = open_descriptors();
    let (mut failed, mut started) = (0, 0);
    for free in 0..12 {
        // All but so many are taken, wherever their numbers are.
        let mut taken: Vec<fs::File> = Vec::new();
        setrlimit(Resource::RLIMIT_NOFILE, 200, hard)?;
        while let Ok(one) = fs::File::open("/dev/null") {
            taken.push(one);
        }
        taken.truncate(taken.len() - free);
        let child = Command::new(text()).map(|command| command.handles(w.clone()).spawn(&large));
        drop(taken);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
        match child {
            Ok(Ok(child)) => {
                started += 1;
                assert_eq!(child.join().await?, Exit::Returned(4 << 20));
                assert_eq!(r.get().await?, None, "it was the child's");
                break;
            }
            _ => {
                failed += 1;
                w.put(b"still mine").await?;
                assert!(r.get().await?.is_some());
            }
        }
        // A child that was there already is reaped by its own task.
        while wait_id(P_ALL, 0, WEXITED | WNOHANG | WNOWAIT).is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(open_descriptors(), before, "with {free} free");
    }
    assert!(failed > 1 && started == 1, "{failed} failed, {started} started");
    Ok(())
}

pub(crate) async fn no_process() -> Result<(), Failure> {
    if !has_another_user() || cfg!(target_os = "illumos") {
        skipped("there is no user but root, who is exempt from the limit, or the system has none");
        return Ok(());
    }
    let child = Command::new(one_too_many())?.spawn(&())?;
    let expected = ("Some(EAGAIN)".to_owned(), Some("still mine".to_owned()));
    assert_eq!(child.join().await?, Exit::Returned(expected));
    Ok(())
}

/// A program that is gone and a folder that is not there fail at the same place: after the fork, in what is to become
/// the child.
pub(crate) async fn no_program() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let before = open_descriptors();
    let refused = Command::new(put())?.handles(w.clone()).current_dir("/nowhere").spawn(&1);
    let Err(Error::Io(error)) = refused else { return Err(format!("{refused:?}").into()) };
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(open_descriptors(), before);
    w.put(b"still mine").await?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"still mine"[..]));
    Ok(())
}

pub(crate) async fn read_ahead_travels() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    for message in [b"1", b"2", b"3"] {
        w.put(message).await?;
    }
    assert!(r.get().await?.is_some());
    let child = Command::new(count())?.handles(r).spawn(&())?;
    w.close()?;
    assert_eq!(child.join().await?, Exit::Returned(2));
    Ok(())
}
