//! Signals of this process: counting, ignoring and blocking them.
//!
//! The handler only adds to a counter, so it works with and without an event loop, and a signal is counted before the
//! interrupted call goes on.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::c_int;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of trapped signals that have arrived.
static TRAPPED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: c_int) {
    TRAPPED.fetch_add(1, Relaxed);
}

/// Counts this signal from now on. Replaces an earlier handler of it. The system restarts the calls that the signal
/// interrupts.
pub(crate) fn trap(name: &str) -> io::Result<()> {
    set(name, SigHandler::Handler(count))
}

pub(crate) fn ignore(name: &str) -> io::Result<()> {
    set(name, SigHandler::SigIgn)
}

/// Blocks this signal in the calling thread, and so in the children that this thread starts.
pub(crate) fn block(name: &str) -> io::Result<()> {
    Ok(SigSet::from(Signal::from_str(name)?).thread_block()?)
}

pub(crate) fn trapped() -> u64 {
    TRAPPED.load(Relaxed)
}

fn set(name: &str, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the only handler here adds to an atomic number, which is allowed at any moment.
    unsafe { sigaction(Signal::from_str(name)?, &action) }?;
    Ok(())
}
