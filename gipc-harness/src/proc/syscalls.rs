//! What a sleeping thread waits in, and whether a clock may wake it.
//!
//! Reads one thread's call, signals and timers; what follows for a process is `quiet`'s.

use super::snapshot::{Thread, TimerPolicy};
use std::fs;
use std::io;

/// What a thread sleeps in, or why it cannot be said to sleep.
pub(crate) fn wait(pid: i32, thread: &Thread, timers: TimerPolicy) -> Result<String, String> {
    match thread.state {
        'S' => {}
        // Only somebody of the run could continue it, and that somebody is looked at as well.
        'T' => return Ok(STOPPED.into()),
        't' => return Err("somebody debugs it".into()),
        state => return Err(format!("its state is {state}")),
    }
    if thread.alarm && timers == TimerPolicy::Wake {
        return Err("an alarm may wake it".into());
    }
    let words: Vec<&str> = thread.call.split_ascii_whitespace().collect();
    let number: i64 = words.first().and_then(|word| word.parse().ok()).ok_or("it is running")?;
    let argument = |i: usize| {
        let word = words.get(i + 1).and_then(|word| word.strip_prefix("0x"));
        word.and_then(|word| u64::from_str_radix(word, 16).ok()).unwrap_or(0)
    };
    let Some((name, limit)) =
        CALLS.iter().find(|(call, ..)| *call == number).map(|(_, name, limit)| (name, limit))
    else {
        return Err(format!("it waits in a call of which nothing is known here (number {number})"));
    };
    let left = || match limit {
        TimeoutArg::None => Ok(None),
        TimeoutArg::Always => Ok(Some(0)),
        TimeoutArg::Milliseconds(i) => Ok(milliseconds(argument(*i))),
        TimeoutArg::Pointer(i) => seconds(pid, argument(*i)),
        TimeoutArg::Futex if argument(3) == 0 => Ok(None),
        TimeoutArg::Futex if argument(1) & 0x7f == 0 => seconds(pid, argument(3)),
        TimeoutArg::Futex => Ok(Some(0)),
    };
    let waits_for_work = matches!(limit, TimeoutArg::Futex) || *name == "epoll";
    let left = match timers {
        TimerPolicy::Sleep => None,
        TimerPolicy::WakeTheFirst if waits_for_work => None,
        TimerPolicy::Wake | TimerPolicy::WakeTheFirst => left()?,
    };
    match left {
        // Only to the nanosecond is it his; somebody's own minute has begun before.
        Some(WATCHMAN_MS) if name == &"futex" => Ok((*name).to_owned()),
        Some(ms) if ms < HORIZON_MS && !HEARTBEATS_MS.contains(&ms) => {
            Err(format!("a timer is set, in {name}"))
        }
        _ if name.ends_with("(fd") => Ok(format!("{name} {})", argument(0))),
        _ => Ok((*name).to_owned()),
    }
}

/// The call of a thread. A poll that a stop interrupted goes on under another number, with its old arguments; where in
/// the kernel the thread sleeps tells it from a sleep that goes on so.
pub(crate) fn resumed(call: &str, sleeps_in: impl Fn() -> io::Result<String>) -> String {
    let polls = || sleeps_in().is_ok_and(|place| place.starts_with("poll_schedule_timeout"));
    let poll = RESUMED.and_then(|[restart, poll]| {
        let arguments = call.strip_prefix(&format!("{restart} "))?;
        polls().then(|| format!("{poll} {arguments}"))
    });
    poll.unwrap_or_else(|| call.to_owned())
}

/// The number under which an interrupted poll goes on, and its own; elsewhere there is no poll of that kind.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const RESUMED: Option<[i64; 2]> = Some([libc::SYS_restart_syscall, libc::SYS_poll]);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const RESUMED: Option<[i64; 2]> = None;

/// What is said of a process that a signal has stopped, in the place of the call that it sleeps in.
pub(crate) const STOPPED: &str = "stopped";

/// A timer further away than this never rings: libev writes "for ever" as some seventeen days.
const HORIZON_MS: u64 = 24 * 60 * 60 * 1000;

/// Loops that wake up only to look at the clock: libev, before 4.33.
const HEARTBEATS_MS: [u64; 2] = [59_743, 59_744];

/// The watchman of Go's runtime looks around each minute, and does nothing where nothing is to be done.
const WATCHMAN_MS: u64 = 60_000;

#[derive(Clone, Copy)]
enum TimeoutArg {
    None,
    /// It ends, however far away that is.
    Always,
    /// This argument, in milliseconds; negative is for ever.
    Milliseconds(usize),
    /// This argument points to seconds and a fraction, from now; null is for ever.
    Pointer(usize),
    /// The same at argument 3, but from now only if the operation (argument 1) is a plain wait.
    Futex,
}

#[cfg(target_os = "linux")]
const CALLS: &[(i64, &str, TimeoutArg)] = &[
    (libc::SYS_read, "read(fd", TimeoutArg::None),
    (libc::SYS_readv, "readv(fd", TimeoutArg::None),
    (libc::SYS_write, "write(fd", TimeoutArg::None),
    (libc::SYS_writev, "writev(fd", TimeoutArg::None),
    (libc::SYS_recvmsg, "recvmsg(fd", TimeoutArg::None),
    (libc::SYS_recvfrom, "recvfrom(fd", TimeoutArg::None),
    (libc::SYS_sendmsg, "sendmsg(fd", TimeoutArg::None),
    (libc::SYS_sendto, "sendto(fd", TimeoutArg::None),
    (libc::SYS_accept4, "accept(fd", TimeoutArg::None),
    (libc::SYS_wait4, "wait", TimeoutArg::None),
    (libc::SYS_waitid, "wait", TimeoutArg::None),
    (libc::SYS_rt_sigsuspend, "sigsuspend", TimeoutArg::None),
    (libc::SYS_futex, "futex", TimeoutArg::Futex),
    (libc::SYS_ppoll, "poll", TimeoutArg::Pointer(2)),
    (libc::SYS_pselect6, "select", TimeoutArg::Pointer(4)),
    (libc::SYS_epoll_pwait, "epoll", TimeoutArg::Milliseconds(3)),
    (libc::SYS_rt_sigtimedwait, "sigwait", TimeoutArg::Pointer(2)),
    (libc::SYS_clock_nanosleep, "sleep", TimeoutArg::Always),
    (libc::SYS_nanosleep, "sleep", TimeoutArg::Always),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll", TimeoutArg::Milliseconds(3)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", TimeoutArg::Milliseconds(2)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", TimeoutArg::Pointer(4)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", TimeoutArg::None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_accept, "accept(fd", TimeoutArg::None),
];
#[cfg(not(target_os = "linux"))]
const CALLS: &[(i64, &str, TimeoutArg)] = &[];

fn milliseconds(argument: u64) -> Option<u64> {
    // An int in a register: the upper half is not part of it.
    u64::try_from(argument as u32 as i32).ok()
}

/// Reads a time limit, from now, out of the memory of a process; in milliseconds.
fn seconds(pid: i32, address: u64) -> Result<Option<u64>, String> {
    if address == 0 {
        return Ok(None);
    }
    use std::os::unix::fs::FileExt;
    let unreadable = |error: io::Error| format!("a timer is set that cannot be read ({error})");
    let memory = fs::File::open(format!("/proc/{pid}/mem")).map_err(unreadable)?;
    let mut both = [[0; size_of::<libc::time_t>()]; 2];
    memory.read_exact_at(both.as_flattened_mut(), address).map_err(unreadable)?;
    let [seconds, rest] = both.map(libc::time_t::from_ne_bytes);
    let ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    // A fraction, of whatever unit, is more than none.
    Ok(Some(ms.saturating_add(u64::from(rest != 0))))
}

/// Whether who catches these signals may have set an alarm. A runtime that catches whatever there is (Go's), or whatever
/// ends a process (Ruby's), says nothing by that; the program may have chosen to ignore some of them.
pub(crate) fn waits_for_alarms(caught: u64, ignored: u64) -> bool {
    let has = |all: u64, signal: libc::c_int| all & (1 << (signal - 1)) != 0;
    let catches = |signal: libc::c_int| has(caught | ignored, signal);
    let go = [libc::SIGPROF, libc::SIGVTALRM, libc::SIGIO, libc::SIGXCPU];
    let ruby =
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    let whatever = go.into_iter().all(catches) || ruby.into_iter().all(catches);
    has(caught, libc::SIGALRM) && !whatever
}

/// A timer of its own that the process may be waiting for.
pub(crate) fn timer(pid: i32) -> Option<String> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let link = fs::read_link(entry.path()).unwrap_or_default();
        if link.as_os_str() != "anon_inode:[timerfd]" {
            continue;
        }
        let number = entry.file_name();
        let info =
            fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy())).ok()?;
        let value = info.lines().find_map(|line| line.strip_prefix("it_value: ("))?;
        let (seconds, rest) = value.split_once(", ")?;
        let seconds: u64 = seconds.parse().ok()?;
        let is_set = seconds > 0 || !rest.starts_with("0)");
        if is_set && seconds * 1000 < HORIZON_MS {
            return Some("a timer is set".into());
        }
    }
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_poll_that_was_stopped_and_goes_on_is_a_poll() {
        let after = |place: &str| resumed("219 0x7f 0x1 0xffffffff", || Ok(place.to_owned()));
        assert_eq!(after("poll_schedule_timeout.constprop.0"), "7 0x7f 0x1 0xffffffff");
        assert_eq!(after("hrtimer_nanosleep"), "219 0x7f 0x1 0xffffffff");
        assert_eq!(resumed("0 0x4", || Err(io::ErrorKind::NotFound.into())), "0 0x4");
    }

    /// Ruby catches ALRM with all that ends a process, whatever the program ignores of it; who catches ALRM alone may
    /// have set one.
    #[test]
    fn a_runtime_that_catches_everything_has_set_no_alarm() {
        let set = |signals: &[libc::c_int]| signals.iter().fold(0, |all, one| all | 1 << (one - 1));
        let ruby = [libc::SIGALRM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
        let ruby = set(&ruby) | set(&[libc::SIGUSR1]);
        assert!(waits_for_alarms(set(&[libc::SIGALRM]), 0));
        assert!(waits_for_alarms(ruby, 0), "one is missing");
        assert!(!waits_for_alarms(ruby | set(&[libc::SIGUSR2]), 0));
        assert!(!waits_for_alarms(ruby, set(&[libc::SIGUSR2])));
        assert!(!waits_for_alarms(0, set(&[libc::SIGALRM])), "nobody waits for it");
    }
}
