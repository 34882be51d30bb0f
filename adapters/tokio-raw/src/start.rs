//! The start of a child: this program again, which inherits descriptors because close-on-exec is cleared in `pre_exec`,
//! as is usual. This is the only file of the adapter with unsafe code.

use crate::ends::{End, Ends, shared};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::env;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Starts a child with this role, in a process group of its own if `in_group` says so. The arguments name the descriptors
/// that it inherits.
pub(crate) fn start(
    role: &str,
    arguments: &[String],
    fds: Vec<RawFd>,
    in_group: bool,
) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(role).args(arguments);
    if in_group {
        command.process_group(0);
    }
    // SAFETY: between fork and exec only `fcntl` is called, and memory is only read.
    unsafe {
        command.pre_exec(move || {
            for fd in &fds {
                let fd = BorrowedFd::borrow_raw(*fd);
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Stores a pipe end that the parent passed in an argument. Programs that this process starts inherit the descriptor
/// too, which most programs overlook; the variant `cloexec` of the adapter prevents it.
pub(crate) fn receive(argument: &str, ends: &Ends) -> io::Result<()> {
    let wrong = || io::Error::other(format!("not an argument of this program: {argument}"));
    let own = |number: &str| -> io::Result<OwnedFd> {
        let number: RawFd = number.parse().map_err(|_| wrong())?;
        // SAFETY: the parent left the descriptor open for this process, and names it in one argument only.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        if env::var_os("ADAPTER_ADOPT").is_some_and(|variant| variant == "cloexec") {
            fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        Ok(fd)
    };
    let (name, end) = argument.rsplit_once('=').ok_or_else(wrong)?;
    if let Some((receiver, sender)) = end.split_once(',') {
        let receiver = pipe::Receiver::from_owned_fd(own(receiver)?)?;
        ends.keep_both(name, receiver, pipe::Sender::from_owned_fd(own(sender)?)?);
    } else if let Some(number) = end.strip_prefix('r') {
        ends.keep(name, End::Receiver(shared(pipe::Receiver::from_owned_fd(own(number)?)?)));
    } else {
        let number = end.strip_prefix('w').ok_or_else(wrong)?;
        ends.keep(name, End::Sender(shared(pipe::Sender::from_owned_fd(own(number)?)?)));
    }
    Ok(())
}
