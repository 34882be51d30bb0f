//! What only some systems have: process descriptors, subreapers, access to the pipes of other processes. On other systems
//! the functions return `None` or `false`, and the caller does without.

use crate::trace::ProcessExit;
use nix::errno::Errno;
use nix::sys::signal::{SigAction, SigHandler, SigSet, Signal, sigaction};
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// A descriptor of a process, which never refers to another process that was given the same pid.
pub struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Waits until the process has ended; it may not be reaped yet. Cancel-safe.
    pub async fn wait_for_exit(&self) {
        // An error only means that the runtime is shutting down.
        let _ = self.0.readable().await;
    }
}

/// Opens a descriptor of a process; `None` if the process is gone or the system has no such descriptors.
#[must_use]
pub fn pidfd(pid: i32) -> Option<PidFd> {
    // SAFETY: the `AsyncFd` owns the descriptor, and no other code uses it.
    unsafe { AsyncFd::register_with_interest(open(pid)?, tokio::io::Interest::READABLE) }
        .ok()
        .map(PidFd)
}

/// How a process ended that is not a child of the caller. Known once its parent has reaped it, on Linux 6.15 and later.
#[must_use]
pub fn exit_status(process: &PidFd) -> Option<ProcessExit> {
    let status = wait_status(process.0.get_ref())?;
    match (libc::WIFEXITED(status), libc::WIFSIGNALED(status)) {
        (true, _) => Some(ProcessExit::Code(libc::WEXITSTATUS(status))),
        (_, true) => Some(ProcessExit::Signal(signal_name(libc::WTERMSIG(status)))),
        _ => None,
    }
}

/// The name of a signal: `SIGKILL` for 9.
#[must_use]
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// Sends SIGKILL to a process, unless `is_same_process` says that its pid belongs to another process by now.
pub(crate) fn kill(pid: i32, is_same_process: impl Fn() -> bool) {
    let process = open(pid);
    if !is_same_process() {
        return;
    }
    if let Some(process) = process {
        send_to(&process, Signal::SIGKILL);
    } else {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Sends a signal to a process. A process that has ended does not get it, which is no error. Returns false if the system
/// does not allow it.
pub(crate) fn send(process: &PidFd, signal: Signal) -> bool {
    send_to(process.0.get_ref(), signal)
}

/// Raises the limit of open descriptors of this process and its children to what the system allows, at most 65536: a
/// thousand children need several thousand, and the usual limit is 1024.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // If the system refuses, a scenario that needs more fails with EMFILE.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536).max(soft), hard);
    }
}

/// Makes this process the parent of all orphans among its descendants. Does nothing on other systems than Linux.
pub(crate) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Closes every descriptor above 2, since the program that started this one may have leaked some.
pub(crate) fn close_inherited_fds() {
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

/// Resets the signal mask and all handlers to their defaults, whatever was inherited, and installs a handler that does
/// nothing for the signals with which a terminal ends its programs. They are caught and not ignored, because exec resets
/// only caught signals.
pub(crate) fn reset_signals() -> nix::Result<()> {
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
        // SAFETY: the handler does nothing, so it may run at any moment.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn open(pid: i32) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the call takes two numbers and returns a descriptor or an error.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    let number = i32::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: the system call has just returned this descriptor, so nothing else owns it. It is close-on-exec.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(target_os = "linux")]
fn send_to(process: &OwnedFd, signal: Signal) -> bool {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    let (process, signal) = (process.as_raw_fd(), signal as libc::c_int);
    // SAFETY: the null pointer is allowed; with it the call does the same as kill(2).
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, no_info, 0) };
    sent == 0 || Errno::last() == Errno::ESRCH
}

/// Opens the pipe behind a descriptor of another process for reading, whichever end the descriptor is.
///
/// This adds a reader for a moment, which wakes no process as long as the pipe has other readers and writers.
#[cfg(target_os = "linux")]
fn open_reader(pid: i32, descriptor: i32) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = format!("/proc/{pid}/fd/{descriptor}");
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The number of bytes in the pipe behind a descriptor of another process.
#[cfg(target_os = "linux")]
pub(crate) fn bytes_in_pipe(pid: i32, descriptor: i32) -> Option<u64> {
    nix::ioctl_read_bad!(fionread, libc::FIONREAD, libc::c_int);
    let reader = open_reader(pid, descriptor).ok()?;
    let mut bytes = 0;
    // SAFETY: the request writes one int to the address of `bytes`.
    unsafe { fionread(reader.as_raw_fd(), &raw mut bytes) }.ok()?;
    u64::try_from(bytes).ok()
}

/// Sets the capacity of the pipe behind a descriptor of another process, in bytes, as far as the system allows it.
#[cfg(target_os = "linux")]
pub(crate) fn set_pipe_capacity(pid: i32, descriptor: i32, bytes: u32) {
    use nix::fcntl::{FcntlArg, fcntl};
    let reader = open_reader(pid, descriptor);
    // If the system refuses, the pipe keeps its capacity: a scenario must hold with any.
    if let (Ok(reader), Ok(bytes)) = (reader, i32::try_from(bytes)) {
        let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(bytes));
    }
}

/// Reads the wait status of a process with `PIDFD_GET_INFO`, which the C library does not know yet.
#[cfg(target_os = "linux")]
fn wait_status(process: &OwnedFd) -> Option<i32> {
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
    // SAFETY: the structure has the length that the request number encodes. It is the first version of the structure,
    // which every kernel that knows the request fills.
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
pub(crate) fn set_pipe_capacity(_: i32, _: i32, _: u32) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bytes_in_pipe(_: i32, _: i32) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn wait_status(_: &OwnedFd) -> Option<i32> {
    None
}
