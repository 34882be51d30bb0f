//! Linux: pidfd, and the pipes of other processes in `/proc`.

use super::is_portable_forced;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

pub(super) fn open(pid: i32) -> Option<OwnedFd> {
    // SAFETY: the call takes two numbers and returns a descriptor or an error.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    let number = i32::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: the system call has just returned this descriptor, so nothing else owns it. It is close-on-exec.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends a signal to a process. If the process has ended, it gets no signal, which is not an error. Returns false if the
/// system does not allow it.
pub(crate) fn send_to(process: &OwnedFd, _: i32, signal: Signal) -> bool {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    let (process, signal) = (process.as_raw_fd(), signal as libc::c_int);
    // SAFETY: the null pointer is allowed; with it the call does the same as kill(2).
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, no_info, 0) };
    sent == 0 || Errno::last() == Errno::ESRCH
}

/// Opens the pipe behind a descriptor of another process for reading, whichever end the descriptor is.
///
/// This adds a reader for a moment, which wakes no process while the pipe has other readers and writers.
fn open_reader(pid: i32, descriptor: i32) -> io::Result<File> {
    if is_portable_forced() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = format!("/proc/{pid}/fd/{descriptor}");
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The number of bytes in the pipe behind a descriptor of another process.
pub(crate) fn bytes_in_pipe(pid: i32, descriptor: i32) -> Option<u64> {
    nix::ioctl_read_bad!(fionread, libc::FIONREAD, libc::c_int);
    let reader = open_reader(pid, descriptor).ok()?;
    let mut bytes = 0;
    // SAFETY: the request writes one int to the address of `bytes`.
    unsafe { fionread(reader.as_raw_fd(), &raw mut bytes) }.ok()?;
    u64::try_from(bytes).ok()
}

/// Sets the capacity of the pipe behind a descriptor of another process, in bytes, as far as the system allows it.
pub(crate) fn set_pipe_capacity(pid: i32, descriptor: i32, bytes: u32) {
    let reader = open_reader(pid, descriptor);
    // If the system refuses, the pipe keeps its capacity: a scenario must pass with any capacity.
    if let (Ok(reader), Ok(bytes)) = (reader, i32::try_from(bytes)) {
        let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(bytes));
    }
}

/// The capacity in bytes that a pipe gets when it is set to this many; `None` if the system refuses.
pub(crate) fn possible_pipe_capacity(bytes: u32) -> Option<u32> {
    let (reader, _writer) = pipe2(OFlag::O_CLOEXEC).ok()?;
    let set = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(i32::try_from(bytes).ok()?)).ok()?;
    u32::try_from(set).ok()
}

/// Reads the wait status of a process with `PIDFD_GET_INFO`, which the C library does not know yet.
pub(crate) fn wait_status(process: &OwnedFd) -> Option<i32> {
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
