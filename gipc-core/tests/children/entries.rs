//! What the children of these tests do.

use gipc_core::{Command, Exit, Handle, entry, pipe};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, setuid};
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

entry! {
    pub(crate) async fn echo(start: Start<()>) -> bool {
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
    pub(crate) async fn code(start: Start<i32>) -> () {
        std::process::exit(start.args)
    }
}

entry! {
    pub(crate) async fn panics(start: Start<String>) -> () {
        panic!("on purpose: {}", start.args)
    }
}

entry! {
    pub(crate) async fn nothing(start: Start<u32>) -> u32 {
        start.args
    }
}

entry! {
    /// Puts a message of so many bytes and returns.
    pub(crate) async fn put(start: Start<usize>) -> bool {
        let Ok(w) = start.writer(0) else { return false };
        w.put(&vec![b'x'; start.args]).await.is_ok()
    }
}

entry! {
    /// Returns while a thread of its runtime still works, for longer than anybody waits.
    pub(crate) async fn leaves_a_thread(_start: Start<()>) -> u32 {
        let (began, wait) = tokio::sync::oneshot::channel();
        drop(tokio::task::spawn_blocking(move || {
            let _ = began.send(());
            std::thread::park();
        }));
        let _ = wait.await;
        7
    }
}

entry! {
    /// Panics while a thread of its runtime still works, for longer than anybody waits.
    pub(crate) async fn panics_beside_a_thread(_start: Start<()>) -> () {
        let (began, wait) = tokio::sync::oneshot::channel();
        drop(tokio::task::spawn_blocking(move || {
            let _ = began.send(());
            std::thread::park();
        }));
        let _ = wait.await;
        panic!("on purpose");
    }
}

entry! {
    /// Returns a value that serde cannot write: a path that is not UTF-8.
    pub(crate) async fn unspeakable(_start: Start<()>) -> PathBuf {
        OsStr::from_bytes(b"caf\xe9").into()
    }
}

/// What the main of a child has opened before `init!`, if its environment says so: the end of a pipe which any program
/// that it starts would inherit.
pub(crate) static EARLY: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

pub(crate) fn open_early() {
    if std::env::var_os("CHILD_OPENS_EARLY").is_some() {
        if let Ok(ends) = nix::unistd::pipe() {
            let _ = EARLY.set(ends);
        }
    }
}

entry! {
    /// Puts a message, then writes to what main has opened. Returns what came out of that.
    pub(crate) async fn writes_early(start: Start<()>) -> Vec<u8> {
        let (Ok(w), Some((r, early))) = (start.writer(0), EARLY.get()) else { return Vec::new() };
        if w.put(b"hello").await.is_err() || nix::unistd::write(early, b"a line").is_err() {
            return Vec::new();
        }
        let mut line = [0; 6];
        nix::unistd::read(r, &mut line).map(|_| line.to_vec()).unwrap_or_default()
    }
}

entry! {
    /// The name that `ps` shows.
    pub(crate) async fn shown_name(_start: Start<()>) -> String {
        fs::read_to_string("/proc/self/comm").unwrap_or_default()
    }
}

entry! {
    /// Whether a signal of this number is ignored.
    pub(crate) async fn ignored(start: Start<i32>) -> bool {
        // SAFETY: this child has one thread, and ends afterwards.
        unsafe { nix::libc::signal(start.args, nix::libc::SIG_DFL) == nix::libc::SIG_IGN }
    }
}

entry! {
    pub(crate) async fn text(start: Start<String>) -> usize {
        start.args.len()
    }
}

entry! {
    /// Stays until the other ends of its readers are closed.
    pub(crate) async fn wait(start: Start<()>) -> () {
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
    pub(crate) async fn status(_start: Start<()>) -> String {
        fs::read_to_string("/proc/self/status").unwrap_or_default()
    }
}

entry! {
    /// Tells what every descriptor above 2 is, apart from what it was given.
    pub(crate) async fn open(start: Start<()>) -> Vec<String> {
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
    pub(crate) async fn parent(start: Start<()>) -> bool {
        let Ok(w) = start.writer(0) else { return false };
        let Ok(Ok(child)) = Command::new(put()).map(|child| child.handle(w).spawn(&5)) else { return false };
        matches!(child.join().await, Ok(Exit::Returned(true)))
    }
}

entry! {
    /// Counts the messages to the end.
    pub(crate) async fn count(start: Start<()>) -> usize {
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
    pub(crate) async fn orphan(start: Start<bool>) -> () {
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
    pub(crate) async fn surroundings(_start: Start<()>) -> (String, String, String, bool) {
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
    pub(crate) async fn leaves(_start: Start<()>) -> i32 {
        let left = std::process::Command::new("sleep").arg("1000").spawn();
        left.ok().and_then(|left| i32::try_from(left.id()).ok()).unwrap_or(0)
    }
}

entry! {
    pub(crate) async fn parent_of(_start: Start<()>) -> u32 {
        std::os::unix::process::parent_id()
    }
}

entry! {
    /// What a start comes to for which the system has no process, and the message that its handle then still carries.
    pub(crate) async fn one_too_many(_start: Start<()>) -> (String, Option<String>) {
        refused_for_want_of_a_process().await.unwrap_or_else(|error| (error.to_string(), None))
    }
}

async fn refused_for_want_of_a_process() -> Result<(String, Option<String>), Box<dyn Error>> {
    let (r, w) = pipe()?;
    let command = Command::new(nothing())?.handle(w.clone());
    // Root is exempt from the limit: so it becomes nobody, of whom there is this process alone.
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(65534))?;
    }
    setrlimit(Resource::RLIMIT_NPROC, 0, 0)?;
    let refused = match command.spawn(&0) {
        Ok(_) => "it was started".to_owned(),
        Err(gipc_core::Error::Io(error)) => {
            format!("{:?}", error.raw_os_error().map(Errno::from_raw))
        }
        Err(error) => error.to_string(),
    };
    w.put(b"still mine").await?;
    let got = r.get().await?.map(String::from_utf8).transpose()?;
    Ok((refused, got))
}
