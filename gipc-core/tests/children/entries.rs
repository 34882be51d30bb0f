//! What the children of these tests do.

use crate::starts::ENTRY_VARIABLE;
use gipc_core::{Command, Duplex, Exit, Handle, Reader, Start, Writer, entry, pipe};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, Uid, setuid};
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

entry! {
    pub(crate) async fn echo(Start { handles: both, .. }: Start<(), Duplex>) -> bool {
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
    pub(crate) async fn put(start: Start<usize, Writer>) -> bool {
        start.handles.put(vec![b'x'; start.args]).await.is_ok()
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

/// What a constructor of a child has opened, before or after that of gipc-core: the order is the linker's.
static CONSTRUCTED: OnceLock<fs::File> = OnceLock::new();

#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn open() {
        if std::env::var_os("CHILD_OPENS_EARLY").is_some() {
            let _ = fs::File::open("/").map(|file| CONSTRUCTED.set(file));
        }
    }
    open
};

pub(crate) fn before_init() {
    if std::env::var_os("CHILD_STOPS_EARLY").is_some() {
        let _ = nix::sys::signal::raise(Signal::SIGSTOP);
    }
    if let Some(most) = std::env::var("CHILD_MAY_OPEN").ok().and_then(|most| most.parse().ok()) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    if std::env::var_os("CHILD_OPENS_EARLY").is_some() {
        if let Ok(ends) = nix::unistd::pipe() {
            let _ = EARLY.set(ends);
        }
    }
}

entry! {
    /// Puts a message, then writes to what main has opened. Returns what came out of that.
    pub(crate) async fn writes_early(start: Start<(), Writer>) -> Vec<u8> {
        let Some((r, early)) = EARLY.get() else { return Vec::new() };
        if start.handles.put(b"hello").await.is_err() || nix::unistd::write(early, b"a line").is_err() {
            return Vec::new();
        }
        if !CONSTRUCTED.get().is_some_and(|file| file.metadata().is_ok_and(|of| of.is_dir())) {
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
    /// Starts children that do not take their handles yet, more than the system lets be under way, and lets them go on then.
    /// Returns how many had all of their handles.
    pub(crate) async fn starts_slow_children(_start: Start<()>) -> String {
        many_under_way().await.map_or_else(|error| error.to_string(), |all| format!("{all} had all"))
    }
}

async fn many_under_way() -> Result<usize, Box<dyn Error>> {
    const EACH: usize = 50;
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(65534))?; // root may have any number under way
    }
    setrlimit(Resource::RLIMIT_NOFILE, 160, 160)?;
    let mut children = Vec::new();
    for _ in 0..5 {
        let command = Command::new(count_handles())?.env("CHILD_STOPS_EARLY", "1");
        let writers = (0..EACH).map(|_| Ok(pipe()?.1)).collect::<io::Result<_>>()?;
        children.push(command.handles(writers).spawn(&())?);
    }
    for child in &children {
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        crate::wait_id(nix::libc::P_PID, child.id(), nix::libc::WSTOPPED | nix::libc::WNOWAIT)?;
        kill(pid, Signal::SIGCONT)?;
    }
    let mut complete = 0;
    for child in children {
        complete += usize::from(child.join().await? == Exit::Returned(EACH));
    }
    Ok(complete)
}

entry! {
    pub(crate) async fn count_handles(start: Start<(), Vec<Writer>>) -> usize {
        start.handles.len()
    }
}

entry! {
    /// Starts a child although the system reaps it by itself. Returns what its join says.
    pub(crate) async fn ignores_its_children(_start: Start<()>) -> String {
        // SAFETY: a disposition without a handler.
        let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
        let Ok(Ok(child)) = Command::new(nothing()).map(|mut child| child.spawn(&7)) else { return String::new() };
        format!("{:?}", child.join().await)
    }
}

/// The socket from this child to its parent.
pub(crate) fn control_socket() -> BorrowedFd<'static> {
    // SAFETY: the call only reads what kind of file has this number, if there is one.
    let mode = |number: &i32| unsafe {
        let mut about = std::mem::zeroed::<nix::libc::stat>();
        (nix::libc::fstat(*number, &raw mut about) == 0).then_some(about.st_mode)
    };
    let is_socket = |number: &i32| {
        mode(number).is_some_and(|mode| mode & nix::libc::S_IFMT == nix::libc::S_IFSOCK)
    };
    let number = (3..64).find(is_socket).expect("it is opened first");
    // SAFETY: this process has it until its end.
    unsafe { BorrowedFd::borrow_raw(number) }
}

entry! {
    /// Writes to the socket to its parent as long as that takes it, at most 64 MiB.
    pub(crate) async fn says_too_much(start: Start<(), Writer>) -> () {
        let w = start.handles;
        let control = control_socket();
        let mut written = 0;
        while written < 64 << 20 {
            match nix::unistd::write(control, &[b'v'; 1 << 16]) {
                Ok(more) => written += more,
                Err(Errno::EAGAIN) => tokio::task::yield_now().await,
                Err(_) => {
                    let _ = w.put(b"stopped").await;
                    std::process::exit(0)
                }
            }
        }
        let _ = w.put(b"never stopped").await;
    }
}

entry! {
    /// Starts a child with its two handles, and then ends in this way.
    pub(crate) async fn ends_as_parent(start: Start<String, (Reader, Writer)>) -> () {
        let started = Command::new(answers()).map(|child| child.handles(start.handles).spawn(&()));
        let Ok(Ok(_child)) = started else { return };
        match start.args.as_str() {
            "exit" => std::process::exit(0),
            "killed" => drop(nix::sys::signal::raise(Signal::SIGKILL)),
            "panic" => panic!("on purpose"),
            _ => {}
        }
    }
}

entry! {
    /// Answers one message.
    pub(crate) async fn answers(Start { handles: (r, w), .. }: Start<(), (Reader, Writer)>) -> () {
        if matches!(r.get().await, Ok(Some(_))) {
            let _ = w.put(b"it goes on").await;
        }
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
    /// Fails in one of several ways, and can say so by `?`.
    pub(crate) async fn fails(mut start: Start<String>,) -> Result<u32, Box<dyn Error>> {
        start.args.push('0');
        Ok(start.args.parse()?)
    }
}

entry! {
    /// A result type of a module, and no value.
    pub(crate) async fn fails_by_io(_start: Start<()>) -> io::Result<()> {
        Err(io::Error::other("on purpose"))
    }
}

entry! {
    /// Drops the first handle that it was given, and stays until the other end of the second is closed.
    pub(crate) async fn drops_a_handle(Start { handles: (w, r), .. }: Start<(), (Writer, Reader)>) {
        drop(w);
        let _ = r.get().await;
    }
}

entry! {
    pub(crate) async fn text_of(start: Start<usize>) -> String {
        "x".repeat(start.args)
    }
}

entry! {
    pub(crate) async fn takes_a_writer(_start: Start<u32, Writer>) {}
}

entry! {
    pub(crate) async fn text(start: Start<String, Writer>) -> usize {
        start.args.len()
    }
}

entry! {
    /// Stays until the other ends of its readers are closed.
    pub(crate) async fn wait(start: Start<(), Vec<Handle>>) -> () {
        for handle in &start.handles {
            match handle {
                Handle::Reader(r) => drop(r.get().await),
                Handle::Duplex(both) => drop(both.get().await),
                _ => {}
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
    pub(crate) async fn open(start: Start<(), Writer>) -> Vec<String> {
        let own = start.handles.descriptor();
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
    pub(crate) async fn parent(start: Start<(), Writer>) -> bool {
        let Ok(Ok(child)) = Command::new(put()).map(|child| child.handles(start.handles).spawn(&5)) else { return false };
        matches!(child.join().await, Ok(Exit::Returned(true)))
    }
}

entry! {
    /// Counts the messages to the end.
    pub(crate) async fn count(start: Start<(), Reader>) -> usize {
        let mut n = 0;
        while let Ok(Some(_)) = start.handles.get().await {
            n += 1;
        }
        n
    }
}

entry! {
    /// Starts a child that says when its parent is gone, and is killed once that has begun.
    pub(crate) async fn orphan(start: Start<bool, (Writer, Option<Writer>)>) -> () {
        let (w, begin) = start.handles;
        if start.args {
            let (Ok((begun, begin)), Ok(child)) = (pipe(), Command::new(orphan())) else { return };
            let child = child.handles((w, Some(begin))).spawn(&false);
            if child.is_ok() && matches!(begun.get().await, Ok(Some(_))) {
                let _ = nix::sys::signal::raise(Signal::SIGKILL);
            }
        } else if let Some(begin) = begin {
            let _ = begin.put(b"here").await;
            start.parent.ended().await;
            let _ = w.put(b"alone").await;
        }
    }
}

entry! {
    pub(crate) async fn surroundings(_start: Start<()>) -> (String, String, String, bool) {
        describe_surroundings()
    }
}

entry! {
    pub(crate) async fn surroundings_with(_start: Start<(), Writer>) -> (String, String, String, bool) {
        describe_surroundings()
    }
}

fn describe_surroundings() -> (String, String, String, bool) {
    let read = io::read_to_string(io::stdin()).unwrap_or_default();
    let folder = std::env::current_dir().unwrap_or_default().display().to_string();
    let _ = writeln!(io::stdout(), "to stdout");
    let _ = writeln!(io::stderr(), "to stderr");
    let hidden = std::env::var_os(ENTRY_VARIABLE).is_none();
    (read, folder, std::env::var("COLOUR").unwrap_or_default(), hidden)
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

/// Limits the number of processes of this user to none, which illumos cannot.
#[cfg(not(target_os = "illumos"))]
fn allow_no_process() -> nix::Result<()> {
    let none = nix::libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // nix has this limit on some systems only.
    // SAFETY: the call only reads the structure.
    Errno::result(unsafe { nix::libc::setrlimit(nix::libc::RLIMIT_NPROC, &raw const none) })
        .map(drop)
}
#[cfg(target_os = "illumos")]
fn allow_no_process() -> nix::Result<()> {
    Err(Errno::ENOTSUP)
}

async fn refused_for_want_of_a_process() -> Result<(String, Option<String>), Box<dyn Error>> {
    let (r, w) = pipe()?;
    let mut command = Command::new(takes_a_writer())?.handles(w.clone());
    // Root is exempt from the limit: so it becomes nobody, of whom there is this process alone.
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(65534))?;
    }
    allow_no_process()?;
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
