//! What the suite assumes of the system. Each function checks one assumption.

use super::SystemFact;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use std::fs;
use std::process::{Command, Stdio};

/// An assumption, before it is known whether it holds.
#[derive(Clone, Copy)]
pub(super) struct Assumption {
    /// The consequence if it does not hold, and what to do about it.
    pub(super) means: &'static str,
    /// Texts in the description of a failure that it then explains.
    pub(super) explains: &'static [&'static str],
}

pub(super) const FEW_DESCRIPTORS: Assumption = Assumption {
    means: "fewer than 256 descriptors can be open: raise the limit with `ulimit -n`",
    explains: &["EMFILE", "ENFILE", "Too many open files", "os error 24"],
};
const FEW_PROCESSES: Assumption = Assumption {
    means: "fewer than 256 processes can run: raise the limit with `ulimit -u`",
    explains: &["EAGAIN", "os error 11", "Resource temporarily unavailable"],
};
pub(super) const LITTLE_MEMORY: Assumption = Assumption {
    means: "less than 256 MiB of memory are free: large messages may fail, and --heavy will fail",
    explains: &["ENOMEM", "os error 12", "Cannot allocate memory", "MemoryError"],
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

/// The smallest number of descriptors and of processes with which every scenario that is not heavy can run.
const MIN_LIMIT: u64 = 256;

/// Memory for --heavy, in MiB: two processes with a message of two gibibytes, and a second copy in the one that
/// checks it.
const HEAVY_MIB: u64 = 6 * 1024;

/// Whether /proc shows another process, and the system call in which it sleeps.
pub(super) fn process_information() -> SystemFact {
    let name = "processes shown";
    let child = Command::new("sh").args(["-c", "read x"]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        return SystemFact::new(name, "unknown: no shell could be started", None);
    };
    let can_read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).is_ok();
    let (shows_state, shows_syscall) = (can_read("stat"), can_read("syscall"));
    let _ = child.kill();
    let _ = child.wait();
    match (shows_state, shows_syscall) {
        (true, true) => SystemFact::new(name, "with their system calls", None),
        (true, false) => SystemFact::new(name, "without their system calls", Some(NO_SYSCALLS)),
        (false, _) => SystemFact::new(name, "no", Some(NO_PROC)),
    }
}

pub(super) fn descriptors() -> SystemFact {
    limit("descriptors", Resource::RLIMIT_NOFILE, FEW_DESCRIPTORS)
}

pub(super) fn processes() -> SystemFact {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let fact = limit("processes", Resource::RLIMIT_NPROC, FEW_PROCESSES);
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let fact = SystemFact::new("processes", "limit unknown", None);
    // The limit does not apply to root.
    if nix::unistd::geteuid().is_root() { SystemFact { unmet: None, ..fact } } else { fact }
}

/// A resource limit of this process. The harness raises its soft limit to the hard limit, so the hard limit counts.
fn limit(name: &str, resource: Resource, unmet: Assumption) -> SystemFact {
    match getrlimit(resource) {
        Ok((soft, hard)) => {
            let number = |limit: u64| {
                if limit == u64::MAX { "unlimited".into() } else { limit.to_string() }
            };
            let found = format!("{}, can be raised to {}", number(soft), number(hard));
            SystemFact::new(name, found, (hard < MIN_LIMIT).then_some(unmet))
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

/// The free space in the folder for sockets and temporary files.
pub(super) fn scratch_space() -> SystemFact {
    let folder = std::env::temp_dir();
    match statvfs(&folder) {
        Ok(stat) => {
            let bytes = u128::from(stat.fragment_size()) * u128::from(stat.blocks_available());
            let mib = bytes / (1 << 20);
            let found = format!("{mib} MiB free in {}", folder.display());
            SystemFact::new("scratch", found, (mib < 16).then_some(LITTLE_SCRATCH_SPACE))
        }
        Err(error) => {
            let found = format!("{}: {error}", folder.display());
            SystemFact::new("scratch", found, Some(LITTLE_SCRATCH_SPACE))
        }
    }
}
