//! What a child is given, what it is not, and how its end is seen: with real processes.
//!
//! The main of this test is its own, because a child begins there; the tests run one after the other, since some
//! look at the descriptors and children of the whole process.

use gipc_core::{
    Command, Duplex, Error, Exit, Handle, Process, Reader, Writer, duplex, entry, init,
    live_handles, pipe,
};
use libtest_mimic::{Arguments, Trial};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use std::fs;
use std::future::Future;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::process::Stdio;
use std::task::Poll;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

fn main() {
    init!(
        echo,
        code,
        panics,
        put,
        wait,
        status,
        open,
        parent,
        count,
        nothing,
        orphan,
        surroundings,
        leaves
    );
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = vec![
        test("the_end_is_seen_when_the_child_returns", the_end_is_seen),
        test("every_size_goes_there_and_back", every_size),
        test("a_message_cut_by_a_kill_is_truncated_and_not_the_end", cut_by_a_kill),
        test("a_sibling_holds_nothing_it_was_not_given", sibling),
        test("a_grandchild_gets_what_it_is_given", grandchild),
        test("fifty_children_at_once_each_with_its_own_pipe", fifty),
        test("codes_and_signals_and_panics_are_told_apart", codes),
        test("all_who_join_hear_the_same", all_who_join),
        test("no_signal_goes_to_one_that_was_reaped", after_the_end),
        test("a_child_that_nobody_joins_is_no_zombie", no_zombie),
        test("a_daemon_is_killed_with_its_last_handle", daemons),
        test("a_child_sees_that_its_parent_is_gone", orphans),
        test("a_child_has_the_surroundings_that_were_chosen", chosen_surroundings),
        test("what_a_child_leaves_running_does_not_hold_its_join", left_running),
        test("no_descriptor_is_left_over", no_descriptor_left),
        test("each_end_is_counted_as_long_as_it_is_open", live_handles_are_counted),
        test("a_child_begins_with_a_clean_signal_state", clean_signals),
        test("a_child_has_no_descriptor_of_strangers", no_strangers),
        test("what_was_given_is_closed_for_all_clones", given_is_closed),
        test("what_is_in_use_is_not_given", in_use_is_locked),
        test("what_is_given_twice_is_refused", given_twice),
        test("a_failed_spawn_leaves_every_handle_with_its_owner", failed_spawn),
        test("what_was_read_ahead_goes_with_the_reader", read_ahead_travels),
        test("an_entry_that_does_not_exist_is_a_code_and_not_a_hang", no_such_entry),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn test<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(body()).map_err(|error| error.to_string().into())
    })
}

// What children do.

entry! {
    async fn echo(start: Start<()>) -> bool {
        let Ok(both) = start.duplex(0) else { return false };
        while let Ok(Some(message)) = both.get().await {
            if both.put(&message).await.is_err() {
                return false;
            }
        }
        true
    }
}

entry! {
    async fn code(start: Start<i32>) -> () {
        std::process::exit(start.args)
    }
}

entry! {
    async fn panics(start: Start<String>) -> () {
        panic!("on purpose: {}", start.args)
    }
}

entry! {
    async fn nothing(start: Start<u32>) -> u32 {
        start.args
    }
}

entry! {
    /// Puts a message of so many bytes and returns.
    async fn put(start: Start<usize>) -> bool {
        let Ok(w) = start.writer(0) else { return false };
        w.put(&vec![b'x'; start.args]).await.is_ok()
    }
}

entry! {
    /// Stays until the other ends of its readers are closed.
    async fn wait(start: Start<()>) -> () {
        for handle in &start.handles {
            match handle {
                Handle::Reader(r) => drop(r.get().await),
                Handle::Duplex(both) => drop(both.get().await),
                Handle::Writer(_) => {}
            }
        }
    }
}

entry! {
    async fn status(_start: Start<()>) -> String {
        fs::read_to_string("/proc/self/status").unwrap_or_default()
    }
}

entry! {
    /// Tells what every descriptor above 2 is, apart from what it was given.
    async fn open(start: Start<()>) -> Vec<String> {
        let own = start.writer(0).ok().and_then(|w| w.descriptor());
        let mut links = Vec::new();
        for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
            let number = entry.file_name().to_string_lossy().parse::<i32>().ok();
            if number > Some(2) && number != own {
                links.extend(fs::read_link(entry.path()).map(|link| link.display().to_string()));
            }
        }
        links
    }
}

entry! {
    async fn parent(start: Start<()>) -> bool {
        let Ok(w) = start.writer(0) else { return false };
        let Ok(Ok(child)) = Command::new(put()).map(|child| child.handle(w).spawn(&5)) else { return false };
        matches!(child.join().await, Ok(Exit::Returned(true)))
    }
}

entry! {
    /// Counts the messages to the end.
    async fn count(start: Start<()>) -> usize {
        let Ok(r) = start.reader(0) else { return usize::MAX };
        let mut n = 0;
        while let Ok(Some(_)) = r.get().await {
            n += 1;
        }
        n
    }
}

entry! {
    /// Starts a child that says when its parent is gone, and is killed once that has begun.
    async fn orphan(start: Start<bool>) -> () {
        let Ok(w) = start.writer(0) else { return };
        if start.args {
            let (Ok((begun, begin)), Ok(child)) = (pipe(), Command::new(orphan())) else { return };
            let child = child.handle(w).handle(begin).spawn(&false);
            if child.is_ok() && matches!(begun.get().await, Ok(Some(_))) {
                let _ = nix::sys::signal::raise(Signal::SIGKILL);
            }
        } else if let Ok(begin) = start.writer(1) {
            let _ = begin.put(b"here").await;
            start.parent.ended().await;
            let _ = w.put(b"alone").await;
        }
    }
}

entry! {
    async fn surroundings(_start: Start<()>) -> (String, String, String, bool) {
        let read = io::read_to_string(io::stdin()).unwrap_or_default();
        let folder = std::env::current_dir().unwrap_or_default().display().to_string();
        let _ = writeln!(io::stdout(), "to stdout");
        let _ = writeln!(io::stderr(), "to stderr");
        let hidden = std::env::var_os("GIPC_CORE_ENTRY").is_none();
        (read, folder, std::env::var("COLOUR").unwrap_or_default(), hidden)
    }
}

entry! {
    /// Leaves a process behind that holds all that programs inherit, and returns its number.
    async fn leaves(_start: Start<()>) -> i32 {
        let left = std::process::Command::new("sleep").arg("1000").spawn();
        left.ok().and_then(|left| i32::try_from(left.id()).ok()).unwrap_or(0)
    }
}

// What is asked of them.

async fn the_end_is_seen() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(put())?.handle(w).spawn(&3)?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"xxx"[..]));
    assert_eq!(r.get().await?, None);
    assert_eq!(r.get().await?, None, "the end stays");
    assert_eq!(child.join().await?, Exit::Returned(true));
    Ok(())
}

async fn every_size() -> Result<(), Failure> {
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

async fn cut_by_a_kill() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(put())?.handle(w).spawn(&8_000_000)?;
    let descriptor = r.descriptor().ok_or("it is open")?;
    // Once a first byte is here, the child is inside its put: no pipe holds all of it.
    tokio::task::spawn_blocking(move || readable(descriptor)).await??;
    child.kill()?;
    assert!(matches!(r.get().await, Err(Error::Truncated)));
    assert!(matches!(r.get().await, Err(Error::Truncated)), "and it stays so");
    assert_eq!(child.join().await?, Exit::Signal(9));
    Ok(())
}

async fn sibling() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (stay, go) = pipe()?;
    let first = Command::new(put())?.handle(w).spawn(&1)?;
    let second = Command::new(wait())?.handle(stay).spawn(&())?;
    assert!(r.get().await?.is_some());
    assert_eq!(r.get().await?, None, "although the sibling lives");
    assert_eq!(second.try_join()?, None);
    go.close()?;
    first.join().await?;
    second.join().await?;
    Ok(())
}

async fn grandchild() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(parent())?.handle(w).spawn(&())?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"xxxxx"[..]));
    assert_eq!(r.get().await?, None);
    assert_eq!(child.join().await?, Exit::Returned(true));
    Ok(())
}

async fn fifty() -> Result<(), Failure> {
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

async fn codes() -> Result<(), Failure> {
    assert_eq!(Command::new(nothing())?.spawn(&7)?.join().await?, Exit::Returned(7));
    for (given, seen) in [(0, 0), (7, 7), (255, 255), (256, 0), (-1, 255)] {
        assert_eq!(Command::new(code())?.spawn(&given)?.join().await?, Exit::Code(seen), "{given}");
    }
    let panicked =
        Command::new(panics())?.stderr(Stdio::null()).spawn(&"told".into())?.join().await?;
    assert_eq!(panicked, Exit::Panicked("on purpose: told".into()));
    let (stay, go) = pipe()?;
    let child = Command::new(wait())?.handle(stay).spawn(&())?;
    assert_eq!(child.try_join()?, None);
    assert!(matches!(child.join_within(Duration::from_millis(1)).await, Err(Error::Timeout)));
    child.terminate()?;
    assert_eq!(child.join_within(Duration::from_secs(60)).await?, Exit::Signal(15));
    go.close()?;
    Ok(())
}

async fn daemons() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (stay, _go) = pipe()?;
    let daemon =
        Command::new(wait())?.handle(stay).handle(w).daemon(true).name("watcher").spawn(&())?;
    assert_eq!(daemon.name(), "watcher");
    let twin = daemon.clone();
    drop(daemon);
    assert_eq!(twin.try_join()?, None, "a clone holds it");
    drop(twin);
    assert_eq!(r.get().await?, None, "its only writer is gone");
    Ok(())
}

async fn orphans() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(orphan())?.handle(w).spawn(&true)?;
    assert_eq!(r.get().await?.as_deref(), Some(&b"alone"[..]));
    assert_eq!(child.join().await?, Exit::Signal(9));
    Ok(())
}

async fn chosen_surroundings() -> Result<(), Failure> {
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

async fn left_running() -> Result<(), Failure> {
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

async fn all_who_join() -> Result<(), Failure> {
    let child = Command::new(code())?.spawn(&5)?;
    let twin = child.clone();
    let (one, other) = tokio::join!(child.join(), twin.join());
    assert_eq!((one?, other?, twin.join().await?), (Exit::Code(5), Exit::Code(5), Exit::Code(5)));
    assert_eq!(child.try_join()?, Some(Exit::Code(5)));
    Ok(())
}

async fn after_the_end() -> Result<(), Failure> {
    let child = Command::new(code())?.spawn(&0)?;
    child.join().await?;
    child.kill()?;
    child.terminate()?;
    assert_eq!(child.join().await?, Exit::Code(0));
    Ok(())
}

async fn no_zombie() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let id = Command::new(put())?.handle(w).spawn(&1)?.id();
    while r.get().await?.is_some() {}
    // The end of the pipe may be seen before the end of the process; its reaper needs turns of the loop.
    while fs::exists(format!("/proc/{id}"))? {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn no_descriptor_left() -> Result<(), Failure> {
    let run = async || -> Result<usize, Failure> {
        let (near, child) = echoing()?;
        near.put(b"a").await?;
        near.get().await?;
        near.close()?;
        child.join().await?;
        drop(child);
        tokio::task::yield_now().await;
        Ok(fs::read_dir("/dev/fd")?.count())
    };
    assert_eq!(run().await?, run().await?);
    Ok(())
}

async fn live_handles_are_counted() -> Result<(), Failure> {
    let before = live_handles();
    let (r, w) = pipe()?;
    let (near, far) = duplex()?;
    assert_eq!(live_handles(), before + 6);
    let twin = w.clone();
    drop(w);
    assert_eq!(live_handles(), before + 6, "a clone holds it");
    twin.close()?;
    near.writer().close()?;
    assert_eq!(live_handles(), before + 4);
    let child = Command::new(wait())?.handle(far).spawn(&())?;
    assert_eq!(live_handles(), before + 2, "what was given away is the child's");
    drop((r, near));
    assert_eq!(live_handles(), before);
    child.join().await?;
    Ok(())
}

async fn clean_signals() -> Result<(), Failure> {
    let blocked = SigSet::from(Signal::SIGUSR1);
    blocked.thread_block()?;
    // SAFETY: ignoring a signal that nobody here waits for.
    unsafe { signal(Signal::SIGUSR2, SigHandler::SigIgn) }?;
    let child = Command::new(status())?.spawn(&());
    blocked.thread_unblock()?;
    // SAFETY: as above.
    unsafe { signal(Signal::SIGUSR2, SigHandler::SigDfl) }?;
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

async fn no_strangers() -> Result<(), Failure> {
    let (stranger, _keep) = nix::unistd::pipe()?; // without close-on-exec, as careless libraries do
    let (_r, w) = pipe()?;
    let child = Command::new(open())?.handle(w).spawn(&())?;
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

async fn given_is_closed() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let twin = w.clone();
    let child = Command::new(put())?.handle(w).spawn(&1)?;
    assert!(matches!(twin.put(b"a").await, Err(Error::Closed)));
    assert!(matches!(twin.close(), Err(Error::Closed)));
    assert_eq!(twin.descriptor(), None);
    assert!(matches!(Command::new(put())?.handle(twin).spawn(&1), Err(Error::Closed)));
    while r.get().await?.is_some() {}
    child.join().await?;
    Ok(())
}

async fn in_use_is_locked() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let mut get = pin!(r.get());
    assert!(once(get.as_mut()).await.is_none());
    assert!(matches!(r.close(), Err(Error::Locked)));
    assert!(matches!(Command::new(wait())?.handle(r.clone()).spawn(&()), Err(Error::Locked)));
    w.put(b"a").await?;
    assert_eq!(get.await?.as_deref(), Some(&b"a"[..]));
    r.close()?;
    Ok(())
}

async fn given_twice() -> Result<(), Failure> {
    let (near, _far) = duplex()?;
    let twice = Command::new(wait())?.handle(near.clone()).handle(near.reader().clone());
    assert!(matches!(twice.spawn(&()), Err(Error::Misuse(_))));
    near.put(b"a").await?;
    Ok(())
}

async fn failed_spawn() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let before = fs::read_dir("/dev/fd")?.count();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let refused = Command::new(put())?.handle(w.clone()).spawn(&1);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
    assert_eq!(fs::read_dir("/dev/fd")?.count(), before);
    w.put(b"still mine").await?;
    assert!(r.get().await?.is_some());
    Ok(())
}

async fn read_ahead_travels() -> Result<(), Failure> {
    let (r, w) = pipe()?;
    for message in [b"1", b"2", b"3"] {
        w.put(message).await?;
    }
    assert!(r.get().await?.is_some());
    let child = Command::new(count())?.handle(r).spawn(&())?;
    w.close()?;
    assert_eq!(child.join().await?, Exit::Returned(2));
    Ok(())
}

async fn no_such_entry() -> Result<(), Failure> {
    entry! {
        async fn nobody(_start: Start<()>) -> () {}
    }
    let child = Command::new(nobody())?.stderr(Stdio::piped()).spawn(&())?;
    let mut words = String::new();
    let mut stderr = child.take_stderr().ok_or("it is piped")?;
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut words).await?;
    assert_eq!(child.join().await?, Exit::Code(127));
    assert!(words.contains("no entry is named children::nobody"), "{words}");
    Ok(())
}

// What they are asked with.

fn echoing() -> Result<(Duplex, Process<bool>), Failure> {
    let (near, far) = duplex()?;
    Ok((near, Command::new(echo())?.handle(far).spawn(&())?))
}

/// One look at a future, as a task that is then cancelled would have had it.
async fn once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

fn readable(descriptor: i32) -> nix::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    // SAFETY: the reader that owns it is alive until this has returned.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::NONE).map(drop)
}

// Both ends can be sent to another thread, and shared.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<(Reader, Writer, Process)>();
};
