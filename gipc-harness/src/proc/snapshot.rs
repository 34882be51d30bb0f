//! Whether processes can still move by themselves: two looks at the kernel's account of every thread.
//!
//! A thread that was asleep in the same call at both looks, and was not switched to in between, slept through the
//! instant between them; if all did, and none has a timer, nobody can wake anybody. A starved thread is runnable
//! and not asleep, so no load can make this wrong. It says nothing about why.

use super::process_tree;
use super::syscalls::{resumed, timer, wait, waits_for_alarms};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The account of all threads at about one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcSnapshot(BTreeMap<i32, Process>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Process {
    /// Ended and not yet reaped: it cannot move.
    Zombie,
    Gone,
    /// By thread.
    Alive(BTreeMap<i32, Thread>),
    /// The system does not let us look.
    Hidden,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) state: char,
    /// How often it was switched from and to.
    counters: [u64; 3],
    /// The call it is in: number and arguments, or `running`.
    pub(crate) call: String,
    /// Whether an alarm could wake it: nobody can see how alarms are set, only that somebody waits for one.
    pub(crate) alarm: bool,
}

/// What two looks show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// Nobody can move by itself. What each process sleeps in.
    Asleep(BTreeMap<i32, String>),
    /// Somebody can, and this is how one knows.
    Awake(String),
    /// The system does not show it.
    Unknown,
}

/// Looks at all threads of these processes.
#[must_use]
pub fn look(pids: &[i32]) -> ProcSnapshot {
    ProcSnapshot(pids.iter().map(|pid| (*pid, process(*pid))).collect())
}

/// Compares two looks, the first of which was over before the second began.
#[must_use]
pub fn frozen(before: &ProcSnapshot, after: &ProcSnapshot) -> Sleep {
    compare(before, after, TimerPolicy::Wake)
}

/// The same, but for timers of threads beside the first in the calls in which pools and engines such as V8 wait for work:
/// they have some for their own housekeeping. Who only sleeps will wake up and do something.
#[must_use]
pub fn frozen_but_helpers(before: &ProcSnapshot, after: &ProcSnapshot) -> Sleep {
    compare(before, after, TimerPolicy::WakeTheFirst)
}

/// The same, of those who may also sleep until a timer rings: they wait now, if not for ever.
#[must_use]
pub fn asleep(before: &ProcSnapshot, after: &ProcSnapshot) -> Sleep {
    compare(before, after, TimerPolicy::Sleep)
}

/// What a timer makes of a process that sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimerPolicy {
    /// Classified that can move by itself.
    Wake,
    /// The same, if it is a timer of its first thread, or of another that does nothing but sleep.
    WakeTheFirst,
    /// Classified that sleeps all the same.
    Sleep,
}

fn compare(before: &ProcSnapshot, after: &ProcSnapshot, timers: TimerPolicy) -> Sleep {
    if before.0.keys().ne(after.0.keys()) {
        return Sleep::Awake("processes came or went".into());
    }
    let mut calls = BTreeMap::new();
    for (pid, process) in &after.0 {
        match alone(*pid, &before.0[pid], process, timers) {
            Classified::Ended => {}
            Classified::Sleeps(call) => drop(calls.insert(*pid, call)),
            Classified::Moves(why) => return Sleep::Awake(format!("{pid}: {why}")),
            Classified::Hidden => return Sleep::Unknown,
        }
    }
    Sleep::Asleep(calls)
}

/// Who could move by himself, and how one knows; the others slept through one instant. `None` where somebody came or
/// went, or is not shown.
#[must_use]
pub fn movers(before: &ProcSnapshot, after: &ProcSnapshot) -> Option<BTreeMap<i32, String>> {
    if before.0.keys().ne(after.0.keys()) {
        return None;
    }
    let mut movers = BTreeMap::new();
    for (pid, process) in &after.0 {
        match alone(*pid, &before.0[pid], process, TimerPolicy::Wake) {
            Classified::Ended | Classified::Sleeps(_) => {}
            Classified::Moves(why) => drop(movers.insert(*pid, why)),
            Classified::Hidden => return None,
        }
    }
    Some(movers)
}

/// What each of them sleeps in, also until a timer rings; who does not sleep is left out.
#[must_use]
pub fn calls(before: &ProcSnapshot, after: &ProcSnapshot) -> BTreeMap<i32, String> {
    let both = after.0.iter().filter_map(|(pid, process)| Some((pid, before.0.get(pid)?, process)));
    both.filter_map(|(pid, before, after)| match alone(*pid, before, after, TimerPolicy::Sleep) {
        Classified::Sleeps(call) => Some((*pid, call)),
        _ => None,
    })
    .collect()
}

/// What two looks show of one process.
enum Classified {
    /// It has ended.
    Ended,
    /// All its threads sleep, the first one in this.
    Sleeps(String),
    /// It can move by itself, and this is how one knows.
    Moves(String),
    /// The system does not show it.
    Hidden,
}

fn alone(pid: i32, before: &Process, after: &Process, timers: TimerPolicy) -> Classified {
    let threads = match after {
        Process::Zombie => return Classified::Ended,
        Process::Gone => return Classified::Moves("it is gone".into()),
        Process::Hidden => return Classified::Hidden,
        Process::Alive(_) if before != after => return Classified::Moves("it moved".into()),
        Process::Alive(threads) => threads,
    };
    let mut call = String::new();
    for (tid, thread) in threads {
        let timers = match timers {
            TimerPolicy::WakeTheFirst if *tid == pid => TimerPolicy::Wake,
            timers => timers,
        };
        match wait(pid, thread, timers) {
            Ok(words) if *tid == pid => call = words,
            Ok(_) => {}
            Err(why) => return Classified::Moves(why),
        }
    }
    match timer(pid).filter(|_| timers != TimerPolicy::Sleep) {
        Some(why) => Classified::Moves(why),
        None => Classified::Sleeps(call),
    }
}

fn process(pid: i32) -> Process {
    let Some(member) = process_tree::member(pid) else {
        return if process_tree::is_shown() { Process::Gone } else { Process::Hidden };
    };
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Process::Gone };
    let tids: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // A leader is a zombie while other threads of it still run: only alone it is really over.
    if member.state == 'Z' && tids.iter().all(|tid| *tid == pid) {
        return Process::Zombie;
    }
    let mut threads = BTreeMap::new();
    for tid in tids {
        match thread(pid, tid) {
            Ok(thread) => drop(threads.insert(tid, thread)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Process::Hidden;
            }
            // It is there, and the system does not tell of it what Linux does.
            Err(_) if Path::new(&format!("/proc/{pid}/task/{tid}")).exists() => {
                return Process::Hidden;
            }
            Err(_) => return Process::Gone,
        }
    }
    Process::Alive(threads)
}

fn thread(pid: i32, tid: i32) -> io::Result<Thread> {
    let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}"));
    let status = file("status")?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let number = |name: &str| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let schedule = file("schedstat").unwrap_or_default();
    let signals =
        |name| field(name).and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0);
    let (caught, ignored) = (signals("SigCgt:"), signals("SigIgn:"));
    Ok(Thread {
        state: field("State:").and_then(|state| state.chars().next()).unwrap_or('?'),
        counters: [
            number("voluntary_ctxt_switches:"),
            number("nonvoluntary_ctxt_switches:"),
            schedule
                .split_ascii_whitespace()
                .nth(2)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        ],
        // A zombie among the threads has no call.
        call: resumed(file("syscall")?.trim_end(), || file("wchan")),
        alarm: waits_for_alarms(caught, ignored),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// Starts a program and looks at it until it says what is expected; the looks are the only clock.
    fn check(program: &[&str], expected: impl Fn(&Sleep) -> bool) {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it is on every system");
        let pid = i32::try_from(child.id()).expect("a small number");
        let found = (0..2000).any(|_| expected(&frozen(&look(&[pid]), &look(&[pid]))));
        end(&mut child);
        assert!(found, "{program:?}");
    }

    fn end(child: &mut Child) {
        let _ = child.kill();
        let _ = child.wait();
    }

    #[test]
    fn one_that_reads_from_a_pipe_is_frozen() {
        check(
            &["cat"],
            |seen| matches!(seen, Sleep::Asleep(calls) if calls.values().any(|c| c.starts_with("read"))),
        );
    }

    #[test]
    fn one_that_sleeps_for_a_time_is_not() {
        check(
            &["sleep", "1000"],
            |seen| matches!(seen, Sleep::Awake(why) if why.contains("call") || why.contains("timer")),
        );
    }

    #[test]
    fn one_that_sleeps_for_a_time_sleeps() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("it is on every system");
        let pid = i32::try_from(child.id()).expect("a small number");
        let found =
            (0..2000).any(|_| matches!(asleep(&look(&[pid]), &look(&[pid])), Sleep::Asleep(_)));
        end(&mut child);
        assert!(found);
    }

    #[test]
    fn one_that_works_is_not() {
        check(&["sh", "-c", "while :; do :; done"], |seen| matches!(seen, Sleep::Awake(_)));
    }
}
