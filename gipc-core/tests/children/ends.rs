//! How a child begins and ends, and how that is told.

use crate::Failure;
use crate::entries::{
    code, ignored, leaves, leaves_a_thread, nothing, orphan, panics, parent_of, put, status,
    surroundings, wait,
};
use crate::open_descriptors;
use gipc_core::{Command, Entry, Error, Exit, entry, pipe};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use std::fs;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::Duration;

pub(crate) async fn codes() -> Result<(), Failure> {
    assert_eq!(Command::new(nothing())?.spawn(&7)?.join().await?, Exit::Returned(7));
    for (given, seen) in [(0, 0), (7, 7), (255, 255), (256, 0), (-1, 255)] {
        assert_eq!(Command::new(code())?.spawn(&given)?.join().await?, Exit::Code(seen), "{given}");
    }
    let panicking = Command::new(panics())?.stderr(Stdio::piped()).spawn(&"told".into())?;
    let mut printed = String::new();
    let mut stderr = panicking.take_stderr().ok_or("it is piped")?;
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut printed).await?;
    assert_eq!(panicking.join().await?, Exit::Panicked("on purpose: told".into()));
    assert!(printed.contains("on purpose: told"), "a panic is told on stderr too: {printed}");
    let (stay, go) = pipe()?;
    let child = Command::new(wait())?.handles(vec![stay.into()]).spawn(&())?;
    assert_eq!(child.try_join()?, None);
    assert!(matches!(child.join_within(Duration::from_millis(1)).await, Err(Error::Timeout)));
    child.terminate()?;
    assert_eq!(child.join_within(Duration::from_secs(60)).await?, Exit::Signal(15));
    go.close()?;
    Ok(())
}

pub(crate) async fn threads_of_its_runtime() -> Result<(), Failure> {
    let child = Command::new(leaves_a_thread())?.spawn(&())?;
    assert_eq!(child.join_within(Duration::from_secs(60)).await?, Exit::Returned(7));
    Ok(())
}

pub(crate) async fn what_its_parent_ignores() -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    let real_time = nix::libc::SIGRTMIN() + 3;
    // Other systems may have no real-time signals.
    #[cfg(not(target_os = "linux"))]
    let real_time = nix::libc::SIGUSR2;
    for _ in 0..20 {
        // SAFETY: nobody else of this process looks at these signals now, and both are put back.
        let before = unsafe {
            nix::libc::signal(real_time, nix::libc::SIG_IGN);
            signal(Signal::SIGTERM, SigHandler::SigIgn)
        }?;
        let (stay, go) = pipe()?;
        let child = Command::new(wait())?.handles(vec![stay.into()]).spawn(&())?;
        let other = Command::new(ignored())?.spawn(&real_time)?;
        let hit = child.terminate();
        // SAFETY: as above.
        unsafe {
            nix::libc::signal(real_time, nix::libc::SIG_DFL);
            signal(Signal::SIGTERM, before)
        }?;
        hit?;
        assert_eq!(child.join_within(Duration::from_secs(60)).await?, Exit::Signal(15));
        assert_eq!(
            other.join().await?,
            Exit::Returned(false),
            "a real-time signal is as by default"
        );
        go.close()?;
    }
    Ok(())
}

pub(crate) async fn daemons() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (stay, _go) = pipe()?;
    let daemon = Command::new(wait())?
        .handles(vec![stay.into(), w.into()])
        .daemon(true)
        .name("watcher")
        .spawn(&())?;
    assert_eq!(daemon.name(), "watcher");
    let twin = daemon.clone();
    drop(daemon);
    assert_eq!(twin.try_join()?, None, "a clone holds it");
    drop(twin);
    assert_eq!(r.get().await?, None, "its only writer is gone");
    Ok(())
}

pub(crate) async fn orphans() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(orphan())?.handles((w, None)).spawn(&true)?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"alone"[..]));
    assert_eq!(child.join().await?, Exit::Signal(9));
    Ok(())
}

pub(crate) async fn chosen_surroundings() -> Result<(), Failure> {
    let (input, output) = (tempfile()?, tempfile()?);
    let mut writer = &input;
    writer.write_all(b"from stdin")?;
    io::Seek::rewind(&mut &input)?;
    let child = Command::new(surroundings())?
        .stdin(input)
        .stdout(output.try_clone()?)
        .stderr(Stdio::piped())
        .env("COLOUR", "blue")
        .current_dir("/")
        .spawn(&())?;
    let mut errors = String::new();
    let mut stderr = child.take_stderr().ok_or("it is piped")?;
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut errors).await?;
    let expected = ("from stdin".into(), "/".into(), "blue".into(), true);
    assert_eq!(child.join().await?, Exit::Returned(expected));
    assert_eq!(errors, "to stderr\n");
    io::Seek::rewind(&mut &output)?;
    assert_eq!(io::read_to_string(&output)?, "to stdout\n");
    Ok(())
}

pub(crate) async fn inherited_surroundings() -> Result<(), Failure> {
    let mut child = Command::new(surroundings())?.stdout(Stdio::null()).stderr(Stdio::null());
    let Exit::Returned((input, folder, ..)) = child.spawn(&())?.join().await? else {
        return Err("it returns".into());
    };
    assert_eq!(input, "", "its stdin is the null device");
    assert_eq!(folder, std::env::current_dir()?.display().to_string());
    let told = Command::new(parent_of())?.spawn(&())?.join().await?;
    assert_eq!(told, Exit::Returned(std::process::id()));
    Ok(())
}

pub(crate) async fn left_running() -> Result<(), Failure> {
    let child = Command::new(leaves())?.stdout(Stdio::null()).spawn(&())?;
    let Exit::Returned(pid) = child.join().await? else { return Err("it returns".into()) };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL)?;
    Ok(())
}

fn tempfile() -> io::Result<fs::File> {
    let path = std::env::temp_dir().join(format!(
        "gipc-core-{}-{:?}",
        std::process::id(),
        std::time::Instant::now()
    ));
    let file = fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

pub(crate) async fn all_who_join() -> Result<(), Failure> {
    let child = Command::new(code())?.spawn(&5)?;
    let twin = child.clone();
    let (one, other) = tokio::join!(child.join(), twin.join());
    assert_eq!((one?, other?, twin.join().await?), (Exit::Code(5), Exit::Code(5), Exit::Code(5)));
    assert_eq!(child.try_join()?, Some(Exit::Code(5)));
    Ok(())
}

pub(crate) async fn after_the_end() -> Result<(), Failure> {
    let child = Command::new(code())?.spawn(&0)?;
    child.join().await?;
    child.kill()?;
    child.terminate()?;
    assert_eq!(child.join().await?, Exit::Code(0));
    Ok(())
}

pub(crate) async fn no_zombie() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let id = Command::new(put())?.handles(w).spawn(&1)?.id();
    while r.get().await?.is_some() {}
    // The end of the pipe may be seen before the end of the process; its reaper needs turns of the loop.
    while fs::exists(format!("/proc/{id}"))? {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

pub(crate) async fn clean_signals() -> Result<(), Failure> {
    let blocked = SigSet::from(Signal::SIGUSR1);
    blocked.thread_block()?;
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let ignored = [Signal::SIGUSR2, Signal::SIGSEGV, Signal::SIGBUS];
    // SAFETY: nothing here waits for these signals, and a fault is fatal also where its signal is ignored.
    let before = ignored.map(|one| unsafe { sigaction(one, &ignore) });
    let child = Command::new(status())?.spawn(&());
    blocked.thread_unblock()?;
    for (one, before) in ignored.into_iter().zip(before) {
        // SAFETY: this is what was there before.
        unsafe { sigaction(one, &before?) }?;
    }
    let Exit::Returned(status) = child?.join().await? else { return Err("it returns".into()) };
    let mask = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let bits = |name: &str| mask(name).and_then(|bits| u64::from_str_radix(bits, 16).ok());
    if let (Some(blocked), Some(ignored)) = (bits("SigBlk:"), bits("SigIgn:")) {
        assert_eq!(blocked, 0);
        // 32 and 33 are the C library's own; nobody can set them, and some hosts leave them ignored.
        assert_eq!(ignored & !(0b11 << 31), 1 << (Signal::SIGPIPE as i32 - 1), "only SIGPIPE");
    }
    Ok(())
}

/// What a child says that cannot begin.
async fn refused<R>(child: Command<(), R>) -> Result<String, Failure>
where
    R: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let child = child.stderr(Stdio::piped()).spawn(&())?;
    let mut printed = String::new();
    let mut stderr = child.take_stderr().ok_or("it is piped")?;
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut printed).await?;
    let Exit::NotBegun(words) = child.join().await? else { return Err("it began".into()) };
    assert_eq!(printed, format!("this child cannot begin: {words}\n"));
    Ok(words)
}

pub(crate) async fn no_such_entry() -> Result<(), Failure> {
    entry! {
        async fn nobody(_start: gipc_core::Start<()>) -> () {}
    }
    let words = refused(Command::new(nobody())?).await?;
    assert!(words.starts_with("no entry is named children::ends::nobody; list it in"), "{words}");
    Ok(())
}

pub(crate) async fn another_build() -> Result<(), Failure> {
    // Its name is that of an entry which takes a number here, as if the program had been changed and built anew.
    let changed =
        Entry::<gipc_core::Start, u32>::new(nothing().name(), |_| Box::pin(async { Ok(0) }));
    let words = refused(Command::new(changed)?).await?;
    assert!(words.starts_with("the program was built anew since its parent started"), "{words}");
    Ok(())
}

/// A child that somebody else starts is somebody else's, however many of ours end beside it.
pub(crate) async fn strangers_child() -> Result<(), Failure> {
    for code in 0..20 {
        let mut theirs =
            std::process::Command::new("sh").args(["-c", &format!("exit {code}")]).spawn()?;
        let ours = Command::new(nothing())?.spawn(&1)?;
        let same = Command::new(nothing())?.spawn(&2)?;
        assert_eq!(ours.join().await?, Exit::Returned(1));
        assert_eq!(same.join().await?, Exit::Returned(2));
        assert_eq!(theirs.wait()?.code(), Some(code));
    }
    Ok(())
}

/// The end of its pipe, the socket to it, and what tells that it ended.
pub(crate) async fn three_descriptors() -> Result<(), Failure> {
    Command::new(nothing())?.spawn(&0)?.join().await?; // what is opened once for all is open now
    let before = open_descriptors();
    let (stay, go) = pipe()?;
    let child = Command::new(wait())?.handles(vec![stay.into()]).spawn(&())?;
    let during = open_descriptors();
    assert!(during <= before + 3, "{during} where {before} were before");
    go.close()?;
    child.join().await?;
    assert_eq!(open_descriptors(), before);
    Ok(())
}
