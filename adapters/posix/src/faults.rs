//! Deliberate faults, of which the variable `GIPC_FAULT` chooses one. They take effect only in a build with the feature
//! `faults`; in any other build `fault!` is the constant `false`. `faults.toml` describes each of them, and
//! `gipc-harness mutants` runs the suite on each.

use nix::libc;
use std::collections::BTreeSet;
use std::fs::File;
use std::mem::forget;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Whether a fault takes effect here. With a condition, the condition gets how often this process has passed the place,
/// this time included.
macro_rules! fault {
    ($name:literal) => {
        crate::faults::is_chosen($name)
    };
    ($name:literal, $condition:expr) => {
        crate::faults::is_chosen($name) && crate::faults::passes($condition)
    };
}
pub(crate) use fault;

#[cfg(feature = "faults")]
pub(crate) fn is_chosen(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("GIPC_FAULT").unwrap_or_default());
    *CHOSEN == name
}

#[cfg(not(feature = "faults"))]
pub(crate) const fn is_chosen(_: &str) -> bool {
    false
}

/// Counts this call, and asks the condition with the count.
pub(crate) fn passes(condition: fn(u64) -> bool) -> bool {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    condition(COUNT.fetch_add(1, Relaxed) + 1)
}

static MARKS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a text, and returns whether it was new.
pub(crate) fn mark(text: &str) -> bool {
    MARKS.lock().is_ok_and(|mut marks| marks.insert(text.to_owned()))
}

/// Forgets a text, and returns whether it was remembered.
pub(crate) fn unmark(text: &str) -> bool {
    MARKS.lock().is_ok_and(|mut marks| marks.remove(text))
}

/// Whether a text is remembered.
pub(crate) fn is_marked(text: &str) -> bool {
    MARKS.lock().is_ok_and(|marks| marks.contains(text))
}

/// Lets the loop sleep as if nothing ever came of this descriptor again.
pub(crate) fn stop_watching(fd: RawFd) {
    mark(&format!("unwatched {fd}"));
}

/// Whether the loop ignores a descriptor.
pub(crate) fn is_unwatched(fd: RawFd) -> bool {
    is_marked(&format!("unwatched {fd}"))
}

/// Opens a descriptor that is never closed.
pub(crate) fn leak_descriptor() {
    forget(File::open("/dev/null"));
}

/// Restores the default action of SIGPIPE, which Rust has replaced.
pub(crate) fn let_sigpipe_kill() {
    // SAFETY: the default action has no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Closes a descriptor that has another owner.
pub(crate) fn close_number(fd: RawFd) {
    // SAFETY: this breaks the ownership of descriptors on purpose.
    unsafe { libc::close(fd) };
}

/// Creates a child that ends at once and is never reaped.
pub(crate) fn leave_zombie() {
    // SAFETY: the child calls nothing but `_exit`.
    unsafe {
        if libc::fork() == 0 {
            libc::_exit(0);
        }
    }
}

/// Blocks this process until a descriptor is ready for these events of `poll`.
pub(crate) fn block_until(fd: RawFd, events: i16) {
    let mut asked = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the pointer is to one valid entry.
    unsafe { libc::poll(&raw mut asked, 1, -1) };
}

/// Asks again and again, without sleep, until a descriptor is ready for these events of `poll`.
pub(crate) fn spin_until(fd: RawFd, events: i16) {
    let mut asked = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the pointer is to one valid entry.
    while unsafe { libc::poll(&raw mut asked, 1, 0) } == 0 {}
}

/// Whether the other side of a pipe is closed.
pub(crate) fn is_hung_up(fd: RawFd) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one valid entry.
    unsafe { libc::poll(&raw mut asked, 1, 0) };
    asked.revents & libc::POLLHUP != 0
}

/// Whether this process has a writer of the same pipe: another descriptor of it.
pub(crate) fn has_own_writer(reader: RawFd) -> bool {
    let target = |fd: RawFd| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let pipe = target(reader);
    (3..64).any(|fd| fd != reader && pipe.is_some() && target(fd) == pipe)
}

/// Sets or clears close-on-exec.
pub(crate) fn set_inheritable(fd: RawFd, inheritable: bool) {
    let flags = if inheritable { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: F_SETFD touches no memory.
    unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
}
