//! What differs between Unix systems, and the few calls that have no safe interface.
//!
//! All of it concerns the first moments of a child, when the child has one thread and has not opened anything yet.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::Pid;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use nix::unistd::{Gid, Uid};
use std::env;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ffi::{CString, OsString};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tokio::net::unix::pipe;

/// How many descriptors go in one message. Linux accepts 253, other systems fewer.
pub(crate) const DESCRIPTORS_PER_MESSAGE: usize = 200;

/// Makes a pipe whose ends, the reader first, no program inherits. If the system cannot make such ends in one step, a
/// program that another thread starts in between still inherits them.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    let ends = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    #[cfg(target_vendor = "apple")]
    let ends = {
        let ends = nix::unistd::pipe()?;
        close_on_exec(&ends.0)?;
        close_on_exec(&ends.1)?;
        ends
    };
    Ok(ends)
}

/// Makes reads and writes of this pipe return `WouldBlock` instead of waiting.
pub(crate) fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Appends at most `most` bytes to the spare capacity of `into`, without zeroing it first.
pub(crate) fn read(descriptor: &OwnedFd, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let spare = into.spare_capacity_mut();
    let most = most.min(spare.len());
    // SAFETY: the system writes at most `most` bytes to memory that this vector owns and has not used.
    let came = unsafe { nix::libc::read(descriptor.as_raw_fd(), spare.as_mut_ptr().cast(), most) };
    let came = usize::try_from(came).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: this many bytes after the old length were just written.
    unsafe { into.set_len(into.len() + came) };
    Ok(came)
}

/// Asks for huge pages if they fit into the spare capacity of a vector. Most of the cost of receiving a large message is
/// that the system provides its memory page by page.
pub(crate) fn prefer_huge_pages(vector: &mut Vec<u8>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        const HUGE: usize = 2 << 20;
        let spare = vector.spare_capacity_mut();
        let begin = spare.as_mut_ptr().align_offset(HUGE);
        let len = spare.len().saturating_sub(begin) / HUGE * HUGE;
        if len > 0 {
            // SAFETY: the range lies within memory that the vector owns, and the advice changes no byte of it.
            unsafe {
                let place = spare.as_mut_ptr().add(begin).cast();
                nix::libc::madvise(place, len, nix::libc::MADV_HUGEPAGE);
            }
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = vector;
}

/// What distinguishes one build of this program from another, if its file may be replaced while it runs. On Linux this is
/// empty: there the running program is always started again by a name that refers to it.
pub(crate) fn build() -> String {
    use std::os::unix::fs::MetadataExt;
    if cfg!(any(target_os = "linux", target_os = "android")) {
        return String::new();
    }
    let Ok(file) = env::current_exe().and_then(std::fs::metadata) else { return String::new() };
    let (number, device, len) = (file.ino(), file.dev(), file.len());
    format!(", file {device}:{number} of {len} bytes at {}.{}", file.mtime(), file.mtime_nsec())
}

/// Linux's name for the running program.
const RUNNING: &str = "/proc/self/exe";

static HAS_RUNNING: LazyLock<bool> = LazyLock::new(|| Path::new(RUNNING).exists());

/// The file of the running program. Linux has a name for it that stays valid even if the file was replaced.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    static IS_LOADER: LazyLock<bool> = LazyLock::new(is_loader);
    if *IS_LOADER {
        let why = "this program was started by way of the dynamic loader, which a child would be; start it by its own path";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    if *HAS_RUNNING { Ok(RUNNING.into()) } else { env::current_exe() }
}

/// Whether the system takes the dynamic loader for the running program (`ld-linux.so.2 ./program`).
fn is_loader() -> bool {
    #[cfg(target_os = "linux")]
    {
        let path = std::fs::read_link(RUNNING).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefixes = ["ld-linux", "ld-musl", "ld.so", "ld64.so"]; // of glibc and musl
        name.contains(".so") && prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether the system gave this program more rights than its caller has: set-user-ID, set-group-ID or file capabilities.
pub(crate) fn has_more_rights_than_its_caller() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: it reads a value that the system gave this process at its start.
    return unsafe { nix::libc::getauxval(nix::libc::AT_SECURE) != 0 };
    // On other systems only the ids can differ. Before main, nothing in the program has changed them.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return Uid::current() != Uid::effective() || Gid::current() != Gid::effective();
}

/// Names this process after its program, for `ps` and `top`. Linux names a process after the path by which it was started,
/// which is `exe` for every child.
pub(crate) fn name_process() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = env::args_os().next().or_else(first_argument) {
        let name = Path::new(&name).file_name().and_then(|name| CString::new(name.as_bytes()).ok());
        if let Some(name) = name {
            // nix has this call on Linux and not on Android.
            // SAFETY: the system only reads the name, which ends with a zero.
            unsafe { nix::libc::prctl(nix::libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
        }
    }
}

/// The first argument of this program, as Linux shows it. Before main, the standard library has the arguments only if the
/// system passes them to constructors: glibc does, and musl does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn first_argument() -> Option<OsString> {
    let shown = std::fs::read("/proc/self/cmdline").ok()?;
    let first = shown.split(|byte| *byte == 0).next().filter(|first| !first.is_empty())?;
    Some(OsString::from_vec(first.to_vec()))
}

/// Sends a signal with any number, even one that nix has no name for.
pub(crate) fn kill(pid: Pid, number: i32) -> io::Result<()> {
    // SAFETY: it takes two numbers.
    Errno::result(unsafe { nix::libc::kill(pid.as_raw(), number) })?;
    Ok(())
}

/// Blocks all signals in this thread, and in a child that it forks meanwhile, until this is dropped.
///
/// So a signal to a child waits until the child has set its own dispositions. If the parent ignores that signal, the system
/// would drop it; Linux keeps a blocked signal even if it is ignored, other systems need not.
pub(crate) struct BlockedSignals(SigSet);

pub(crate) fn block_signals() -> io::Result<BlockedSignals> {
    Ok(BlockedSignals(SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?))
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}

/// Sets SIGCHLD to its default if this process inherited that it is ignored. Otherwise the system itself would reap the
/// children and discard their statuses.
pub(crate) fn stop_ignoring_children() {
    let mut before = std::mem::MaybeUninit::<nix::libc::sigaction>::zeroed();
    // SAFETY: the system only writes the present disposition to `before`, for which zeroes are also a valid value. A signal
    // that is ignored has no handler that could be lost.
    unsafe {
        nix::libc::sigaction(nix::libc::SIGCHLD, std::ptr::null(), before.as_mut_ptr());
        if before.assume_init().sa_sigaction == nix::libc::SIG_IGN {
            let _ = signal(Signal::SIGCHLD, SigHandler::SigDfl);
        }
    }
}

/// Resets all dispositions to the default, except SIGPIPE to ignored, then unblocks all signals. Those that arrived since
/// the fork are delivered at that point.
pub(crate) fn reset_signals() -> nix::Result<()> {
    for one in Signal::iterator() {
        match one {
            Signal::SIGKILL | Signal::SIGSTOP => {}
            // SAFETY: no handler is lost: exec has just removed all of them, and std installs its own in main.
            Signal::SIGPIPE => drop(unsafe { signal(one, SigHandler::SigIgn) }?),
            // SAFETY: as above.
            _ => drop(unsafe { signal(one, SigHandler::SigDfl) }?),
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    for one in nix::libc::SIGRTMIN()..=nix::libc::SIGRTMAX() {
        // SAFETY: as above. nix has no names for these signals.
        let _ = unsafe { nix::libc::signal(one, nix::libc::SIG_DFL) };
    }
    SigSet::empty().thread_set_mask()
}

/// Closes every descriptor above 2, except `kept`, that came through the exec: those without FD_CLOEXEC. A descriptor with
/// that flag was opened in this process by an earlier constructor, and belongs to that constructor.
pub(crate) fn close_inherited(kept: RawFd) {
    if only_these_are_open([0, 1, 2, kept]) {
        return;
    }
    let all = || {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        (3..RawFd::try_from(limit).unwrap_or(MOST).min(MOST)).collect()
    };
    for descriptor in listed().unwrap_or_else(all) {
        if descriptor > 2 && descriptor != kept {
            // SAFETY: this runs before main, when nothing in this process owns a descriptor without the flag. A number that
            // is not open has no flags and is left alone.
            unsafe {
                if nix::libc::fcntl(descriptor, nix::libc::F_GETFD) == 0 {
                    nix::libc::close(descriptor);
                }
            }
        }
    }
}

/// Whether only these descriptors are open, if the system counts them (Linux 6.2 and later, in a tenth of the time that a
/// listing takes). `false` means that this is unknown.
fn only_these_are_open(these: [RawFd; 4]) -> bool {
    let counted = std::fs::metadata("/proc/self/fd").map_or(0, |folder| folder.len());
    // SAFETY: it reads the flags of a number, whatever is open there.
    let is_open = |one: &RawFd| unsafe { nix::libc::fcntl(*one, nix::libc::F_GETFD) >= 0 };
    counted == these.len() as u64 && these.iter().all(is_open)
}

/// The open descriptors, including that of the listing itself, if the system has a folder that shows them.
fn listed() -> Option<Vec<RawFd>> {
    // On other systems the folder, if it exists, has three or sixty-four entries, whatever is open.
    let is_list = cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));
    let entries = std::fs::read_dir("/dev/fd").ok().filter(|_| is_list)?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// How many descriptors are tried if the system does not show which are open.
const MOST: RawFd = 1_048_576;

/// Makes the system mark descriptors as close-on-exec when they are received, if it can.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
))]
const MARKED: MsgFlags = MsgFlags::MSG_CMSG_CLOEXEC;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
const MARKED: MsgFlags = MsgFlags::empty();

fn close_on_exec(descriptor: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Receives the descriptors of one message, and returns how many will follow in others; `None` if the sender is gone.
pub(crate) fn receive(socket: &UnixStream, into: &mut Vec<OwnedFd>) -> io::Result<Option<u32>> {
    let mut later = [0; 4];
    let mut parts = [IoSliceMut::new(&mut later)];
    let mut space = cmsg_space!([RawFd; DESCRIPTORS_PER_MESSAGE]);
    let message = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MARKED) {
            Err(Errno::EINTR) => {}
            message => break message?,
        }
    };
    let is_whole = message.bytes == 4;
    let parts = message.cmsgs().map_err(|_| {
        io::Error::other(
            "the system has dropped descriptors on their way: mostly because this process may not have so many open (RLIMIT_NOFILE)",
        )
    })?;
    for part in parts {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: the system has just made it for this process, and nothing else knows the number.
                let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                if MARKED.is_empty() {
                    close_on_exec(&owned)?;
                }
                into.push(owned);
            }
        }
    }
    Ok(is_whole.then_some(u32::from_le_bytes(later)))
}

/// Returns one direction of a socket as if it were a pipe. Watching a whole socket wakes its task whenever the other side
/// has read something, which costs a child several turns of its parent's loop.
pub(crate) fn listener(socket: UnixStream) -> io::Result<pipe::Receiver> {
    socket.set_nonblocking(true)?;
    pipe::Receiver::from_owned_fd_unchecked(socket.into())
}

/// Returns the other direction of a socket.
pub(crate) fn speaker(socket: UnixStream) -> io::Result<pipe::Sender> {
    socket.set_nonblocking(true)?;
    pipe::Sender::from_owned_fd_unchecked(socket.into())
}

/// Moves the socket away from descriptor 0, and leaves an empty stdin there.
pub(crate) fn take_stdin() -> io::Result<UnixStream> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(empty_input("/dev/null")?)?;
    Ok(control.into())
}

/// Opens the null device. If the device is missing, as in a bare chroot, returns a pipe that is at its end.
fn empty_input(null: &str) -> io::Result<OwnedFd> {
    std::fs::File::open(null).map(OwnedFd::from).or_else(|_| pipe().map(|(end, _)| end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_what_is_open() {
        let Some(before) = listed() else { return };
        let (r, w) = pipe().expect("a pipe");
        let now = listed().expect("as before");
        assert!(now.contains(&r.as_raw_fd()) && now.contains(&w.as_raw_fd()), "{before:?} {now:?}");
    }

    #[test]
    fn what_is_open_beside_these_is_noticed() {
        let (r, _w) = pipe().expect("a pipe");
        assert!(!only_these_are_open([0, 1, 2, r.as_raw_fd()]));
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_first_argument_is_found_without_the_standard_library() {
        assert!(first_argument().is_none_or(|first| Some(first) == env::args_os().next()));
    }

    #[test]
    fn without_a_null_device_stdin_is_at_its_end() {
        for null in ["/dev/null", "/dev/there is none"] {
            let input = std::fs::File::from(empty_input(null).expect("one of the two"));
            assert_eq!(io::read_to_string(input).expect("readable"), "", "{null}");
        }
    }
}
