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
const LIMIT: Duration = Duration::from_secs(10);

/// Lists the processes below this one that are left behind; `None` where the system does not list processes.
///
/// A helper of the implementation may end because `main` has ended, and on a busy machine that takes it a while. So the list
/// is final only when all processes in it slept from one look to the next. `all_reaped` reports that none is left, and
/// `is_waiting` is called between two looks.
pub(super) fn settled(
    own: i32,
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
        if left.is_empty() || is_settled || began.elapsed() > LIMIT {
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
