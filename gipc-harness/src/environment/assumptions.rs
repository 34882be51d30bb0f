//! The assumptions of the suite about the system. Each function checks one of them.

use super::SystemFact;
use crate::proc::platform::PORTABLE_VARIABLE;
use nix::libc::rlim_t;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// An assumption, before it is known whether it holds.
#[derive(Clone, Copy)]
pub(super) struct Assumption {
    /// The consequence if it does not hold, and what to do about it.
    pub(super) means: &'static str,
    /// Texts in the description of a failure. If one of them occurs, the assumption explains the failure.
    pub(super) explains: &'static [&'static str],
}

pub(super) const FEW_DESCRIPTORS: Assumption = Assumption {
    means: "fewer than 512 descriptors can be open: scenarios with a hundred children (children/alive-100, \
            children/a-task-each) and others may fail: raise the limit with `ulimit -n`",
    explains: &["EMFILE", "ENFILE", "Too many open files", "os error 24"],
};
pub(super) const FEW_DESCRIPTORS_FOR_HEAVY: Assumption = Assumption {
    means: "fewer than 19900 descriptors can be open: heavy scenarios with thousands of processes may fail: raise the limit \
            with `ulimit -n`",
    explains: FEW_DESCRIPTORS.explains,
};
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const FEW_PROCESSES: Assumption = Assumption {
    means: "fewer than 256 processes can run: raise the limit with `ulimit -u`",
    explains: &["EAGAIN", "os error 11", "Resource temporarily unavailable"],
};
pub(super) const LITTLE_MEMORY: Assumption = Assumption {
    means: "less than 256 MiB of memory are free: large messages may fail, and --heavy will fail",
    explains: &["ENOMEM", "os error 12", "Cannot allocate memory", "MemoryError"],
};
const NO_DEV_NULL: Assumption = Assumption {
    means: "/dev/null cannot be opened, so that no process can be started: create it, for example with `mknod`",
    explains: &["/dev/null"],
};
const NO_SHELL: Assumption = Assumption {
    means: "there is no program `sh` in PATH: scenarios with the verb `exec` cannot run",
    explains: &["cannot start sh", "'sh'", "\"sh\"", "spawn sh "],
};
const NO_SCRATCH_FOLDER: Assumption = Assumption {
    means: "no folder for sockets can be created, so that no scenario can run: set TMPDIR to a folder that exists and is \
            writable",
    explains: &["no directory for the run"],
};
const LONG_SCRATCH_PATH: Assumption = Assumption {
    means: "the path of a socket would be too long, so that no scenario can run: set TMPDIR to a shorter path",
    explains: &["is TMPDIR too long?"],
};
const LITTLE_SCRATCH_SPACE: Assumption = Assumption {
    means: "less than 16 MiB are free for sockets and evidence: set TMPDIR to a folder with more space",
    explains: &["ENOSPC", "os error 28", "No space left"],
};
pub(super) const NO_PROC: Assumption = Assumption {
    means: "processes are not shown in /proc: a stall can be proved only by turns of the event loops, the holders of \
            pipes are unknown, what a process leaks is not seen, and a library may not find its own program",
    explains: &["/proc", "cannot observe blocking", "no process can be hit"],
};
const NO_SYSCALLS: Assumption = Assumption {
    means: "the system calls of other processes are not shown in /proc: a stall can be proved only by turns of the \
            event loops",
    explains: &["cannot observe blocking"],
};

const FOREIGN_SYSCALLS: Assumption = Assumption {
    means: "/proc shows system calls with the numbers of another architecture, as under an emulator: a stall can be \
            proved only by turns of the event loops",
    explains: &["cannot observe blocking"],
};

/// The smallest number of descriptors with which every scenario that is not heavy can run.
const MIN_DESCRIPTORS: rlim_t = 512;

/// The same for heavy scenarios, with ten thousand processes.
const HEAVY_DESCRIPTORS: rlim_t = 19_900;

/// The smallest number of processes with which every scenario that is not heavy can run.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const MIN_PROCESSES: rlim_t = 256;

/// Memory for --heavy, in MiB: two processes with a message of two gibibytes, and a second copy in the one that
/// checks it.
const HEAVY_MIB: u64 = 6 * 1024;

/// The first argument that makes the program of the harness only report that it has started, and then sleep in a read.
pub const SLEEPER: &str = "gipc-harness:sleeper";

/// The main function of [`SLEEPER`]. Returns its exit code.
#[must_use]
pub fn sleeper_main() -> i32 {
    let mut stdout = io::stdout();
    let told = stdout.write_all(b"!").and_then(|()| stdout.flush());
    i32::from(told.and_then(|()| io::stdin().read(&mut [0])).is_err())
}

/// Whether /proc shows another process, and the system call in which it sleeps.
pub(super) fn process_information(exe: &Path) -> SystemFact {
    let name = "processes shown";
    if std::env::var_os(PORTABLE_VARIABLE).is_some() {
        let found = format!("not used, since {PORTABLE_VARIABLE} is set");
        return SystemFact::new(name, found, Some(NO_PROC));
    }
    let sleeper =
        Command::new(exe).arg(SLEEPER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut sleeper) = sleeper else {
        return SystemFact::new(name, "unknown: no process could be started", None);
    };
    let has_started =
        sleeper.stdout.take().is_some_and(|mut stdout| stdout.read_exact(&mut [0]).is_ok());
    let shows_state = fs::read_to_string(format!("/proc/{}/stat", sleeper.id())).is_ok();
    let syscall = shown_syscall(sleeper.id());
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    match (shows_state, syscall) {
        _ if !has_started => SystemFact::new(name, "unknown: no process could be started", None),
        (false, _) => SystemFact::new(name, "no", Some(NO_PROC)),
        (true, None) => SystemFact::new(name, "without their system calls", Some(NO_SYSCALLS)),
        (true, Some(READ)) => SystemFact::new(name, "with their system calls", None),
        (true, Some(number)) => {
            let found = format!("with unknown system calls: {number} where {READ} is read");
            SystemFact::new(name, found, Some(FOREIGN_SYSCALLS))
        }
    }
}

#[cfg(target_os = "linux")]
const READ: libc::c_long = libc::SYS_read;
/// On such systems nothing shows numbers of system calls.
#[cfg(not(target_os = "linux"))]
const READ: libc::c_long = 0;

/// The number of the system call in which a process sleeps that is about to read; `None` if it is not shown.
fn shown_syscall(pid: u32) -> Option<libc::c_long> {
    let mut shown = None;
    for _ in 0..ATTEMPTS {
        let text = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
        let number = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
        // Until the process sleeps, it is shown as running or in no call.
        shown = number.filter(|number| *number >= 0).or(shown);
        if shown == Some(READ) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    shown
}

/// How often [`shown_syscall`] looks before it accepts a number that is not the expected one.
const ATTEMPTS: u32 = 200;

pub(super) fn dev_null() -> SystemFact {
    match fs::File::options().read(true).write(true).open("/dev/null") {
        Ok(_) => SystemFact::new("/dev/null", "can be opened", None),
        Err(error) => SystemFact::new("/dev/null", error, Some(NO_DEV_NULL)),
    }
}

/// Whether a shell can be started. Agents start a shell as a program that does not know their implementation.
pub(super) fn shell() -> SystemFact {
    match Command::new("sh").args(["-c", "exit 7"]).status() {
        Ok(status) if status.code() == Some(7) => SystemFact::new("shell", "sh", None),
        Ok(status) => SystemFact::new("shell", format!("sh ends with {status}"), Some(NO_SHELL)),
        Err(error) => SystemFact::new("shell", error, Some(NO_SHELL)),
    }
}

pub(super) fn descriptors() -> SystemFact {
    let fact = limit("descriptors", Resource::RLIMIT_NOFILE, MIN_DESCRIPTORS, FEW_DESCRIPTORS);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < HEAVY_DESCRIPTORS => SystemFact {
            found: fact.found + ", too few for --heavy",
            unmet_by_heavy: Some(FEW_DESCRIPTORS_FOR_HEAVY.into()),
            ..fact
        },
        _ => fact,
    }
}

pub(super) fn processes() -> SystemFact {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    let fact = limit("processes", Resource::RLIMIT_NPROC, MIN_PROCESSES, FEW_PROCESSES);
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    let fact = SystemFact::new("processes", "limit unknown", None);
    // The limit does not apply to root.
    if nix::unistd::geteuid().is_root() { SystemFact { unmet: None, ..fact } } else { fact }
}

/// A resource limit of this process. The harness raises its soft limit to the hard limit, so the hard limit counts.
fn limit(name: &str, resource: Resource, min: rlim_t, unmet: Assumption) -> SystemFact {
    match getrlimit(resource) {
        Ok((soft, hard)) => {
            let number = |limit: rlim_t| {
                if limit == libc::RLIM_INFINITY { "unlimited".into() } else { limit.to_string() }
            };
            let found = format!("{}, can be raised to {}", number(soft), number(hard));
            SystemFact::new(name, found, (hard < min).then_some(unmet))
        }
        Err(error) => SystemFact::new(name, error, None),
    }
}

pub(super) fn memory() -> SystemFact {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let Some(mib) = kib.map(|kib| kib / 1024) else {
        return SystemFact::new("memory", "unknown", None);
    };
    let heavy = if mib < HEAVY_MIB { "too little for --heavy" } else { "enough for --heavy" };
    let unmet = (mib < 256).then_some(LITTLE_MEMORY);
    SystemFact::new("memory", format!("{mib} MiB free, {heavy}"), unmet)
}

/// Whether the folder for sockets and temporary files can be used, and the free space in it.
pub(super) fn scratch_folder() -> SystemFact {
    let folder = std::env::temp_dir();
    let shown = folder.display();
    let fact = |found: String, unmet| SystemFact::new("scratch", found, unmet);
    // The path of a socket ends with a zero byte.
    if folder.as_os_str().len() + SOCKET_NAME.len() >= MAX_SOCKET_PATH {
        let found = format!("{shown}: sockets have paths of at most {} bytes", MAX_SOCKET_PATH - 1);
        return fact(found, Some(LONG_SCRATCH_PATH));
    }
    if let Err(error) = access(&folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        return fact(format!("{shown}: {error}"), Some(NO_SCRATCH_FOLDER));
    }
    match statvfs(&folder) {
        Ok(stat) => {
            let bytes = u128::from(stat.fragment_size()) * u128::from(stat.blocks_available());
            let mib = bytes / (1 << 20);
            let found = format!("{mib} MiB free in {shown}");
            fact(found, (mib < 16).then_some(LITTLE_SCRATCH_SPACE))
        }
        Err(error) => fact(format!("{shown}: {error}"), Some(LITTLE_SCRATCH_SPACE)),
    }
}

/// The path of the socket of a run below that folder; the middle part varies.
const SOCKET_NAME: &str = "/gipc-xxxxxx/socket";

/// The length of the longest path of a socket, with its zero byte.
const MAX_SOCKET_PATH: usize =
    size_of::<libc::sockaddr_un>() - std::mem::offset_of!(libc::sockaddr_un, sun_path);
