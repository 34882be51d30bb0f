//! The signals of a process according to `/proc`: which are pending, blocked, caught and ignored.

use super::platform::is_portable_forced;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;

/// Sets of signals, each as the kernel's bit mask: bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalMasks {
    /// The signals that were sent to the process or one of its threads and not yet delivered.
    pub pending: u64,
    /// The signals that every thread blocks, so that a signal to the process stays pending.
    pub blocked: u64,
    /// The signals that have a handler.
    pub caught: u64,
    /// The signals that are ignored.
    pub ignored: u64,
}

impl SignalMasks {
    /// Reads the masks of a process; `None` if the process is gone or is not shown.
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        if is_portable_forced() {
            return None;
        }
        let mut masks = Self { blocked: u64::MAX, ..Self::default() };
        let mut threads = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread that ends between the listing and this call is left out.
            let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
            let mask = |name: &str| {
                let bits = status.lines().find_map(|line| line.strip_prefix(name));
                bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
            };
            threads += 1;
            masks.pending |= mask("SigPnd:") | mask("ShdPnd:");
            masks.blocked &= mask("SigBlk:");
            (masks.caught, masks.ignored) = (mask("SigCgt:"), mask("SigIgn:"));
        }
        (threads > 0).then_some(masks)
    }
}

/// The names of the signals in a mask, without those that have none.
#[must_use]
pub fn names(mask: u64) -> BTreeSet<String> {
    let in_mask = Signal::iterator().filter(|signal| mask & (1 << (*signal as i32 - 1)) != 0);
    in_mask.map(|signal| signal.as_str().to_owned()).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::proc::process_tree;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    use std::process::Command;

    #[test]
    fn a_signal_to_a_stopped_process_is_pending() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("every system has it");
        let pid = i32::try_from(child.id()).expect("a small number");
        let send = |signal| kill(Pid::from_raw(pid), signal).expect("it was not reaped");
        send(Signal::SIGSTOP);
        while process_tree::stat(pid).expect("it was not reaped").state != 'T' {
            std::thread::yield_now();
        }
        send(Signal::SIGUSR2);
        let masks = SignalMasks::read(pid).expect("it was not reaped");
        child.kill().expect("it was not reaped");
        child.wait().expect("it has ended");
        assert_eq!(names(masks.pending), BTreeSet::from(["SIGUSR2".to_owned()]));
        assert_eq!(names(masks.caught), BTreeSet::new());
    }
}
