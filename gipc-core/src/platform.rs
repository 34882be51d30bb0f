//! What differs between Unix systems, and the few calls that no safe interface has.
//!
//! All of it concerns the first moments of a child, when it has one thread and nothing of its own is open yet.

use nix::cmsg_space;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::env;
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::unix::pipe;

/// How many descriptors go in one message; Linux takes 253, others less.
pub(crate) const DESCRIPTORS_A_MESSAGE: usize = 200;

/// The program that runs now. Linux has a name for it that holds even when the file was replaced since.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.into()) } else { env::current_exe() }
}

/// Reads a variable of the environment and removes it, so that programs started from here do not see it.
pub(crate) fn take_variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: called from `init`, whose contract is that it is the first statement of main: one thread runs.
    unsafe { env::remove_var(name) };
    Some(value)
}

/// Gives this process the signal state of a program started from a terminal, but for SIGPIPE, which stays ignored:
/// mask and ignored signals are inherited through exec, and nobody knows from whom.
pub(crate) fn clean_signals() -> nix::Result<()> {
    SigSet::empty().thread_set_mask()?;
    for one in Signal::iterator() {
        match one {
            Signal::SIGKILL | Signal::SIGSTOP => {}
            // Rust's own handlers, which tell of a stack that overflowed.
            Signal::SIGSEGV | Signal::SIGBUS => {}
            // SAFETY: no handler of ours is taken away, since exec has just removed all handlers.
            Signal::SIGPIPE => drop(unsafe { signal(one, SigHandler::SigIgn) }?),
            // SAFETY: as above.
            _ => drop(unsafe { signal(one, SigHandler::SigDfl) }?),
        }
    }
    Ok(())
}

/// Closes every descriptor above 2 but one. Whatever is open now was inherited by accident: descriptors that belong
/// here come later, through the socket that is kept.
pub(crate) fn close_strangers(kept: RawFd) {
    let listed = std::fs::read_dir("/dev/fd").map(|entries| {
        let numbers =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.collect::<Vec<RawFd>>()
    });
    // Where the system does not list them, the usual range is tried.
    for descriptor in listed.unwrap_or_else(|_| (3..1024).collect()) {
        if descriptor > 2 && descriptor != kept {
            // One of them was the listing itself, and is closed already.
            let _ = nix::unistd::close(descriptor);
        }
    }
}

/// Receives the descriptors of one message, which carries one byte beside them. None: the sender is gone.
pub(crate) fn receive(socket: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd"
    ))]
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd"
    )))]
    let flags = MsgFlags::empty();
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([RawFd; DESCRIPTORS_A_MESSAGE]);
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut received = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: the system has just made it for this process, and nobody else knows the number.
                let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                #[cfg(not(any(
                    target_os = "linux",
                    target_os = "android",
                    target_os = "freebsd",
                    target_os = "netbsd"
                )))]
                nix::fcntl::fcntl(
                    &owned,
                    nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
                )?;
                received.push(owned);
            }
        }
    }
    Ok(received)
}

/// One direction of a socket as if it were a pipe. Watching a socket as a whole wakes its task whenever the other side
/// has read something, which costs a child several turns of its parent's loop.
pub(crate) fn listener(socket: UnixStream) -> io::Result<pipe::Receiver> {
    socket.set_nonblocking(true)?;
    pipe::Receiver::from_owned_fd_unchecked(socket.into())
}

/// The other direction.
pub(crate) fn speaker(socket: UnixStream) -> io::Result<pipe::Sender> {
    socket.set_nonblocking(true)?;
    pipe::Sender::from_owned_fd_unchecked(socket.into())
}

/// Takes the socket away from descriptor 0, and leaves the null device there.
pub(crate) fn take_stdin() -> io::Result<UnixStream> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let null = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    Ok(control.into())
}
