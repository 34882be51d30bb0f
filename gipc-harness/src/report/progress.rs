//! The progress of a run of the suite, on stderr: how far it has got, how many runs are not as expected, how long the rest
//! takes, and what runs at the moment.

use super::console::width_of;
use super::remaining_time::RemainingTime;
use crate::variant::Job;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the shown times are updated.
const TICK: Duration = Duration::from_millis(200);
/// For how many seconds a run must last before its time is shown.
const LONG: f64 = 2.0;
/// The width of a terminal that does not say how wide it is.
const DEFAULT_WIDTH: usize = 80;

/// The progress of one run of the suite. It is shown only if stderr is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
}

/// What the lines below say.
struct State {
    adapter: String,
    planned: usize,
    ended: usize,
    unexpected: usize,
    running: Vec<Running>,
    /// The remembered seconds of each scenario, by its lasting name.
    remembered: BTreeMap<String, f64>,
    remaining: RemainingTime,
}

struct Running {
    job: Arc<Job>,
    remembered: Option<f64>,
    since: Instant,
}

impl Progress {
    /// The progress of runs on an adapter, this many at once. `names` are the lasting names of the planned runs, and
    /// `remembered` says how many seconds some of them took.
    pub(super) fn new(
        adapter: &str,
        names: &[String],
        remembered: BTreeMap<String, f64>,
        at_once: usize,
        is_visible: bool,
    ) -> Self {
        let times: Vec<Option<f64>> =
            names.iter().map(|name| remembered.get(name).copied()).collect();
        let state = Arc::new(Mutex::new(State {
            adapter: adapter.to_owned(),
            planned: names.len(),
            ended: 0,
            unexpected: 0,
            running: Vec::new(),
            remembered,
            remaining: RemainingTime::new(&times, at_once),
        }));
        let bar = match is_visible {
            true => ProgressBar::new(names.len() as u64),
            false => ProgressBar::hidden(),
        };
        if !bar.is_hidden() {
            bar.set_style(style(&state));
            bar.enable_steady_tick(TICK);
        }
        Self { bar, state }
    }

    /// Records that a run begins.
    pub(super) fn start(&self, job: &Arc<Job>, name: &str) {
        let mut state = lock(&self.state);
        let remembered = state.remembered.get(name).copied();
        state.remaining.start(remembered);
        state.running.push(Running { job: Arc::clone(job), remembered, since: Instant::now() });
    }

    /// Records that a run has ended.
    pub(super) fn end(&self, job: &Arc<Job>, is_expected: bool) {
        let mut state = lock(&self.state);
        state.ended += 1;
        state.unexpected += usize::from(!is_expected);
        let place = state.running.iter().position(|running| Arc::ptr_eq(&running.job, job));
        if let Some(run) = place.map(|place| state.running.remove(place)) {
            state.remaining.end(run.remembered, run.since.elapsed().as_secs_f64());
        }
        drop(state);
        self.bar.inc(1);
    }

    /// Calls `print` while the progress is not shown.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the progress from the terminal.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(state: &Arc<Mutex<State>>) -> ProgressStyle {
    let style = ProgressStyle::with_template("  {bar:20} {counts}\n  {running}");
    let (counts, running) = (Arc::clone(state), Arc::clone(state));
    let width = || width_of(io::stderr()).unwrap_or(DEFAULT_WIDTH).saturating_sub(3);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("counts", move |_: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}", lock(&counts).counts());
        })
        .with_key("running", move |_: &ProgressState, out: &mut dyn Write| {
            let _ = lock(&running).write_running(out, width());
        })
}

impl State {
    /// How far the run has got: `31 of 184 on gipc-core, 2 not as expected, about 40 s left`.
    fn counts(&self) -> String {
        let of_all =
            if self.planned == 0 { " runs".to_owned() } else { format!(" of {}", self.planned) };
        let mut out = format!("{}{of_all} on {}", self.ended, self.adapter);
        if self.unexpected > 0 {
            let _ = write!(out, ", {} not as expected", self.unexpected);
        }
        let running: Vec<_> =
            self.running.iter().map(|run| (run.remembered, lasted(run))).collect();
        if let Some(left) = self.remaining.estimate(&running).filter(|_| self.ended < self.planned)
        {
            let _ = write!(out, ", {}", words(left));
        }
        out
    }

    /// The current runs, longest first, as many as fit.
    fn write_running(&self, out: &mut dyn Write, width: usize) -> fmt::Result {
        let mut runs: Vec<(f64, &Running)> =
            self.running.iter().map(|run| (lasted(run), run)).collect();
        runs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut names = runs.iter().map(|(lasted, run)| {
            let flags = run.job.variant.flags();
            let name = format!("{} {flags}", run.job.scenario.id);
            match *lasted >= LONG {
                true => format!("{} ({lasted:.0} s)", name.trim_end()),
                false => name.trim_end().to_owned(),
            }
        });
        out.write_str(&fitting(&mut names, width))
    }
}

/// As many of these words as fit into a line, and how many more there are.
fn fitting(words: &mut dyn ExactSizeIterator<Item = String>, width: usize) -> String {
    let mut line = String::new();
    while let Some(word) = words.next() {
        let more = match words.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let comma = if line.is_empty() { "" } else { ", " };
        let length =
            [&line, comma, &word, &more].iter().map(|part| part.chars().count()).sum::<usize>();
        if length > width {
            let left = words.len() + 1;
            return match line.is_empty() {
                true => word.chars().take(width).collect(),
                false => format!("{line} and {left} more"),
            };
        }
        line = format!("{line}{comma}{word}");
    }
    line
}

fn lasted(run: &Running) -> f64 {
    run.since.elapsed().as_secs_f64()
}

/// An estimate in words, no more precise than it really is.
fn words(left: Duration) -> String {
    match left.as_secs_f64().ceil() {
        seconds if seconds < 100.0 => format!("about {} s left", seconds.max(1.0)),
        seconds => format!("about {:.0} min left", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nothing(&[], "")]
    #[case::all_fit(&["a/one", "b/two"], "a/one, b/two")]
    #[case::some_fit(&["close/twice", "race/order", "own/late"], "close/twice and 2 more")]
    #[case::one_is_too_long(&["deadlock/the-child-waits-for-an-end"], "deadlock/the-child-waits-")]
    fn as_many_names_are_shown_as_fit(#[case] names: &[&str], #[case] expected: &str) {
        let mut names = names.iter().map(|name| (*name).to_owned());
        assert_eq!(fitting(&mut names, 25), expected);
    }

    #[rstest]
    #[case(0, "about 1 s left")]
    #[case(40_000, "about 40 s left")]
    #[case(150_000, "about 2 min left")]
    fn an_estimate_is_in_round_numbers(#[case] milliseconds: u64, #[case] expected: &str) {
        assert_eq!(words(Duration::from_millis(milliseconds)), expected);
    }

    #[test]
    fn the_counts_name_runs_that_are_not_as_expected_and_the_time_left() {
        let remembered = BTreeMap::from([("a/slow".to_owned(), 60.0), ("a/fast".to_owned(), 2.0)]);
        let names = ["a/slow".to_owned(), "a/fast".to_owned()];
        let progress = Progress::new("it", &names, remembered, 1, false);
        assert_eq!(lock(&progress.state).counts(), "0 of 2 on it, about 62 s left");
        lock(&progress.state).remaining.start(Some(60.0));
        lock(&progress.state).unexpected = 1;
        lock(&progress.state).ended = 1;
        assert_eq!(
            lock(&progress.state).counts(),
            "1 of 2 on it, 1 not as expected, about 2 s left"
        );
    }
}
