//! Finds out whether processes can still move by themselves, by comparing two snapshots of all their threads.
//!
//! A thread that is asleep in the same call in both snapshots, and was not switched to in between, slept through the instant
//! between them. If all threads did, and none has a timer, no process can wake another one. A thread that gets no processor
//! time is runnable rather than asleep, so load on the machine cannot make this wrong.

use super::process_tree;
use super::syscalls::{are_numbers_native, decode_blocking_call, has_armed_timerfd};
use super::thread_state::ThreadState;
use crate::trace::BlockedIn;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

pub use super::syscalls::TimerPolicy;

/// The state of all threads of some processes at roughly one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcSnapshot(BTreeMap<i32, ProcessState>);

/// What two snapshots show of a set of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// No process can move by itself. The map says what each process that has not ended sleeps in.
    Asleep(BTreeMap<i32, BlockedIn>),
    /// At least one process can move by itself. The text is the observation that shows it.
    Awake(String),
    /// The system does not show enough.
    Unknown,
}

impl ProcSnapshot {
    /// Reads the state of all threads of these processes.
    #[must_use]
    pub fn take(pids: &[i32]) -> Self {
        Self(pids.iter().map(|pid| (*pid, ProcessState::read(*pid))).collect())
    }

    /// Reads the state of all threads of all processes below a process, and of that process itself. `None` if the system
    /// does not show them.
    #[must_use]
    pub fn take_below(root: i32) -> Option<Self> {
        let below = process_tree::pids_below(root).or_else(|| {
            let all = process_tree::descendants(root)?;
            Some(all.into_iter().map(|process| process.pid).collect())
        });
        let pids: Vec<i32> = below?.into_iter().chain([root]).collect();
        Some(Self::take(&pids))
    }

    /// Whether some thread is not asleep at the moment of this snapshot.
    #[must_use]
    pub fn has_running_thread(&self) -> bool {
        self.0.values().any(|process| match process {
            ProcessState::Alive(threads) => threads.values().any(|thread| thread.state != 'S'),
            _ => false,
        })
    }

    /// Says whether all processes slept from this snapshot until a later one, which was begun after this one was complete.
    #[must_use]
    pub fn sleep_until(&self, later: &Self, timers: TimerPolicy) -> Sleep {
        if !self.has_same_processes(later) {
            return Sleep::Awake("processes came or went".into());
        }
        let mut calls = BTreeMap::new();
        for (pid, activity) in self.activities(later, timers) {
            match activity {
                Activity::Ended => {}
                Activity::Asleep(call) => drop(calls.insert(pid, call)),
                Activity::Awake(why) => return Sleep::Awake(format!("{pid}: {why}")),
                Activity::Unknown => return Sleep::Unknown,
            }
        }
        Sleep::Asleep(calls)
    }

    /// The processes that could move by themselves, each with the observation that shows it. All others slept until the
    /// later snapshot, without a timer. `None` if a process was started, is gone, or is not shown by the system.
    #[must_use]
    pub fn awake_processes(&self, later: &Self) -> Option<BTreeMap<i32, String>> {
        if !self.has_same_processes(later) {
            return None;
        }
        let mut awake = BTreeMap::new();
        for (pid, activity) in self.activities(later, TimerPolicy::AnyTimerWakes) {
            match activity {
                Activity::Ended | Activity::Asleep(_) => {}
                Activity::Awake(why) => drop(awake.insert(pid, why)),
                Activity::Unknown => return None,
            }
        }
        Some(awake)
    }

    /// What each process that slept until the later snapshot sleeps in, with or without a timer.
    #[must_use]
    pub fn blocked_in(&self, later: &Self) -> BTreeMap<i32, BlockedIn> {
        self.activities(later, TimerPolicy::TimersIgnored)
            .filter_map(|(pid, activity)| match activity {
                Activity::Asleep(call) => Some((pid, call)),
                _ => None,
            })
            .collect()
    }

    fn has_same_processes(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }

    fn activities(
        &self,
        later: &Self,
        timers: TimerPolicy,
    ) -> impl Iterator<Item = (i32, Activity)> {
        later.0.iter().filter_map(move |(pid, after)| {
            Some((*pid, Activity::between(*pid, self.0.get(pid)?, after, timers)))
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ProcessState {
    /// The process has ended and was not reaped yet.
    Zombie,
    Gone,
    /// The process has not ended. The state of each thread, by its id.
    Alive(BTreeMap<i32, ThreadState>),
    /// The system does not allow reading its state.
    Hidden,
}

impl ProcessState {
    fn read(pid: i32) -> Self {
        if !are_numbers_native() {
            return Self::Hidden;
        }
        let Some(process) = process_tree::stat(pid) else {
            return if process_tree::is_shown() { Self::Gone } else { Self::Hidden };
        };
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Self::Gone };
        let tids: Vec<i32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        // The first thread may be a zombie while other threads of the process still run.
        if process.state == 'Z' && tids.iter().all(|tid| *tid == pid) {
            return Self::Zombie;
        }
        let mut threads = BTreeMap::new();
        for tid in tids {
            match ThreadState::read(pid, tid) {
                Ok(thread) => drop(threads.insert(tid, thread)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Self::Hidden;
                }
                // The thread exists, but the system lacks a file that Linux has.
                Err(_) if Path::new(&format!("/proc/{pid}/task/{tid}")).exists() => {
                    return Self::Hidden;
                }
                Err(_) => return Self::Gone,
            }
        }
        Self::Alive(threads)
    }
}

/// What two snapshots show of one process.
enum Activity {
    Ended,
    /// All its threads sleep; the first one sleeps in this.
    Asleep(BlockedIn),
    /// It can move by itself. The text is the observation that shows it.
    Awake(String),
    /// The system does not show it.
    Unknown,
}

impl Activity {
    fn between(pid: i32, before: &ProcessState, after: &ProcessState, timers: TimerPolicy) -> Self {
        let threads = match after {
            // The end of a process wakes its parent, which may have been looked at before.
            ProcessState::Zombie if before != after => {
                return Self::Awake("it has ended just now".into());
            }
            ProcessState::Zombie => return Self::Ended,
            ProcessState::Gone => return Self::Awake("it is gone".into()),
            ProcessState::Hidden => return Self::Unknown,
            ProcessState::Alive(_) if before != after => return Self::Awake("it moved".into()),
            ProcessState::Alive(threads) => threads,
        };
        let mut first_thread = None;
        for (tid, thread) in threads {
            let timers = match timers {
                TimerPolicy::HelperTimersIgnored if *tid == pid => TimerPolicy::AnyTimerWakes,
                timers => timers,
            };
            match decode_blocking_call(pid, thread, timers) {
                Ok(call) if *tid == pid => first_thread = Some(call),
                Ok(_) => {}
                Err(why) => return Self::Awake(why),
            }
        }
        match first_thread {
            _ if timers != TimerPolicy::TimersIgnored && has_armed_timerfd(pid) => {
                Self::Awake("a timer is set".into())
            }
            Some(call) => Self::Asleep(call),
            None => Self::Awake("it is gone".into()),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A parent that waits for its child, which is in this state.
    fn parent_and_child(child: ProcessState) -> ProcSnapshot {
        let waits = ThreadState::asleep_in(&format!("{} 0xffffffff", libc::SYS_wait4));
        let parent = ProcessState::Alive([(1, waits)].into());
        ProcSnapshot([(1, parent), (2, child)].into())
    }

    #[test]
    fn a_process_that_ends_between_two_snapshots_may_have_woken_its_parent() {
        let mut running = ThreadState::asleep_in("running");
        running.state = 'R';
        let runs = parent_and_child(ProcessState::Alive([(2, running)].into()));
        let ended = parent_and_child(ProcessState::Zombie);
        let reason = "2: it has ended just now".to_owned();
        assert_eq!(runs.sleep_until(&ended, TimerPolicy::AnyTimerWakes), Sleep::Awake(reason));
        assert_eq!(runs.awake_processes(&ended).map(|awake| awake.len()), Some(1));
        let is_asleep = |sleep| matches!(sleep, Sleep::Asleep(calls) if calls.len() == 1);
        assert!(is_asleep(ended.sleep_until(&ended, TimerPolicy::AnyTimerWakes)));
    }

    fn sleep_of(pid: i32, timers: TimerPolicy) -> Sleep {
        ProcSnapshot::take(&[pid]).sleep_until(&ProcSnapshot::take(&[pid]), timers)
    }

    /// Starts a program and compares snapshots until they show what is expected, at most a fixed number of times.
    fn check(program: &[&str], timers: TimerPolicy, is_expected: impl Fn(&Sleep) -> bool) {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("every system has it");
        let pid = i32::try_from(child.id()).expect("a small number");
        let found = (0..2000).any(|_| is_expected(&sleep_of(pid, timers)));
        end(&mut child);
        assert!(found, "{program:?}");
    }

    fn end(child: &mut Child) {
        let _ = child.kill();
        let _ = child.wait();
    }

    #[test]
    fn a_process_that_reads_from_a_pipe_is_asleep_in_read() {
        let is_in_read = |calls: &BTreeMap<i32, BlockedIn>| {
            calls.values().any(|call| call.to_string() == "read(fd 0)")
        };
        check(
            &["cat"],
            TimerPolicy::AnyTimerWakes,
            |seen| matches!(seen, Sleep::Asleep(calls) if is_in_read(calls)),
        );
    }

    #[test]
    fn a_process_that_sleeps_for_a_time_can_move() {
        check(
            &["sleep", "1000"],
            TimerPolicy::AnyTimerWakes,
            |seen| matches!(seen, Sleep::Awake(why) if why.contains("call") || why.contains("timer")),
        );
    }

    #[test]
    fn a_process_that_sleeps_for_a_time_is_asleep_where_timers_do_not_count() {
        check(&["sleep", "1000"], TimerPolicy::TimersIgnored, |seen| {
            matches!(seen, Sleep::Asleep(_))
        });
    }

    #[test]
    fn a_process_that_computes_can_move() {
        check(&["sh", "-c", "while :; do :; done"], TimerPolicy::AnyTimerWakes, |seen| {
            matches!(seen, Sleep::Awake(_))
        });
    }
}
