//! What the kernel shows about one thread: its state, its context switches, its system call and its alarm handler.

use std::fs;
use std::io;

/// One thread, as `/proc/PID/task/TID` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ThreadState {
    /// The state letter: `R`, `S`, `T`, …
    pub(super) state: char,
    /// The system call that the thread is in, with its arguments, or `running`.
    pub(super) syscall: String,
    /// Whether an alarm may wake the thread. The system does not show alarms, only which processes handle them.
    pub(super) handles_alarms: bool,
    /// How often the thread was switched away from (voluntarily and not) and switched to.
    switches: [u64; 3],
}

impl ThreadState {
    /// The state of a thread that sleeps in this call, in the format of the kernel.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn asleep_in(syscall: &str) -> Self {
        Self { state: 'S', syscall: syscall.to_owned(), handles_alarms: false, switches: [0; 3] }
    }

    /// Reads the state of a thread.
    pub(super) fn read(pid: i32, tid: i32) -> io::Result<Self> {
        let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}"));
        let status = file("status")?;
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let number = |name: &str| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let signals = |name: &str| {
            field(name).and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0)
        };
        let schedstat = file("schedstat").unwrap_or_default();
        let times_scheduled = schedstat.split_ascii_whitespace().nth(2);
        Ok(Self {
            state: field("State:").and_then(|state| state.chars().next()).unwrap_or('?'),
            switches: [
                number("voluntary_ctxt_switches:"),
                number("nonvoluntary_ctxt_switches:"),
                times_scheduled.and_then(|text| text.parse().ok()).unwrap_or(0),
            ],
            // A zombie thread is in no call.
            syscall: undo_restart_syscall(file("syscall")?.trim_end(), || file("wchan")),
            handles_alarms: handles_alarms(signals("SigCgt:"), signals("SigIgn:")),
        })
    }
}

/// Replaces `restart_syscall` by the poll that it continues, with the arguments of the poll.
///
/// A poll that SIGSTOP interrupted continues under the number of `restart_syscall`. So does a sleep. The kernel function in
/// which the thread sleeps shows which of the two it is.
fn undo_restart_syscall(syscall: &str, sleeps_in: impl Fn() -> io::Result<String>) -> String {
    let is_poll = || sleeps_in().is_ok_and(|place| place.starts_with("poll_schedule_timeout"));
    let poll = RESTART_AND_POLL.and_then(|[restart, poll]| {
        let arguments = syscall.strip_prefix(&format!("{restart} "))?;
        is_poll().then(|| format!("{poll} {arguments}"))
    });
    poll.unwrap_or_else(|| syscall.to_owned())
}

/// The numbers of `restart_syscall` and `poll`, on systems that have a plain `poll`.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "arm", target_arch = "s390x")
))]
const RESTART_AND_POLL: Option<[libc::c_long; 2]> =
    Some([libc::SYS_restart_syscall, libc::SYS_poll]);
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "arm", target_arch = "s390x")
)))]
const RESTART_AND_POLL: Option<[libc::c_long; 2]> = None;

/// Whether a process that catches and ignores these sets of signals may have set an alarm.
///
/// The runtime of Go catches every signal, and Ruby catches every signal that ends a process, so a handler for SIGALRM
/// proves nothing in these languages. The program may have chosen to ignore some of those signals.
fn handles_alarms(caught: u64, ignored: u64) -> bool {
    let contains = |set: u64, signal: libc::c_int| set & (1 << (signal - 1)) != 0;
    let is_handled = |signal: libc::c_int| contains(caught | ignored, signal);
    let go = [libc::SIGPROF, libc::SIGVTALRM, libc::SIGIO, libc::SIGXCPU];
    let ruby =
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    let catches_everything = go.into_iter().all(is_handled) || ruby.into_iter().all(is_handled);
    contains(caught, libc::SIGALRM) && !catches_everything
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_poll_that_was_stopped_and_continued_is_still_a_poll() {
        let Some([restart, poll]) = RESTART_AND_POLL else { return };
        let shown = |number| format!("{number} 0x7f 0x1 0xffffffff");
        let resumed = |place: &str| undo_restart_syscall(&shown(restart), || Ok(place.to_owned()));
        assert_eq!(resumed("poll_schedule_timeout.constprop.0"), shown(poll));
        assert_eq!(resumed("hrtimer_nanosleep"), shown(restart));
        let unreadable = || Err(io::ErrorKind::NotFound.into());
        assert_eq!(
            undo_restart_syscall(&shown(libc::SYS_write), unreadable),
            shown(libc::SYS_write)
        );
    }

    #[test]
    fn a_runtime_that_catches_every_signal_has_set_no_alarm() {
        let set = |signals: &[libc::c_int]| signals.iter().fold(0, |all, one| all | 1 << (one - 1));
        let ruby = [libc::SIGALRM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
        let ruby = set(&ruby) | set(&[libc::SIGUSR1]);
        assert!(handles_alarms(set(&[libc::SIGALRM]), 0));
        assert!(handles_alarms(ruby, 0), "SIGUSR2 is missing");
        assert!(!handles_alarms(ruby | set(&[libc::SIGUSR2]), 0));
        assert!(!handles_alarms(ruby, set(&[libc::SIGUSR2])));
        assert!(!handles_alarms(0, set(&[libc::SIGALRM])), "the process ignores SIGALRM");
    }
}
