//! Finds the processes that a run leaves behind: they exist although `main` has ended, and they are not about to end.

use super::messages::LeakedProcess;
use crate::proc::process_tree::{self, ProcStat};
use crate::proc::snapshot::{ProcSnapshot, Sleep, TimerPolicy};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long to wait before the second look at the processes that are left. Each further look waits twice as long.
const FIRST_INTERVAL: Duration = Duration::from_millis(1);
/// The longest time between two looks.
const MAX_INTERVAL: Duration = Duration::from_millis(100);
/// A process that neither ends nor sleeps for this long is left behind.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Lists the processes below this one that are left behind; `None` where the system does not list processes.
///
/// A helper of the implementation may end because `main` has ended, and on a busy machine that takes it a while. So the list
/// is final only when all processes in it slept from one look to the next, or when `limit` has passed. `all_reaped` reports
/// that none is left, and `is_waiting` is called between two looks.
pub(super) fn settled(
    own: i32,
    limit: Duration,
    all_reaped: &Receiver<()>,
    is_waiting: impl Fn(),
) -> Option<Vec<LeakedProcess>> {
    let (began, mut interval) = (Instant::now(), FIRST_INTERVAL);
    let mut before: Option<ProcSnapshot> = None;
    loop {
        let left = left(own)?;
        let pids: Vec<i32> = left.iter().map(|process| process.pid).collect();
        let now = ProcSnapshot::take(&pids);
        let is_awake = |before: ProcSnapshot| {
            matches!(before.sleep_until(&now, TimerPolicy::TimersIgnored), Sleep::Awake(_))
        };
        let is_settled = before.take().is_some_and(|before| !is_awake(before));
        if left.is_empty() || is_settled || began.elapsed() >= limit {
            return Some(left.iter().map(described).collect());
        }
        before = Some(now);
        is_waiting();
        if all_reaped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
            return Some(Vec::new());
        }
        interval = MAX_INTERVAL.min(interval * 2);
    }
}

/// The processes below this one that have not ended, and the zombies that their own parents have not reaped.
fn left(own: i32) -> Option<Vec<ProcStat>> {
    let mut left = process_tree::descendants(own)?;
    // A zombie child of the supervisor is about to be reaped.
    left.retain(|process| process.state != 'Z' || process.parent != own);
    Some(left)
}

fn described(process: &ProcStat) -> LeakedProcess {
    LeakedProcess {
        pid: process.pid,
        parent: process.parent,
        state: process.state.to_string(),
        command: process_tree::command_line(process.pid),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;

    /// A shell that waits for its child, which never sleeps, and the pid of that child.
    fn parent_of_a_busy_process() -> (Child, i32) {
        let mut parent = Command::new("sh")
            .args(["-c", "while :; do :; done & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let output = parent.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut line).expect("the shell writes");
        (parent, line.trim().parse().expect("a pid"))
    }

    /// Looks until the list is final. When it has waited between so many looks, the busy process is killed.
    fn settled_with(limit: Duration, looks: u32) -> (Vec<i32>, i32, u32) {
        let (mut parent, busy) = parent_of_a_busy_process();
        let own = i32::try_from(parent.id()).expect("a pid");
        let kill = || {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(busy),
                nix::sys::signal::Signal::SIGKILL,
            );
        };
        let (_keep, all_reaped) = mpsc::channel();
        let waits = Cell::new(0);
        let found = settled(own, limit, &all_reaped, || {
            waits.set(waits.get() + 1);
            if waits.get() == looks {
                kill();
            }
        });
        // A process that was killed before may be reaped, and its pid may belong to another one.
        if waits.get() < looks {
            kill();
        }
        parent.wait().expect("the shell ends");
        let found = found.expect("Linux lists processes");
        (found.iter().map(|process| process.pid).collect(), busy, waits.get())
    }

    #[test]
    fn a_process_that_never_sleeps_is_left_behind_once_the_limit_has_passed() {
        let (left, busy, waits) = settled_with(Duration::ZERO, u32::MAX);
        assert_eq!((left, waits), (vec![busy], 0));
    }

    #[test]
    fn a_process_that_does_not_sleep_may_still_end_before_the_limit_has_passed() {
        let (left, _, waits) = settled_with(Duration::MAX, 5);
        assert_eq!(left, [0; 0]);
        assert!(waits >= 5, "it waited {waits} times");
    }
}
