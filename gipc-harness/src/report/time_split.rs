//! What the time of a run of the suite was spent on, as a table and as JSON: the sum over its scenarios, and the processor
//! time.

use crate::runner::{Phase, Timings};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::time::Duration;

/// The time of the runs so far, by what it was spent on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeSplit {
    /// How many runs are counted.
    pub runs: usize,
    /// The sum over the runs.
    pub sum: Timings,
}

/// The processor time that this program and the processes that it has waited for have used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CpuTime {
    harness: Duration,
    processes: Duration,
}

impl TimeSplit {
    /// Adds one run.
    pub(super) fn add(&mut self, timings: &Timings) {
        self.runs += 1;
        self.sum += *timings;
    }

    /// The table: a line for each phase with its seconds and its share, and lines for the total. The run took this many
    /// seconds of real time with this many runs at once.
    pub(super) fn table(&self, cpu: CpuTime, seconds: f64, at_once: usize) -> String {
        let total = self.sum.total().as_secs_f64();
        let mut out = "\n  time\n\n".to_owned();
        for phase in Phase::ALL {
            let of_phase = self.sum.of(phase).as_secs_f64();
            let share = if total > 0.0 { 100.0 * of_phase / total } else { 0.0 };
            let _ = writeln!(out, "  {of_phase:>8.2} s  {share:>3.0} %  {}", phase.title());
        }
        let runs = match self.runs {
            1 => "1 run".to_owned(),
            runs => format!("{runs} runs"),
        };
        let _ =
            writeln!(out, "  {total:>8.2} s         {runs} in {seconds:.2} s, {at_once} at once");
        for (time, what) in [
            (cpu.harness, "processor time of the harness"),
            (cpu.processes, "processor time of the processes that it started"),
        ] {
            let _ = writeln!(out, "  {:>8.2} s         {what}", time.as_secs_f64());
        }
        out
    }

    /// The sum and the processor time as fields of the summary.
    pub(super) fn json(&self, cpu: CpuTime) -> Value {
        let mut fields = fields(&self.sum);
        fields.insert("cpu_harness".into(), json!(cpu.harness.as_secs_f64()));
        fields.insert("cpu_processes".into(), json!(cpu.processes.as_secs_f64()));
        Value::Object(fields)
    }
}

impl CpuTime {
    /// What was used until now; zero if the system does not report it.
    pub(super) fn now() -> Self {
        let of = |usage: Usage| {
            let micros = (usage.user_time() + usage.system_time()).num_microseconds();
            Duration::from_micros(u64::try_from(micros).unwrap_or_default())
        };
        let used = |who| getrusage(who).map(of).unwrap_or_default();
        Self { harness: used(UsageWho::RUSAGE_SELF), processes: used(UsageWho::RUSAGE_CHILDREN) }
    }
}

/// The seconds of each phase of one run.
pub(super) fn of_run(timings: &Timings) -> Value {
    Value::Object(fields(timings))
}

fn fields(timings: &Timings) -> Map<String, Value> {
    let field = |phase: Phase| (phase.key().to_owned(), json!(timings.of(phase).as_secs_f64()));
    Phase::ALL.into_iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_phase_with_its_share() {
        let mut one = Timings::default();
        one.add(Phase::ProcessStart, Duration::from_millis(1500));
        one.add(Phase::Quiescence, Duration::from_millis(500));
        let mut split = TimeSplit::default();
        split.add(&one);
        split.add(&one);
        let cpu = CpuTime { harness: Duration::from_millis(250), ..CpuTime::default() };
        let expected = "\n  time\n
      3.00 s   75 %  process start
      0.00 s    0 %  protocol
      0.00 s    0 %  implementation
      1.00 s   25 %  waiting for quiescence
      0.00 s    0 %  process end
      0.00 s    0 %  model
      0.00 s    0 %  judging
      0.00 s    0 %  reporting
      4.00 s         2 runs in 2.10 s, 2 at once
      0.25 s         processor time of the harness
      0.00 s         processor time of the processes that it started
";
        assert_eq!(split.table(cpu, 2.1, 2), expected);
    }

    #[test]
    fn a_run_without_any_time_has_a_share_of_zero() {
        assert!(TimeSplit::default().table(CpuTime::default(), 0.0, 1).contains("  0 %  protocol"));
    }

    #[test]
    fn the_summary_has_each_phase_and_the_processor_time() {
        let json = TimeSplit::default().json(CpuTime::now());
        assert_eq!(json["quiescence"], 0.0);
        assert!(json["cpu_harness"].as_f64().is_some_and(|seconds| seconds > 0.0));
    }
}
