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
    /// Reads the words of a command line behind the program's name.
    pub(crate) fn parse(words: &[String]) -> Option<Self> {
        let [workload, size, count] = words else { return None };
        Some(Self {
            workload: workload.clone(),
            size: size.parse().ok()?,
            count: count.parse().ok()?,
        })
    }
}

/// What a process has used since it began, its reaped children included, or between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time in seconds.
    cpu_seconds: f64,
    /// Page faults that needed no device.
    page_faults: std::ffi::c_long,
}

impl Usage {
    pub(crate) fn now() -> Self {
        [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
            .into_iter()
            .filter_map(|who| getrusage(who).ok())
            .map(|usage| {
                let time = usage.user_time() + usage.system_time();
                Self {
                    cpu_seconds: time.num_microseconds() as f64 / 1e6,
                    page_faults: usage.minor_page_faults(),
                }
            })
            .fold(Self::default(), |sum, usage| Self {
                cpu_seconds: sum.cpu_seconds + usage.cpu_seconds,
                page_faults: sum.page_faults + usage.page_faults,
            })
    }

    /// What was used since `self`, in the words that a child sends its parent: seconds, page faults, and the most memory
    /// that the process ever had in KiB.
    pub(crate) fn words_since(self) -> String {
        let now = Self::now();
        let (cpu, faults) =
            (now.cpu_seconds - self.cpu_seconds, now.page_faults - self.page_faults);
        format!("{cpu} {faults} {}", peak_rss_kb())
    }
}

/// The most memory that this process ever had, in KiB; 0 where the system does not show it.
pub(crate) fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A measurement that goes on.
pub(crate) struct Watch {
    began: Instant,
    usage: Usage,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), usage: Usage::now() }
    }

    /// Prints the line. `child` is what a child said of itself by [`Usage::words_since`]; it is empty where the children were
    /// reaped before, since their parent's usage then contains theirs.
    pub(crate) fn report(self, task: &Task, child: &[u8]) {
        let now = Usage::now();
        let child = String::from_utf8_lossy(child);
        let mut words = child.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
        let (child_cpu, child_faults, child_peak): (f64, f64, f64) = (number(), number(), number());
        let line = serde_json::json!({
            "seconds": self.began.elapsed().as_secs_f64(),
            "messages": task.count,
            "bytes": task.count * task.size,
            "cpu_seconds": now.cpu_seconds - self.usage.cpu_seconds + child_cpu,
            "page_faults": (now.page_faults - self.usage.page_faults) as f64 + child_faults,
            "peak_rss_kb_parent": peak_rss_kb(),
            "peak_rss_kb_child": child_peak as u64,
        });
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
