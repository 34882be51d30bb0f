//! Finds what a sleeping thread is blocked in, and whether a timer may wake it.

use super::process_tree::is_shortage;
use super::syscall_table::{SYSCALLS, Syscall, Target, TimeoutArg, socket_call_name};
use super::thread_state::ThreadState;
use crate::trace::BlockedIn;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
#[cfg(target_os = "linux")]
use std::{sync::OnceLock, sync::mpsc, thread, time::Duration};

/// Which timers make a sleeping thread count as awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerPolicy {
    /// Every timer does, because it will make the thread move by itself.
    AnyTimerWakes,
    /// A timer of the first thread does, and a timer of another thread that only sleeps. Thread pools and engines such as V8
    /// wait for work in other calls, and timers of those calls are housekeeping.
    HelperTimersIgnored,
    /// No timer does: the thread sleeps now, though not forever.
    TimersIgnored,
}

/// Returns what a thread is blocked in. The error says why the thread does not count as asleep.
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
    let (name, fd) = match target {
        // A descriptor is an int in a register; the upper half of the register is not part of it.
        Target::Descriptor => (*name, Some(argument(0) as u32 as i32)),
        Target::SocketCall => socket_call(pid, argument(0), argument(1))?,
        Target::Other => (*name, None),
    };
    if fd.is_some_and(|fd| is_regular_file(pid, fd)) {
        return Err(format!("it waits for a file system, in {name}"));
    }
    Ok(BlockedIn::Call { name: name.to_owned(), fd, far_timer })
}

/// The name and the descriptor of a call that is made through `socketcall`. Its arguments are at this address, one per word.
fn socket_call(pid: i32, number: u64, address: u64) -> Result<(&'static str, Option<i32>), String> {
    let name = socket_call_name(number).ok_or_else(|| {
        format!("it waits in call {number} on sockets, which the harness does not know")
    })?;
    let mut word = [0; size_of::<libc::c_long>()];
    // Even without the descriptor it is known that the call has no timer.
    let is_read = read_memory(pid, address, &mut word).is_ok();
    let fd = is_read.then(|| libc::c_long::from_ne_bytes(word) as i32);
    Ok((name, fd))
}

/// A timer that is further away than this does not count as movement: no run waits for it. The report names it.
const FAR_MS: u64 = 10 * 60 * 1000;

/// A timer that is further away than this counts as never: libev encodes "forever" as about seventeen days.
const NEVER_MS: u64 = 24 * 60 * 60 * 1000;

/// The timeouts with which libev before 4.33 wakes up only to look at the clock.
const LIBEV_TICKS_MS: [u64; 2] = [59_743, 59_744];

/// The timeout with which the system monitor of Go's runtime sleeps when the program is idle. The match is exact, so that a
/// minute for which the program itself waits, of which a part has already passed, is not mistaken for it.
const GO_SYSMON_MS: u64 = 60_000;

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
        // The other end is closed once the number has been seen.
        let _ = fs::File::from(reader).read(&mut [0]);
    });
    let tid = told.recv().ok()?;
    let mut shown = None;
    for _ in 0..ATTEMPTS {
        let text = fs::read_to_string(format!("/proc/self/task/{tid}/syscall"));
        let Ok(text) = text else { break };
        // Until the thread sleeps, it is shown as running or in no call.
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

/// How often [`shown_number_of_read`] looks before it accepts a number that is not the expected one.
#[cfg(target_os = "linux")]
const ATTEMPTS: u32 = 200;

/// Reads a register as an `int` number of milliseconds; `None` if it is negative.
fn signed_milliseconds(argument: u64) -> Option<u64> {
    // The upper half of the register is not part of an int.
    u64::try_from(argument as u32 as i32).ok()
}

/// Whether a descriptor is a regular file. A file system such as FUSE or NFS lets a reader sleep until a server answers, and
/// no process of the run is that server.
fn is_regular_file(pid: i32, fd: i32) -> bool {
    let link = format!("/proc/{pid}/fd/{fd}");
    // The names of pipes and sockets are not paths.
    fs::read_link(&link).is_ok_and(|path| path.is_absolute())
        && fs::metadata(&link).is_ok_and(|file| file.is_file())
}

/// Reads a relative timeout out of the memory of a process, in milliseconds; `None` at a null pointer.
/// Seconds and fraction have `width` bytes each, 4 or 8.
fn read_timespec(pid: i32, address: u64, width: usize) -> Result<Option<u64>, String> {
    if address == 0 {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    read_memory(pid, address, &mut bytes[..2 * width])
        .map_err(|error| format!("a timer is set that cannot be read ({error})"))?;
    let number = |start: usize| match bytes[start..start + width].try_into() {
        Ok(eight) => i64::from_ne_bytes(eight),
        Err(_) => bytes[start..start + 4].try_into().map_or(0, i32::from_ne_bytes).into(),
    };
    let (seconds, fraction) = (number(0), number(width));
    let ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    // The unit of the fraction depends on the call. A fraction other than zero counts as one more millisecond.
    Ok(Some(ms.saturating_add(u64::from(fraction != 0))))
}

/// Reads the memory of a process.
fn read_memory(pid: i32, address: u64, bytes: &mut [u8]) -> io::Result<()> {
    fs::File::open(format!("/proc/{pid}/mem"))?.read_exact_at(bytes, address)
}

/// Whether a process has a timer descriptor that will fire within [`NEVER_MS`]. True if there are too few descriptors to
/// look.
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

/// The whole seconds after which the timer of an `fdinfo` fires; `Some(None)` if it is not armed, `None` if the text is not
/// understood.
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
        // `None` if the system shows no calls at all.
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

    #[test]
    fn a_call_through_socketcall_is_named_and_has_its_descriptor_in_memory() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        let arguments: [libc::c_long; 3] = [7, 0x1000, 64];
        let address = arguments.as_ptr() as u64;
        assert_eq!(socket_call(own, 10, address), Ok(("recvfrom", Some(7))));
        assert_eq!(socket_call(own, 17, 1), Ok(("recvmsg", None)), "the address is not readable");
        let unknown = "it waits in call 99 on sockets, which the harness does not know";
        assert_eq!(socket_call(own, 99, address), Err(unknown.to_owned()));
    }
}
