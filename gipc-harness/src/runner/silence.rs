//! Sends a notice when a run has made no progress for some seconds. A notice decides nothing: it shows a person what the
//! harness waits for.

use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The time without progress after which the first notice is sent. The next one follows after twice the time.
const FIRST_NOTICE: Duration = Duration::from_secs(5);

/// A run has made no progress for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceNotice {
    /// For how long no step and no process has begun or ended.
    pub lasted: Duration,
    /// The open steps, in file order.
    pub open: Vec<usize>,
    /// The processes that were started and have not connected.
    pub expected: Vec<String>,
}

/// Measures the time without progress.
pub(super) struct SilenceWatch {
    since: Instant,
    next: Duration,
    notices: Option<mpsc::UnboundedSender<SilenceNotice>>,
}

impl SilenceWatch {
    /// Creates a watch that sends its notices to this channel, if there is one.
    pub(super) fn new(notices: Option<mpsc::UnboundedSender<SilenceNotice>>) -> Self {
        Self { since: Instant::now(), next: FIRST_NOTICE, notices }
    }

    /// Records that there was progress.
    pub(super) fn reset(&mut self) {
        self.since = Instant::now();
        self.next = FIRST_NOTICE;
    }

    /// Sends a notice if one is due. `describe` gives the open steps and the processes that have not connected.
    pub(super) fn notice(&mut self, describe: impl FnOnce() -> (Vec<usize>, Vec<String>)) {
        let lasted = self.since.elapsed();
        let Some(notices) = self.notices.as_ref().filter(|_| lasted >= self.next) else { return };
        let (open, expected) = describe();
        // This fails only without a receiver, and then no one wants the notice.
        let _ = notices.send(SilenceNotice { lasted, open, expected });
        self.next = lasted * 2;
    }
}
