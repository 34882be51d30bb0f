//! Properties of the system that a report shows but the suite does not depend on.

use crate::proc::platform;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The content of a file of one line, without the line end.
fn read_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The operating system, its release and its architecture.
pub(super) fn system() -> String {
    let built_for = std::env::consts::ARCH;
    let Ok(name) = nix::sys::utsname::uname() else {
        return format!("{} {built_for}", std::env::consts::OS);
    };
    let parts = [name.sysname(), name.release(), name.machine()];
    let text = parts.map(|part| part.to_string_lossy().into_owned()).join(" ");
    if text.ends_with(built_for) { text } else { format!("{text}, built for {built_for}") }
}

pub(super) fn user() -> &'static str {
    if nix::unistd::geteuid().is_root() { "root" } else { "not root" }
}

/// The kind of container, and its limits.
pub(super) fn container() -> String {
    let markers = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let found = markers.iter().find(|(path, _)| Path::new(path).exists());
    let kind = found.map_or("none detected", |(_, kind)| kind);
    let limits: Vec<String> = [("memory.max", "bytes"), ("pids.max", "processes")]
        .iter()
        .filter_map(|(file, unit)| {
            let limit = read_line(&format!("/sys/fs/cgroup/{file}"))?;
            (limit != "max").then(|| format!("{limit} {unit}"))
        })
        .collect();
    if limits.is_empty() { kind.into() } else { format!("{kind}, at most {}", limits.join(", ")) }
}

/// The processes that may be inspected in addition to those that file permissions allow. The harness inspects only its own
/// descendants.
pub(super) fn ptrace() -> String {
    match read_line("/proc/sys/kernel/yama/ptrace_scope").as_deref() {
        Some("0") => "all processes of the same user (yama 0)".into(),
        Some("1") => "descendants only (yama 1)".into(),
        Some(other) => format!("only with privileges (yama {other})"),
        None => "restricted by file permissions only".into(),
    }
}

pub(super) fn cgroups() -> String {
    match read_line("/sys/fs/cgroup/cgroup.controllers") {
        Some(controllers) => {
            format!("version 2 ({controllers}); not needed, the supervisor adopts orphans")
        }
        None => "not version 2; not needed, the supervisor adopts orphans".into(),
    }
}

/// The clock source of the kernel, and the smallest step that was measured.
pub(super) fn clock() -> String {
    let source = read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.unwrap_or_else(|| "system clock".into());
    let steps = (0..1000).map(|_| Instant::now().elapsed()).filter(|step| !step.is_zero());
    match steps.min() {
        Some(step) => format!("{source}, steps of {} ns", step.as_nanos()),
        None => format!("{source}, no step measured"),
    }
}

/// How the harness learns that a process has ended.
pub(super) fn process_end() -> String {
    let own = i32::try_from(std::process::id()).ok();
    let is_reported = own.and_then(platform::open_process).is_some();
    let reason = if std::env::var_os(platform::PORTABLE_VARIABLE).is_some() {
        format!("{} is set", platform::PORTABLE_VARIABLE)
    } else {
        "the system reports no end of a process (no pidfd_open, no kqueue)".to_owned()
    };
    if is_reported {
        let descriptor = if cfg!(target_os = "linux") { "pidfd" } else { "kqueue" };
        format!("reported by a {descriptor}")
    } else {
        format!("looked for every 10 ms where processes are shown, since {reason}")
    }
}

/// The descriptors that this process inherited beyond the standard three. The harness does not pass them on.
pub(super) fn inherited_descriptors() -> String {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return "unknown".into() };
    let found: Vec<String> = entries.flatten().filter_map(|entry| inherited(&entry)).collect();
    if found.is_empty() { "no descriptor".into() } else { found.join(", ") }
}

/// The description of one open descriptor if it was inherited.
fn inherited(entry: &fs::DirEntry) -> Option<String> {
    let number: u32 = entry.file_name().to_str()?.parse().ok()?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
    let flags = i32::from_str_radix(flags, 8).ok()?;
    // This program opens its own descriptors with close-on-exec.
    let is_inherited = number > 2 && flags & libc::O_CLOEXEC == 0;
    let target = fs::read_link(entry.path()).ok()?;
    is_inherited.then(|| format!("descriptor {number} ({})", target.display()))
}

/// The maximum size of a pipe, and the number of pages up to which a user gets pipes of the default size.
pub(super) fn pipes() -> String {
    let max_size = read_line("/proc/sys/fs/pipe-max-size");
    let soft_limit = read_line("/proc/sys/fs/pipe-user-pages-soft");
    match (max_size, soft_limit) {
        (Some(bytes), Some(pages)) => {
            format!("at most {bytes} bytes each; smaller once one user has {pages} pages")
        }
        _ => "sizes unknown".into(),
    }
}
