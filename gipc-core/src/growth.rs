//! Makes pipes larger than the default size, for large messages: with 256 KiB, a transfer takes a tenth less processor time.
//!
//! The system limits the memory of all pipes of a user, and gives new pipes less than the default size once that is used up.
//! So only a few pipes of a process are large at a time, and a refusal changes nothing.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many pipes of this process may be large at the same time.
const MOST: usize = 16;

static GROWN: AtomicUsize = AtomicUsize::new(0);

/// Whether a pipe was made larger. Such a pipe is counted until this is dropped.
pub(crate) struct Growth(bool);

impl Growth {
    /// Makes a pipe larger if it has the default size. A pipe of another size is left alone, since that size was chosen for
    /// it.
    pub(crate) fn of(pipe: impl AsFd) -> Self {
        let count = |count| (count < MOST).then_some(count + 1);
        let is_counted = GROWN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok();
        let growth = Self(is_counted && grow(pipe));
        if is_counted && !growth.0 {
            GROWN.fetch_sub(1, Ordering::Relaxed);
        }
        growth
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        if self.0 {
            GROWN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn grow(pipe: impl AsFd) -> bool {
    use nix::fcntl::FcntlArg::{F_GETPIPE_SZ, F_SETPIPE_SZ};
    use nix::fcntl::fcntl;
    const DEFAULT: i32 = 1 << 16;
    fcntl(&pipe, F_GETPIPE_SZ) == Ok(DEFAULT) && fcntl(&pipe, F_SETPIPE_SZ(4 * DEFAULT)).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn grow(_pipe: impl AsFd) -> bool {
    false
}
