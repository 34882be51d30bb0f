//! Starts a child: forks, and executes this program again with exactly the given descriptors. `start` returns when the
//! child holds no other descriptors, or when the start has failed and no child is left.

use crate::faults::{self, fault};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null;

/// Starts `program`. The first of `arguments` is its name; the child inherits the descriptors `given` under the same
/// numbers, and `streams` as its standard streams. Without one, it reads from `/dev/null`, and writes where this process
/// does. With `in_group` it is the first of a new process group, which exists when `start` returns.
pub(crate) fn start(
    program: &CStr,
    arguments: &[CString],
    given: &[RawFd],
    streams: [Option<RawFd>; 3],
    in_group: bool,
) -> Result<Pid, Errno> {
    // The child must not allocate, so the argument vector is built before the fork.
    let mut argv: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(null());
    // A successful exec closes the child's end of this pipe. If the start fails, the child writes its errno there.
    let (failure, status) = pipe2(OFlag::O_CLOEXEC).inspect_err(|_| {
        if fault!("descriptor-per-failed-start") {
            faults::leak_descriptor();
        }
        if fault!("zombie-per-failed-start") {
            faults::leave_zombie();
        }
    })?;

    // Signals stay blocked between fork and exec, so that no handler of this process runs in the child.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // Before the fork, since the first question reads the environment.
    let _ = fault!("");
    // SAFETY: the child calls only async-signal-safe functions, and never returns from `exec_child`.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        // SAFETY: this is the child, and `argv` ends with a null pointer.
        unsafe { exec_child(program, &argv, given, streams, in_group, status.as_raw_fd()) }
    }
    mask.thread_set_mask()?;
    drop(status);
    let Ok(ForkResult::Parent { child }) = forked else {
        return Err(forked.err().unwrap_or(Errno::EAGAIN));
    };

    let mut code = [0; 4];
    if File::from(failure).read_exact(&mut code).is_err() {
        return Ok(child);
    }
    while waitpid(child, None) == Err(Errno::EINTR) {}
    Err(Errno::from_raw(i32::from_ne_bytes(code)))
}

/// Resets signals and stdin in the forked child and executes the program; if that fails, reports the errno and exits.
///
/// # Safety
///
/// Call this only in a child right after its fork, with all signals blocked; `argv` must end with a null pointer.
unsafe fn exec_child(
    program: &CStr,
    argv: &[*const c_char],
    given: &[RawFd],
    streams: [Option<RawFd>; 3],
    in_group: bool,
    status: RawFd,
) -> ! {
    // SAFETY: these calls are async-signal-safe, and all pointers are to memory of the caller or to constants.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            // The calls for SIGKILL, SIGSTOP and the signals that libc reserves fail, which is harmless.
            if fault!("ignored-signals-stay-ignored") && signal != libc::SIGPIPE {
                continue;
            }
            libc::signal(
                signal,
                if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL },
            );
        }
        let mut empty = std::mem::zeroed();
        libc::sigemptyset(&mut empty);
        if fault!("children-begin-with-sigterm-blocked") {
            libc::sigaddset(&raw mut empty, libc::SIGTERM);
        }
        if !fault!("children-begin-with-all-blocked") {
            libc::sigprocmask(libc::SIG_SETMASK, &empty, std::ptr::null_mut());
        }

        // The child must not read its parent's stdin. `open` returns the lowest free number, which is the one just
        // closed.
        libc::close(libc::STDIN_FILENO);
        libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);

        // `dup2` clears close-on-exec. All pipes have higher numbers than the standard streams.
        let numbers = libc::STDIN_FILENO..;
        let is_set =
            |(fd, number): (Option<RawFd>, RawFd)| fd.is_none_or(|fd| libc::dup2(fd, number) != -1);
        let are_set = streams.into_iter().zip(numbers).all(is_set);

        let is_placed = !in_group || libc::setpgid(0, 0) == 0;
        if are_set && is_placed && given.iter().all(|fd| libc::fcntl(*fd, libc::F_SETFD, 0) == 0) {
            libc::execv(program.as_ptr(), argv.as_ptr());
        }
        let code = Errno::last_raw().to_ne_bytes();
        libc::write(status, code.as_ptr().cast(), code.len());
        libc::_exit(127)
    }
}
