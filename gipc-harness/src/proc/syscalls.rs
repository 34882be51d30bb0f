//! What a sleeping thread is blocked in, and whether a timer may wake it.

use super::process_tree::is_shortage;
use super::thread_state::ThreadState;
use crate::trace::BlockedIn;
use std::fs;
use std::io;
#[cfg(target_os = "linux")]
use std::{sync::OnceLock, sync::mpsc, thread, time::Duration};

/// Which timers make a sleeping thread count as awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerPolicy {
    /// Every timer does: the thread will move by itself.
    AnyTimerWakes,
    /// A timer of the first thread does, and one of another thread that only sleeps. Timers of the calls in which thread
    /// pools and engines such as V8 wait for work are housekeeping.
    HelperTimersIgnored,
    /// No timer does: the thread sleeps now, though not forever.
    TimersIgnored,
}

/// Returns what a thread is blocked in; an error says why the thread cannot be taken for asleep.
pub(super) fn decode_blocking_call(
    pid: i32,
    thread: &ThreadState,
    timers: TimerPolicy,
) -> Result<BlockedIn, String> {
    match thread.state {
        'S' => {}
        // Only another process of the run could continue it, and that process is examined as well.
        'T' => return Ok(BlockedIn::Stopped),
        't' => return Err("a debugger is attached to it".into()),
        state => return Err(format!("its state is {state}")),
    }
    if thread.handles_alarms && timers == TimerPolicy::AnyTimerWakes {
        return Err("an alarm may wake it".into());
    }
    let words: Vec<&str> = thread.syscall.split_ascii_whitespace().collect();
    let number: libc::c_long =
        words.first().and_then(|word| word.parse().ok()).ok_or("it is running")?;
    let argument = |index: usize| {
        let word = words.get(index + 1).and_then(|word| word.strip_prefix("0x"));
        word.and_then(|word| u64::from_str_radix(word, 16).ok()).unwrap_or(0)
    };
    let Some(Syscall { name, target, timeout, .. }) =
        SYSCALLS.iter().find(|call| call.number == number)
    else {
        return Err(format!("it waits in system call {number}, which the harness does not know"));
    };
    let remaining_ms = || match timeout {
        TimeoutArg::Never => Ok(None),
        TimeoutArg::Always => Ok(Some(0)),
        TimeoutArg::Milliseconds(index) => Ok(signed_milliseconds(argument(*index))),
        TimeoutArg::Timespec(index, width) => read_timespec(pid, argument(*index), *width),
        TimeoutArg::Futex(_) if argument(3) == 0 => Ok(None),
        TimeoutArg::Futex(width) if argument(1) & 0x7f == 0 => {
            read_timespec(pid, argument(3), *width)
        }
        TimeoutArg::Futex(_) => Ok(Some(0)),
    };
    let waits_for_work = *name == "futex" || *name == "epoll";
    let counts = match timers {
        TimerPolicy::AnyTimerWakes => true,
        TimerPolicy::HelperTimersIgnored => !waits_for_work,
        TimerPolicy::TimersIgnored => false,
    };
    let remaining_ms = if counts { remaining_ms()? } else { remaining_ms().unwrap_or(None) };
    match remaining_ms {
        Some(GO_SYSMON_MS) if *name == "futex" => {}
        Some(ms) if counts && ms < FAR_MS && !LIBEV_TICKS_MS.contains(&ms) => {
            return Err(format!("a timer is set, in {name}"));
        }
        _ => {}
    }
    let far_timer = remaining_ms.filter(|ms| (FAR_MS..NEVER_MS).contains(ms)).map(|ms| ms / 1000);
    // A descriptor is an int in a register; the upper half of the register is not part of it.
    let fd = (*target == Target::Descriptor).then(|| argument(0) as u32 as i32);
    if fd.is_some_and(|fd| is_regular_file(pid, fd)) {
        return Err(format!("it waits for a file system, in {name}"));
    }
    Ok(BlockedIn::Call { name: (*name).to_owned(), fd, far_timer })
}

/// A timer that is further away than this does not count as movement: no run waits for it. The report names it.
const FAR_MS: u64 = 10 * 60 * 1000;

/// A timer that is further away than this counts as never: libev writes "forever" as some seventeen days.
const NEVER_MS: u64 = 24 * 60 * 60 * 1000;

/// The timeouts with which libev before 4.33 wakes up only to look at the clock.
const LIBEV_TICKS_MS: [u64; 2] = [59_743, 59_744];

/// The timeout with which the system monitor of Go's runtime sleeps when the program is idle. The match is exact, so that
/// a minute that the program itself waits, part of which has already passed, is not mistaken for it.
const GO_SYSMON_MS: u64 = 60_000;

/// A system call that may block.
struct Syscall {
    number: libc::c_long,
    name: &'static str,
    target: Target,
    timeout: TimeoutArg,
}

/// What the first argument of a system call is.
#[derive(PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Target {
    Descriptor,
    Other,
}

/// Where a system call has its timeout.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum TimeoutArg {
    /// It has none.
    Never,
    /// The call always ends by itself.
    Always,
    /// In this argument, in milliseconds; negative means no timeout.
    Milliseconds(usize),
    /// This argument points to seconds and a fraction of this many bytes each, relative to the start of the call; null
    /// means no timeout.
    Timespec(usize, usize),
    /// The same at argument 3, but relative only if the operation (argument 1) is a plain wait.
    Futex(usize),
}

/// The size of a number of seconds in the calls that every architecture has.
#[cfg(target_os = "linux")]
const WORD: usize = size_of::<libc::c_long>();

/// A call whose first argument is a descriptor, and which has no timeout.
#[cfg(target_os = "linux")]
const fn on_fd(number: libc::c_long, name: &'static str) -> Syscall {
    Syscall { number, name, target: Target::Descriptor, timeout: TimeoutArg::Never }
}

#[cfg(target_os = "linux")]
const fn other(number: libc::c_long, name: &'static str, timeout: TimeoutArg) -> Syscall {
    Syscall { number, name, target: Target::Other, timeout }
}

#[cfg(target_os = "linux")]
const SYSCALLS: &[Syscall] = &[
    on_fd(libc::SYS_read, "read"),
    on_fd(libc::SYS_readv, "readv"),
    on_fd(libc::SYS_write, "write"),
    on_fd(libc::SYS_writev, "writev"),
    on_fd(libc::SYS_recvmsg, "recvmsg"),
    on_fd(libc::SYS_recvfrom, "recvfrom"),
    on_fd(libc::SYS_sendmsg, "sendmsg"),
    on_fd(libc::SYS_sendto, "sendto"),
    on_fd(libc::SYS_accept4, "accept"),
    other(libc::SYS_wait4, "wait", TimeoutArg::Never),
    other(libc::SYS_waitid, "wait", TimeoutArg::Never),
    other(libc::SYS_rt_sigsuspend, "sigsuspend", TimeoutArg::Never),
    other(libc::SYS_futex, "futex", TimeoutArg::Futex(WORD)),
    other(libc::SYS_ppoll, "poll", TimeoutArg::Timespec(2, WORD)),
    other(libc::SYS_pselect6, "select", TimeoutArg::Timespec(4, WORD)),
    other(libc::SYS_epoll_pwait, "epoll", TimeoutArg::Milliseconds(3)),
    other(libc::SYS_rt_sigtimedwait, "sigwait", TimeoutArg::Timespec(2, WORD)),
    other(libc::SYS_clock_nanosleep, "sleep", TimeoutArg::Always),
    other(libc::SYS_nanosleep, "sleep", TimeoutArg::Always),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_epoll_wait, "epoll", TimeoutArg::Milliseconds(3)),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_poll, "poll", TimeoutArg::Milliseconds(2)),
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64"
    )))]
    other(libc::SYS_pause, "pause", TimeoutArg::Never),
    #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
    other(libc::SYS_select, "select", TimeoutArg::Timespec(4, WORD)),
    #[cfg(any(
        target_arch = "x86",
        target_arch = "arm",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    ))]
    other(libc::SYS__newselect, "select", TimeoutArg::Timespec(4, WORD)),
    // The socket calls of x86 before Linux 4.3, and of s390x, go through one call with the arguments in memory.
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
    on_fd(libc::SYS_accept, "accept"),
    // 32-bit systems have calls with 64-bit times besides. Their numbers are the same on all of them.
    #[cfg(target_pointer_width = "32")]
    other(407, "sleep", TimeoutArg::Always),
    #[cfg(target_pointer_width = "32")]
    other(413, "select", TimeoutArg::Timespec(4, 8)),
    #[cfg(target_pointer_width = "32")]
    other(414, "poll", TimeoutArg::Timespec(2, 8)),
    #[cfg(target_pointer_width = "32")]
    other(421, "sigwait", TimeoutArg::Timespec(2, 8)),
    #[cfg(target_pointer_width = "32")]
    other(422, "futex", TimeoutArg::Futex(8)),
];
#[cfg(not(target_os = "linux"))]
const SYSCALLS: &[Syscall] = &[];

/// Whether `/proc` shows system calls with the numbers of the architecture that this program is built for. Under an
/// emulator it shows those of the machine.
#[cfg(target_os = "linux")]
pub(super) fn are_numbers_native() -> bool {
    static ARE_NATIVE: OnceLock<bool> = OnceLock::new();
    *ARE_NATIVE.get_or_init(|| shown_number_of_read().is_none_or(|it| it == libc::SYS_read))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn are_numbers_native() -> bool {
    true
}

/// The number under which `/proc` shows a read of this process; `None` if it shows no calls.
#[cfg(target_os = "linux")]
fn shown_number_of_read() -> Option<libc::c_long> {
    use std::io::Read;
    let (reader, writer) = nix::unistd::pipe().ok()?;
    let (tell, told) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        let _ = tell.send(nix::unistd::gettid());
        // The other end is closed when the number was seen.
        let _ = fs::File::from(reader).read(&mut [0]);
    });
    let tid = told.recv().ok()?;
    let mut shown = None;
    for _ in 0..ATTEMPTS {
        let text = fs::read_to_string(format!("/proc/self/task/{tid}/syscall"));
        let Ok(text) = text else { break };
        // Until it sleeps, the thread is shown as running or in no call.
        let number = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        shown = number.filter(|number| *number >= 0).or(shown);
        if shown == Some(libc::SYS_read) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    drop(writer);
    let _ = sleeper.join();
    shown
}

/// How often [`shown_number_of_read`] looks before it believes a number that is not the expected one.
#[cfg(target_os = "linux")]
const ATTEMPTS: u32 = 200;

/// Reads a register as an `int` number of milliseconds; `None` if it is negative.
fn signed_milliseconds(argument: u64) -> Option<u64> {
    // The upper half of the register is not part of an int.
    u64::try_from(argument as u32 as i32).ok()
}

/// Whether a descriptor is a regular file. A file system such as FUSE or NFS lets a reader sleep until a server answers,
/// which no process of the run does.
fn is_regular_file(pid: i32, fd: i32) -> bool {
    let link = format!("/proc/{pid}/fd/{fd}");
    // The names of pipes and sockets are no paths.
    fs::read_link(&link).is_ok_and(|path| path.is_absolute())
        && fs::metadata(&link).is_ok_and(|file| file.is_file())
}

/// Reads a relative timeout out of the memory of a process, in milliseconds; `None` at a null pointer.
/// Seconds and fraction have `width` bytes each, 4 or 8.
fn read_timespec(pid: i32, address: u64, width: usize) -> Result<Option<u64>, String> {
    if address == 0 {
        return Ok(None);
    }
    use std::os::unix::fs::FileExt;
    let unreadable = |error: io::Error| format!("a timer is set that cannot be read ({error})");
    let memory = fs::File::open(format!("/proc/{pid}/mem")).map_err(unreadable)?;
    let mut bytes = [0; 16];
    memory.read_exact_at(&mut bytes[..2 * width], address).map_err(unreadable)?;
    let number = |start: usize| match bytes[start..start + width].try_into() {
        Ok(eight) => i64::from_ne_bytes(eight),
        Err(_) => bytes[start..start + 4].try_into().map_or(0, i32::from_ne_bytes).into(),
    };
    let (seconds, fraction) = (number(0), number(width));
    let ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    // The unit of the fraction depends on the call. Any fraction is more than none.
    Ok(Some(ms.saturating_add(u64::from(fraction != 0))))
}

/// Whether a process has a timer descriptor that will fire within [`NEVER_MS`], or may have one, since there are too few
/// descriptors to look.
pub(super) fn has_armed_timerfd(pid: i32) -> bool {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries.flatten(),
        Err(error) => return is_shortage(&error),
    };
    for entry in entries {
        let link = fs::read_link(entry.path()).unwrap_or_default();
        if link.as_os_str() != "anon_inode:[timerfd]" {
            continue;
        }
        let number = entry.file_name();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()));
        if info.as_ref().is_err_and(is_shortage) {
            return true;
        }
        match info.ok().and_then(|info| remaining_seconds(&info)) {
            Some(Some(seconds)) if seconds * 1000 < NEVER_MS => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// The whole seconds after which the timer of an `fdinfo` fires, `Some(None)` if it is not armed; `None` if the text is
/// not understood.
fn remaining_seconds(info: &str) -> Option<Option<u64>> {
    let value = info.lines().find_map(|line| line.strip_prefix("it_value: ("))?;
    let (seconds, nanoseconds) = value.split_once(", ")?;
    let seconds = seconds.parse().ok()?;
    let is_armed = seconds > 0 || !nanoseconds.starts_with("0)");
    Some(is_armed.then_some(seconds))
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::no_timer("0xffffffff", Ok("poll"))]
    #[case::a_second("0x3e8", Err("a timer is set, in poll"))]
    #[case::just_under_ten_minutes("0x927bf", Err("a timer is set, in poll"))]
    #[case::almost_an_hour("0x36ceba", Ok("poll (its timer ends in 3591 s)"))]
    #[case::libevs_for_ever("0x59682f00", Ok("poll"))]
    fn a_timer_that_no_run_waits_for_is_named_and_does_not_count_as_movement(
        #[case] milliseconds: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let thread = ThreadState::asleep_in(&format!("{} 0x7f 0x1 {milliseconds}", libc::SYS_poll));
        let call = decode_blocking_call(1, &thread, TimerPolicy::AnyTimerWakes);
        let call = call.map(|call| call.to_string());
        assert_eq!(call.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_thread_that_waits_for_a_file_system_is_not_asleep() {
        use std::os::fd::AsRawFd;
        let own = i32::try_from(std::process::id()).expect("a pid");
        let asleep_in_read_of = |fd: i32| {
            let thread = ThreadState::asleep_in(&format!("{} {fd:#x} 0x7f 0x1", libc::SYS_read));
            decode_blocking_call(own, &thread, TimerPolicy::AnyTimerWakes)
                .map(|call| call.to_string())
        };
        let (reader, _writer) = nix::unistd::pipe().expect("descriptors are free");
        let pipe = reader.as_raw_fd();
        assert_eq!(asleep_in_read_of(pipe), Ok(format!("read(fd {pipe})")));
        let file = fs::File::open(std::env::current_exe().expect("it runs")).expect("readable");
        let reason = asleep_in_read_of(file.as_raw_fd()).expect_err("a server may answer");
        assert_eq!(reason, "it waits for a file system, in read");
    }

    #[test]
    fn a_read_is_shown_under_its_number_unless_the_program_is_emulated() {
        // `None` where the system shows no calls at all.
        assert!(matches!(shown_number_of_read(), Some(libc::SYS_read) | None));
    }

    #[test]
    fn a_time_limit_is_read_in_both_widths() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let (long, short) = ([2_i64, 5], [3_i32, 0]);
        let read = |address: u64, width| read_timespec(own, address, width);
        assert_eq!(read(long.as_ptr() as u64, 8), Ok(Some(2001)));
        assert_eq!(read(short.as_ptr() as u64, 4), Ok(Some(3000)));
        assert_eq!(read(0, 8), Ok(None), "no time limit");
    }
}
