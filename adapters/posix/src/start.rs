//! Starts a child: fork, and then this very program anew with exactly the descriptors that are given. Comes back when
//! the child holds nothing else, or when there is no child. Does not know what the descriptors are.

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

/// Starts `program` with these arguments, the first of which is its name, and these descriptors under their numbers.
pub(crate) fn start(program: &CStr, arguments: &[CString], given: &[RawFd]) -> Result<Pid, Errno> {
    // All memory is got before the fork.
    let mut argv: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(null());
    // The new program closes its end by starting; if it cannot start, the reason comes instead.
    let (failure, status) = pipe2(OFlag::O_CLOEXEC)?;

    // A signal that comes between fork and exec must wait until no handler of this process can run there.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the child calls only what is safe after a fork, and never returns from `become_new`.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        // SAFETY: this is the child, and `argv` ends with a null pointer.
        unsafe { become_new(program, &argv, given, status.as_raw_fd()) }
    }
    before.thread_set_mask()?;
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

/// Turns the forked child into the new program, or tells why not.
///
/// # Safety
///
/// Only for a child right after its fork, with all signals blocked; `argv` must end with a null pointer.
unsafe fn become_new(program: &CStr, argv: &[*const c_char], given: &[RawFd], status: RawFd) -> ! {
    // SAFETY: these calls are safe between fork and exec; all pointers are to memory of the caller or to constants.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            // Some cannot be changed; they need not be.
            libc::signal(
                signal,
                if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL },
            );
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());

        // Nothing to read there: input is for the parent alone. The lowest free number is what was just closed.
        libc::close(libc::STDIN_FILENO);
        libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);

        if given.iter().all(|fd| libc::fcntl(*fd, libc::F_SETFD, 0) == 0) {
            libc::execv(program.as_ptr(), argv.as_ptr());
        }
        let code = Errno::last_raw().to_ne_bytes();
        libc::write(status, code.as_ptr().cast(), code.len());
        libc::_exit(127)
    }
}
