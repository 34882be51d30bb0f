//! What the suite assumes of the system that it runs on, and what it finds there. Only looks; judges no run, and
//! changes nothing.

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// All that was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// In the order of a report.
    pub facts: Vec<Fact>,
    /// How many times as long as on an ordinary machine the last resort waits: more than 1 on an emulator.
    pub slow_factor: u32,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub name: String,
    /// What was found, for people.
    pub found: String,
    /// What the suite assumes and does not find, if so.
    pub unmet: Option<Unmet>,
}

/// An assumption that does not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unmet {
    /// What follows, and what to do about it.
    pub means: String,
    /// Words of a failure that this explains: the name of an error, a path.
    pub explains: Vec<String>,
}

/// An assumption, before it is known whether it holds.
struct Assumption {
    means: &'static str,
    explains: &'static [&'static str],
}

impl Assumption {
    fn unmet(&self) -> Unmet {
        let explains = self.explains.iter().map(|word| (*word).to_owned()).collect();
        Unmet { means: self.means.into(), explains }
    }
}

const DESCRIPTORS: Assumption = Assumption {
    means: "fewer than 256 descriptors may be open: raise it with `ulimit -n`",
    explains: &["EMFILE", "ENFILE", "Too many open files", "os error 24"],
};
const PROCESSES: Assumption = Assumption {
    means: "fewer than 256 processes may run: raise it with `ulimit -u`",
    explains: &["EAGAIN", "os error 11", "Resource temporarily unavailable"],
};
const MEMORY: Assumption = Assumption {
    means: "less than 256 MiB are free: large messages may fail, and --heavy will",
    explains: &["ENOMEM", "os error 12", "Cannot allocate memory", "MemoryError"],
};
const DISK: Assumption = Assumption {
    means: "less than 16 MiB are free for sockets and evidence: set TMPDIR to a folder that has more",
    explains: &["ENOSPC", "os error 28", "No space left"],
};
const PROC: Assumption = Assumption {
    means: "processes are not shown: a stop is proved by turns of loops or not at all, nobody sees who holds a \
            pipe, and a library may not find its own program",
    explains: &["/proc", "cannot observe blocking", "no process can be hit"],
};
const HIDDEN: Assumption = Assumption {
    means: "what another process sleeps in is not shown: a stop is proved by turns of loops or not at all",
    explains: &["cannot observe blocking"],
};

/// Twice as long as this for a process to start and end is an ordinary machine with much to do.
const ORDINARY: Duration = Duration::from_millis(10);

/// Two processes with a message of two gibibytes, twice in the one that checks it.
const HEAVY_MIB: u64 = 6 * 1024;

/// Looks at everything. Starts two short processes, one of them `exe`, the harness's own program.
#[must_use]
pub fn look(exe: &Path) -> Environment {
    let (speed, slow_factor) = speed(exe);
    let facts = vec![
        fact("system", system(), None),
        fact("processors", std::thread::available_parallelism().map_or(1, usize::from), None),
        fact("user", user(), None),
        fact("container", container(), None),
        processes_shown(),
        fact("ptrace", ptrace(), None),
        fact("cgroups", cgroups(), None),
        fact("clock", clock(), None),
        fact("inherited", inherited(), None),
        limit("descriptors", Resource::RLIMIT_NOFILE, &DESCRIPTORS),
        processes(),
        fact("pipes", pipes(), None),
        memory(),
        scratch(),
        fact("speed", speed, None),
    ];
    Environment { facts, slow_factor }
}

impl Environment {
    /// What does not hold and explains a failure of which this is said.
    #[must_use]
    pub fn explains(&self, said: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| {
            let explains = |unmet: &Unmet| unmet.explains.iter().any(|word| said.contains(word));
            fact.unmet.as_ref().is_some_and(explains)
        })
    }

    /// The facts that are not as the suite assumes.
    pub fn unmet(&self) -> impl Iterator<Item = (&Fact, &Unmet)> {
        self.facts.iter().filter_map(|fact| Some((fact, fact.unmet.as_ref()?)))
    }
}

fn fact(name: &str, found: impl ToString, unmet: Option<&Assumption>) -> Fact {
    Fact { name: name.into(), found: found.to_string(), unmet: unmet.map(Assumption::unmet) }
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn system() -> String {
    let name = nix::sys::utsname::uname();
    let words = name.as_ref().map(|name| {
        let part = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        format!("{} {} {}", part(name.sysname()), part(name.release()), part(name.machine()))
    });
    let built = std::env::consts::ARCH;
    match words {
        Ok(words) if words.ends_with(built) => words,
        Ok(words) => format!("{words}, built for {built}"),
        Err(_) => format!("{} {built}", std::env::consts::OS),
    }
}

fn user() -> &'static str {
    if nix::unistd::geteuid().is_root() { "root" } else { "not root" }
}

fn container() -> String {
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let found = marks.iter().find(|(path, _)| Path::new(path).exists());
    let kind = found.map_or("none that can be seen", |(_, kind)| kind);
    let limit = |file: &str| line(&format!("/sys/fs/cgroup/{file}")).filter(|text| text != "max");
    let limits: Vec<String> = [("memory.max", "bytes"), ("pids.max", "processes")]
        .iter()
        .filter_map(|(file, unit)| Some(format!("{} {unit}", limit(file)?)))
        .collect();
    if limits.is_empty() { kind.into() } else { format!("{kind}, at most {}", limits.join(", ")) }
}

/// Who may look into whom, beyond the usual rights. The harness looks only into what it has started.
fn ptrace() -> String {
    match line("/proc/sys/kernel/yama/ptrace_scope").as_deref() {
        Some("0") => "one's own processes (yama 0)".into(),
        Some("1") => "those below oneself (yama 1)".into(),
        Some(other) => format!("only with privileges (yama {other})"),
        None => "as the rights on files say".into(),
    }
}

fn cgroups() -> String {
    match line("/sys/fs/cgroup/cgroup.controllers") {
        Some(controllers) => {
            format!("version 2 ({controllers}); not needed, the supervisor adopts orphans")
        }
        None => "not version 2; not needed, the supervisor adopts orphans".into(),
    }
}

/// The kernel's source of time, and the smallest step that was seen in it.
fn clock() -> String {
    let source = line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let step = (0..1000).filter_map(|_| {
        let began = Instant::now();
        let step = began.elapsed();
        (!step.is_zero()).then_some(step)
    });
    let step =
        step.min().map_or("no step seen".into(), |step| format!("steps of {} ns", step.as_nanos()));
    format!("{}, {step}", source.unwrap_or_else(|| "of the system".into()))
}

/// Whether the kernel's account can be had, of a process that is not this one.
fn processes_shown() -> Fact {
    let child = Command::new("sh").args(["-c", "read x"]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        return fact("processes shown", "no shell to look at", None);
    };
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).is_ok();
    let (shown, open) = (read("stat"), read("syscall"));
    let _ = child.kill();
    let _ = child.wait();
    match (shown, open) {
        (true, true) => {
            fact("processes shown", "with what they sleep in: the kernel's account", None)
        }
        (true, false) => fact("processes shown", "without what they sleep in", Some(&HIDDEN)),
        _ => fact("processes shown", "no", Some(&PROC)),
    }
}

/// Descriptors that a host has leaked into this process. They are kept from everybody that is started.
fn inherited() -> String {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return "cannot be seen".into() };
    let names = entries.flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
        let flags = i32::from_str_radix(flags, 8).ok()?;
        // Those of this program itself were made with close-on-exec.
        let inherited = number > 2 && flags & libc::O_CLOEXEC == 0;
        let target = fs::read_link(entry.path()).ok()?;
        inherited.then(|| format!("descriptor {number} ({})", target.display()))
    });
    let found: Vec<String> = names.collect();
    if found.is_empty() { "no descriptor".into() } else { found.join(", ") }
}

/// A limit of this process; fewer than 256 are too few.
fn limit(name: &str, resource: Resource, unmet: &Assumption) -> Fact {
    match getrlimit(resource) {
        Ok((soft, hard)) => {
            let words = |n: u64| if n == u64::MAX { "any number".into() } else { n.to_string() };
            fact(
                name,
                format!("{}, and up to {}", words(soft), words(hard)),
                (hard < 256).then_some(unmet),
            )
        }
        Err(error) => fact(name, error, None),
    }
}

fn processes() -> Fact {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let found = limit("processes", Resource::RLIMIT_NPROC, &PROCESSES);
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let found = fact("processes", "the limit cannot be seen", None);
    match nix::unistd::geteuid().is_root() {
        // The limit is not for root.
        true => Fact { unmet: None, ..found },
        false => found,
    }
}

fn pipes() -> String {
    let most = line("/proc/sys/fs/pipe-max-size");
    let quota = line("/proc/sys/fs/pipe-user-pages-soft");
    match (most, quota) {
        (Some(most), Some(quota)) => {
            format!("at most {most} bytes each, {quota} pages of one user before they become small")
        }
        _ => "their sizes cannot be seen".into(),
    }
}

fn memory() -> Fact {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = free.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    match kib.map(|kib| kib / 1024) {
        Some(mib) => {
            let heavy =
                if mib < HEAVY_MIB { "too little for --heavy" } else { "enough for --heavy" };
            fact("memory", format!("{mib} MiB free, {heavy}"), (mib < 256).then_some(&MEMORY))
        }
        None => fact("memory", "cannot be seen", None),
    }
}

/// Where sockets and temporary files go.
fn scratch() -> Fact {
    let folder = std::env::temp_dir();
    match statvfs(&folder) {
        Ok(state) => {
            let bytes = u128::from(state.fragment_size()) * u128::from(state.blocks_available());
            let free = bytes / (1 << 20);
            let found = format!("{} MiB free in {}", free, folder.display());
            fact("scratch", found, (free < 16).then_some(&DISK))
        }
        Err(error) => fact("scratch", format!("{}: {error}", folder.display()), Some(&DISK)),
    }
}

/// How long a process takes to start and end, the best of three; and what that means for the last resort.
fn speed(exe: &Path) -> (String, u32) {
    let once = || {
        let began = Instant::now();
        let (nothing, none) = (Stdio::null(), Stdio::null());
        let ended = Command::new(exe).arg("--version").stdout(nothing).stderr(none).status();
        ended.ok().map(|_| began.elapsed())
    };
    let Some(best) = (0..3).filter_map(|_| once()).min() else {
        return ("no process could be started".into(), 1);
    };
    let factor = (best.as_micros() / ORDINARY.as_micros()).clamp(1, 100);
    let ms = best.as_secs_f64() * 1000.0;
    (format!("a process starts and ends in {ms:.1} ms: slow factor {factor}"), factor as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a failure of which this is said is explained, if nothing of what is assumed holds.
    fn check(said: &str, expected: Option<&str>) {
        let facts = [("descriptors", DESCRIPTORS), ("processes shown", PROC), ("memory", MEMORY)]
            .map(|(name, unmet)| fact(name, "", Some(&unmet)));
        let here = Environment { facts: facts.into(), slow_factor: 1 };
        assert_eq!(here.explains(said).map(|fact| fact.name.as_str()), expected, "{said}");
    }

    #[test]
    fn what_is_missing_explains_only_its_own_failures() {
        check("os:EMFILE", Some("descriptors"));
        check("no /proc/self/exe available", Some("processes shown"));
        check("truncated", None);
    }

    #[test]
    fn what_holds_explains_nothing() {
        let here = Environment { facts: vec![fact("descriptors", 1024, None)], slow_factor: 1 };
        assert!(here.explains("os:EMFILE").is_none());
    }
}
