//! What the contenders share: their command line, what they measure, and the line of JSON that they print.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::io::Write;
use std::time::Instant;

/// `WORKLOAD SIZE COUNT`.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) workload: String,
    pub(crate) size: usize,
    pub(crate) count: usize,
}

impl Task {
    /// Reads the command line.
    pub(crate) fn from_args() -> Option<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [workload, size, count] = &words[..] else { return None };
        Some(Self {
            workload: workload.clone(),
            size: size.parse().ok()?,
            count: count.parse().ok()?,
        })
    }
}

/// Processor time of this process and its reaped children, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let of = |who| {
        getrusage(who).map_or(0.0, |usage| {
            (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64
                / 1e6
        })
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

/// The most memory that this process ever had, in KiB; 0 where the system does not show it.
pub(crate) fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What a child measured of itself between being ready and its last acknowledgement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_kb: u64,
}

impl From<&[u8]> for Own {
    /// As a child without a codec says it: the seconds, a space, the KiB.
    fn from(words: &[u8]) -> Self {
        let words = String::from_utf8_lossy(words);
        let (cpu, rss) = words.split_once(' ').unwrap_or_default();
        Self { cpu_seconds: cpu.parse().unwrap_or(0.0), peak_rss_kb: rss.parse().unwrap_or(0) }
    }
}

/// A measurement that goes on.
pub(crate) struct Watch {
    began: Instant,
    cpu: f64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_seconds() }
    }

    /// Prints the line.
    pub(crate) fn report(self, task: &Task, child: Own) {
        let line = serde_json::json!({
            "seconds": self.began.elapsed().as_secs_f64(),
            "messages": task.count,
            "bytes": task.count * task.size,
            "cpu_seconds": cpu_seconds() - self.cpu + child.cpu_seconds,
            "peak_rss_kb_parent": peak_rss_kb(),
            "peak_rss_kb_child": child.peak_rss_kb,
        });
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
