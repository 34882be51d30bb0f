//! Measures how fast the machine starts processes, to extend timeouts on slow machines.

use crate::process_role::NOTHING;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A machine that needs up to twice this time to start and end a process still counts as an ordinary machine under load.
const ORDINARY: Duration = Duration::from_millis(10);

/// Starts a process that does nothing three times. Returns the best time as a text, and the factor for timeouts.
pub(super) fn measure(exe: &Path) -> (String, u32) {
    let Some(best) = (0..3).filter_map(|_| start_and_end(exe)).min() else {
        return ("no process could be started".into(), 1);
    };
    let factor = (best.as_micros() / ORDINARY.as_micros()).clamp(1, 100);
    let ms = best.as_secs_f64() * 1000.0;
    (format!("a process starts and ends in {ms:.1} ms: slow factor {factor}"), factor as u32)
}

/// The time that one process takes, or `None` if it cannot be started.
fn start_and_end(exe: &Path) -> Option<Duration> {
    let start = Instant::now();
    let mut command = Command::new(exe);
    command.arg(NOTHING).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    Some(start.elapsed())
}
