//! What only some systems have: process descriptors, subreapers. Elsewhere the answer is `None`, and the caller
//! does without.

use crate::trace::ProcessExit;
use nix::errno::Errno;
use nix::sys::signal::{SigAction, SigHandler, SigSet, Signal, sigaction};
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// A process that can be waited for and signalled without fear that its number is another's by now.
pub struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Waits until the process has ended; it may not be reaped yet.
    pub async fn ended(&self) {
        // An error can only mean that the runtime goes away.
        let _ = self.0.readable().await;
    }
}

/// The process, if the system can name it so.
#[must_use]
pub fn pidfd(pid: i32) -> Option<PidFd> {
    // SAFETY: the descriptor is owned by what it is registered with, and nothing else is done to it.
    unsafe { AsyncFd::register_with_interest(open(pid)?, tokio::io::Interest::READABLE) }
        .ok()
        .map(PidFd)
}

/// How a process that is not our child ended; to be had once its parent has reaped it, on Linux 6.15 and later.
#[must_use]
pub fn status(process: &PidFd) -> Option<ProcessExit> {
    let status = exit_status(process.0.get_ref())?;
    match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
        (true, _) => Some(ProcessExit::Code(libc::WEXITSTATUS(status))),
        (_, true) => Some(ProcessExit::Signal(signal_name(libc::WTERMSIG(status)))),
        _ => None,
    }
}

/// `SIGKILL` for 9.
#[must_use]
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// Sends SIGKILL to the process that has this number and is still the one meant.
pub(crate) fn kill(pid: i32, is_meant: impl Fn() -> bool) {
    let process = open(pid);
    if !is_meant() {
        return;
    }
    if let Some(process) = process {
        send_to(&process, Signal::SIGKILL);
    } else {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Sends a signal to exactly this process, for whom it is nothing if it has ended; false if that cannot be done.
pub(crate) fn send(process: &PidFd, signal: Signal) -> bool {
    send_to(process.0.get_ref(), signal)
}

/// Lets this process and those it starts open as many descriptors as the system allows, up to a sane number: a
/// thousand children need several thousand, and the usual limit is 1024.
pub fn allow_many_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it is refused, a scenario that needs more says so itself.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536).max(soft), hard);
    }
}

/// Makes orphans below this process its children, where the system has that.
pub(crate) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Closes every descriptor above 2: hosts leak strange ones into all that they start.
pub(crate) fn close_strangers() {
    let numbers = std::fs::read_dir("/dev/fd").map(|entries| {
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.flatten().filter_map(number).collect::<Vec<i32>>()
    });
    for number in numbers.unwrap_or_else(|_| (3..1024).collect()) {
        if number > 2 {
            let _ = nix::unistd::close(number);
        }
    }
}

/// The signal state of a program started from a terminal, whatever was inherited; but the signals that end a
/// terminal's programs do nothing here. They are caught and not ignored, because exec undoes only that.
pub(crate) fn clean_signals() -> nix::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    SigSet::empty().thread_set_mask()?;
    for signal in Signal::iterator() {
        let handler = match signal {
            Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGSEGV | Signal::SIGBUS => continue,
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT => {
                SigHandler::Handler(nothing)
            }
            Signal::SIGPIPE => SigHandler::SigIgn,
            _ => SigHandler::SigDfl,
        };
        let action =
            SigAction::new(handler, nix::sys::signal::SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does nothing, which is safe at any moment.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn open(pid: i32) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes two numbers and returns a descriptor or an error.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    let number = i32::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: the system has just made it, with close-on-exec set; nobody else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(target_os = "linux")]
fn send_to(process: &OwnedFd, signal: Signal) -> bool {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    let (process, signal) = (process.as_raw_fd(), signal as libc::c_int);
    // SAFETY: a null pointer is allowed, and means the same as kill(2).
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, no_info, 0) };
    sent == 0 || Errno::last() == Errno::ESRCH
}

/// The end of a pipe that gets, whichever end the descriptor of another process is.
#[cfg(target_os = "linux")]
fn reader(pid: i32, descriptor: i32) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = format!("/proc/{pid}/fd/{descriptor}");
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// How many bytes wait in the pipe behind a descriptor of another process.
#[cfg(target_os = "linux")]
pub(crate) fn waiting(pid: i32, descriptor: i32) -> Option<u64> {
    nix::ioctl_read_bad!(fionread, libc::FIONREAD, libc::c_int);
    let end = reader(pid, descriptor).ok()?;
    let mut bytes = 0;
    // SAFETY: the request writes one int, to where the pointer says.
    unsafe { fionread(end.as_raw_fd(), &raw mut bytes) }.ok()?;
    u64::try_from(bytes).ok()
}

/// Makes the pipe behind a descriptor of another process hold so many bytes, as far as the system lets it.
#[cfg(target_os = "linux")]
pub(crate) fn resize(pid: i32, descriptor: i32, bytes: u32) {
    use nix::fcntl::{FcntlArg, fcntl};
    let end = reader(pid, descriptor);
    // It is an axis to vary, not a promise: what the system refuses stays as it was.
    if let (Ok(end), Ok(bytes)) = (end, i32::try_from(bytes)) {
        let _ = fcntl(&end, FcntlArg::F_SETPIPE_SZ(bytes));
    }
}

/// The wait status, from `PIDFD_GET_INFO`. The C library does not have it yet.
#[cfg(target_os = "linux")]
fn exit_status(process: &OwnedFd) -> Option<i32> {
    const WANT_EXIT: u64 = 1 << 3;

    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }

    nix::ioctl_readwrite!(pidfd_get_info, 0xff, 11, Info);
    let mut info = Info { mask: WANT_EXIT, ..Info::default() };
    // SAFETY: the structure is as long as the number of the request says, and its first version, which every kernel
    // that knows the request fills.
    unsafe { pidfd_get_info(process.as_raw_fd(), &raw mut info) }.ok()?;
    (info.mask & WANT_EXIT != 0).then_some(info.exit_code)
}

#[cfg(not(target_os = "linux"))]
fn open(_: i32) -> Option<OwnedFd> {
    None
}

#[cfg(not(target_os = "linux"))]
fn send_to(_: &OwnedFd, _: Signal) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resize(_: i32, _: i32, _: u32) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn waiting(_: i32, _: i32) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn exit_status(_: &OwnedFd) -> Option<i32> {
    None
}
