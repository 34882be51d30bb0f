//! What the harness needs from the system: process descriptors, limits, signals, access to the pipes of other processes. If
//! the system does not have one of them, the function returns `None` or `false`, and the caller does without it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc::rlim_t;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;
pub(crate) use system::{
    bytes_in_pipe, possible_pipe_capacity, send_to, set_pipe_capacity, wait_status,
};

/// Returns freed memory to the system instead of leaving it to the allocator. Useful after large tables were dropped whose
/// memory the next ones cannot reuse.
pub(crate) fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes a number and may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The environment variable that makes the harness do without process descriptors and `/proc`, as it must on systems other
/// than Linux. It still reads the end of a process from `/proc`, since other systems have kqueue for that.
pub const PORTABLE_VARIABLE: &str = "GIPC_HARNESS_PORTABLE";

/// Whether [`PORTABLE_VARIABLE`] is set.
pub(crate) fn is_portable_forced() -> bool {
    static IS_FORCED: OnceLock<bool> = OnceLock::new();
    *IS_FORCED.get_or_init(|| std::env::var_os(PORTABLE_VARIABLE).is_some())
}

/// The name of a signal: `SIGKILL` for 9.
#[must_use]
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// Opens a descriptor that becomes readable when the process has ended. `None` if the process is gone, or if the system has
/// no such descriptors.
pub(crate) fn open_process(pid: i32) -> Option<OwnedFd> {
    if is_portable_forced() { None } else { system::open(pid) }
}

/// Registers such a descriptor with the runtime.
pub(crate) fn register(process: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: the `AsyncFd` owns the descriptor, and no other code uses it.
    unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }.ok()
}

/// Sends SIGKILL to a process, unless `is_same_process` says that its pid now belongs to another process.
pub(crate) fn kill(pid: i32, is_same_process: impl Fn() -> bool) {
    let process = open_process(pid);
    if !is_same_process() {
        return;
    }
    if let Some(process) = process {
        send_to(&process, pid, Signal::SIGKILL);
    } else {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Whether a process is a child of this one. A child that has ended still counts until it is reaped.
pub(crate) fn is_own_child(pid: i32) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // The type is signed on some systems. nix has this call on some systems only.
    libc::id_t::try_from(pid).is_ok_and(|id| {
        // SAFETY: the call writes at most one siginfo_t to the address, which nothing reads.
        unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), flags) == 0 }
    })
}

/// Raises the limit of open descriptors of this process and its children to what the system allows, at most 65536. A
/// thousand children need several thousand, and the usual limit is 1024.
pub fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let set = |limit| setrlimit(Resource::RLIMIT_NOFILE, limit, hard).is_ok();
        // If the system refuses every limit, a scenario that needs more descriptors fails with EMFILE.
        let _ = highest_accepted(soft, hard.min(65_536), set);
    }
}

/// Tries `wanted`, and halves it while it is refused and above `current`: macOS refuses more than its own maximum, whatever
/// the hard limit says. Returns the accepted limit.
fn highest_accepted(
    current: rlim_t,
    mut wanted: rlim_t,
    mut accepts: impl FnMut(rlim_t) -> bool,
) -> Option<rlim_t> {
    while wanted > current {
        if accepts(wanted) {
            return Some(wanted);
        }
        wanted /= 2;
    }
    None
}

/// Creates a pipe that children do not inherit. Returns its reading end and its writing end. Not every system can do this in
/// one call, so no other thread may start a process meanwhile.
pub(crate) fn close_on_exec_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe()?;
    for end in [&reader, &writer] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((reader, writer))
}

/// Gives SIGCHLD its default disposition. If it is ignored, which passes through exec, the system discards the exit codes of
/// children.
pub fn reset_sigchld() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let _ = unsafe { sigaction(Signal::SIGCHLD, &default) };
}

/// Makes this process the parent of all orphans among its descendants. Does nothing on systems other than Linux.
pub(crate) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Closes every descriptor above 2, since the program that started this one may have leaked some.
pub(crate) fn close_inherited_fds() {
    // On other systems /dev/fd lists the same few names, whatever is open.
    let lists_open = cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));
    let listed = std::fs::read_dir("/dev/fd").ok().filter(|_| lists_open).map(|entries| {
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.flatten().filter_map(number).collect::<Vec<i32>>()
    });
    let all_possible = || {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        (3..i32::try_from(limit.min(65_536)).unwrap_or(1024)).collect()
    };
    for number in listed.unwrap_or_else(all_possible) {
        if number > 2 {
            let _ = nix::unistd::close(number);
        }
    }
}

/// Resets the signal mask and all handlers to their defaults, whatever was inherited. Then installs a handler that does
/// nothing for the signals with which a terminal ends its programs. They are caught rather than ignored, because exec resets
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
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does nothing, so it may run at any moment.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::highest_accepted;

    #[test]
    fn a_descriptor_limit_that_the_system_refuses_is_halved_until_it_is_accepted() {
        let mut tried = Vec::new();
        let accepted = highest_accepted(256, 65_536, |limit| {
            tried.push(limit);
            limit <= 10_240
        });
        assert_eq!((accepted, tried), (Some(8192), vec![65_536, 32_768, 16_384, 8192]));
        assert_eq!(highest_accepted(256, 65_536, |_| false), None);
        assert_eq!(highest_accepted(1024, 1024, |_| true), None, "nothing is to be raised");
    }
}
