//! Starts a child: this very program anew, with the descriptors that it is given. Close-on-exec is taken off them in
//! `pre_exec`, as people do. The only place here that tells the compiler to look away.

use crate::ends::{End, Ends, shared};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::env;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Starts `role` with these arguments, which name these descriptors.
pub(crate) fn start(role: &str, arguments: &[String], given: Vec<RawFd>) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(role).args(arguments);
    // SAFETY: between fork and exec only `fcntl` is called, and memory is only read.
    unsafe {
        command.pre_exec(move || {
            for fd in &given {
                let fd = BorrowedFd::borrow_raw(*fd);
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Keeps an end that came with the start of this process. That programs which are started here inherit it too is what
/// most forget; the variant `cloexec` does not.
pub(crate) fn take(argument: &str, ends: &Ends) -> io::Result<()> {
    let wrong = || io::Error::other(format!("not an argument of this program: {argument}"));
    let own = |number: &str| -> io::Result<OwnedFd> {
        let number: RawFd = number.parse().map_err(|_| wrong())?;
        // SAFETY: the parent left it open for this process, and named it once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        if env::var_os("ADAPTER_ADOPT").is_some_and(|how| how == "cloexec") {
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
