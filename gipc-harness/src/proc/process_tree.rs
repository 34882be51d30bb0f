//! The processes below a process, from `/proc`. On systems without `/proc` none of this is known.

use super::platform::is_portable_forced;
use std::collections::BTreeMap;
use std::fs;
use std::io;

/// A process, as its `stat` file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcStat {
    /// The process id.
    pub pid: i32,
    /// The process that must reap it.
    pub parent: i32,
    /// The state letter: `R`, `S`, `Z`, …
    pub state: char,
    /// When the process started, in clock ticks since boot. Together, the pid and this time always identify the process.
    pub start_time: u64,
}

/// Reads one process; `None` if it does not exist, or the system has no `/proc`.
#[must_use]
pub fn stat(pid: i32) -> Option<ProcStat> {
    if is_portable_forced() { None } else { read_stat(pid) }
}

fn read_stat(pid: i32) -> Option<ProcStat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process started; `None` if it is gone, or the system has no `/proc`.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    read_stat(pid).map(|process| process.start_time)
}

/// Whether the process with this pid and start time has not ended. A zombie has ended.
pub(super) fn is_running(pid: i32, start_time: u64) -> bool {
    let Some(process) = read_stat(pid) else { return false };
    // The first thread may be a zombie while other threads of the process still run.
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    process.start_time == start_time && (!matches!(process.state, 'Z' | 'X') || threads() > 1)
}

/// Whether the system shows processes at all. It does if it shows the calling one.
#[must_use]
pub fn is_shown() -> bool {
    i32::try_from(std::process::id()).is_ok_and(|own| stat(own).is_some())
}

/// Whether this process lacks descriptors or memory to read `/proc`. Such an error does not mean that the other process is
/// gone.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Every process below `root`, without `root` itself. `None` if the system does not show processes, or if there are too few
/// descriptors to look at them.
#[must_use]
pub fn descendants(root: i32) -> Option<Vec<ProcStat>> {
    let mut children: BTreeMap<i32, Vec<ProcStat>> = BTreeMap::new();
    stat(root)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let process = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(text) => parse(&text),
            Err(error) if is_shortage(&error) => return None,
            // The process is gone, or belongs to another user.
            Err(_) => None,
        };
        if let Some(process) = process {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut unvisited = vec![root];
    while let Some(pid) = unvisited.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            unvisited.push(child.pid);
            found.push(child);
        }
    }
    Some(found)
}

/// The pids of the processes below `root`, found from parent to child, so that the cost does not depend on what else runs on
/// the machine. `None` if the system does not show the children of a process, or if there are too few descriptors to look at
/// them.
///
/// While processes end, the kernel may leave out some of the remaining ones. If two calls return the same list, it is
/// complete if all processes in it slept from before the second call until after it: then no process was reaped during the
/// second call.
pub(super) fn pids_below(root: i32) -> Option<Vec<i32>> {
    stat(root)?;
    let mut found = Vec::new();
    let mut unvisited = vec![root];
    while let Some(pid) = unvisited.pop() {
        let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
            Ok(threads) => threads,
            Err(error) if is_shortage(&error) => return None,
            // A process that is gone has no children any more: the root has become their parent.
            Err(_) => continue,
        };
        for thread in threads.flatten() {
            let children = match fs::read_to_string(thread.path().join("children")) {
                Ok(children) => children,
                Err(_) if thread.path().exists() => return None,
                Err(_) => continue,
            };
            let before = found.len();
            found.extend(
                children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()),
            );
            unvisited.extend_from_slice(&found[before..]);
        }
    }
    Some(found)
}

/// The children of a process, found by looking at all processes. `None` if the system does not show processes.
pub(super) fn children(parent: i32) -> Option<Vec<i32>> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter(|pid| stat(*pid).is_some_and(|process| process.parent == parent)).collect())
}

/// The command line of a process in one line; empty if it has none or is gone.
#[must_use]
pub fn command_line(pid: i32) -> String {
    if is_portable_forced() {
        return String::new();
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

fn parse(stat: &str) -> Option<ProcStat> {
    // The name of the program may contain brackets too. Only numbers follow the last bracket.
    let (front, rest) = stat.rsplit_once(')')?;
    let pid = front.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    Some(ProcStat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::proc::syscalls::has_armed_timerfd;

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ways_to_find_the_processes_below_a_process_find_the_same() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 1000 & sh -c 'sleep 1000 & echo; read x'; kill %1"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("every system has it");
        // The line is printed after both sleeps have started.
        let mut line = [0];
        let output = shell.stdout.as_mut().expect("it is piped");
        io::Read::read_exact(output, &mut line).expect("a line");
        let root = i32::try_from(shell.id()).expect("a small number");
        let mut below = pids_below(root).expect("the system shows children");
        let mut all: Vec<i32> =
            descendants(root).expect("shown").into_iter().map(|process| process.pid).collect();
        below.sort_unstable();
        all.sort_unstable();
        for pid in &all {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(*pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        let _ = shell.wait();
        assert_eq!(below.len(), 3, "{below:?}");
        assert_eq!(below, all);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn with_too_few_descriptors_no_process_is_taken_for_gone_and_no_timer_for_unset() {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        const LIMITED: &str = "GIPC_HARNESS_TEST_LIMITED";
        let own = i32::try_from(std::process::id()).expect("a small number");
        if std::env::var_os(LIMITED).is_none() {
            // The limit holds for all threads of a process, so the test runs in a process of its own.
            let name = "proc::process_tree::tests::with_too_few_descriptors_no_process_is_taken_for_gone_and_no_timer_for_unset";
            let program = std::env::current_exe().expect("this program");
            let mut command = std::process::Command::new(program);
            let output = command.args(["--exact", name]).env(LIMITED, "1").output();
            let output = output.expect("it starts");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
            return;
        }
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        setrlimit(Resource::RLIMIT_NOFILE, 64, hard).expect("less than before");
        let mut files: Vec<fs::File> = std::iter::from_fn(|| fs::File::open("/").ok()).collect();
        let with_none = (pids_below(own), has_armed_timerfd(own));
        // With one free descriptor, the list of processes can be opened, but nothing in it.
        files.pop();
        let with_one = (pids_below(own), descendants(own));
        drop(files);
        assert_eq!((with_none, with_one), ((None, true), (None, None)));
        assert_eq!((pids_below(own), has_armed_timerfd(own)), (Some(Vec::new()), false));
    }

    #[test]
    fn a_program_name_may_contain_brackets_and_blanks() {
        let stat = "42 (a) (b c) S 7 42 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 9876 1 2 3";
        assert_eq!(
            parse(stat),
            Some(ProcStat { pid: 42, parent: 7, state: 'S', start_time: 9876 })
        );
    }
}
