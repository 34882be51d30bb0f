//! `explore`: random scenarios against an implementation, judged by the model; a failure is made smaller and written to
//! a file that anyone can run.
//!
//! The search is `explore`'s, and knows neither model nor adapter; here they meet.

use super::console::Console;
use super::jobs::is_at_once;
use super::run_suite::{self, choices};
use super::viable::meant;
use super::{CommandError, Explore, load, own_program, suite_files::Suite};
use crate::adapter::{Adapter, EMBEDDED, Spawn};
use crate::explore::{script, shrink};
use crate::model::Choices;
use crate::scenario::{Outcome, Scenario, Script};
use crate::trace::{Allowed, ExecutionMode, StepState};
use crate::verdict::{Status, Verdict, judge};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A failure counts as one that always comes if it comes so often, in the same way.
const AGAIN: usize = 3;
/// One that comes now and then is one if it comes again in so many runs.
const NOW_AND_THEN: usize = 12;
/// So long after the time that was asked for a failure is still made smaller; then it is written as it is.
const GRACE: Duration = Duration::from_secs(120);

pub(super) fn explore(
    suite: &Suite,
    asked: &Explore,
    out: &mut Console,
) -> Result<u8, CommandError> {
    let adapter = load(suite, &asked.adapter)?;
    let profiles = profiles(&adapter, &asked.profile)?;
    let jobs = asked
        .jobs
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let search = Search {
        exe: own_program()?,
        choices: choices(&adapter),
        // A child that begins as a copy holds for a while what it was not given: to go on meanwhile is a race.
        batch: adapter.manifest.choices.spawn == Some(Spawn::Atomic),
        adapter,
        asked,
        profiles,
        first: asked.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
        began: Instant::now(),
        made: AtomicU64::new(0),
        over: AtomicBool::new(false),
        seen: Mutex::default(),
    };
    let progress = search.progress();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| search.work(&progress));
        }
    });
    progress.finish_and_clear();
    let seen = search.seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(stopped) = seen.broken {
        return Err(stopped);
    }
    seen.tell(search.first, search.began.elapsed(), asked, out);
    Ok(u8::from(!seen.failures.is_empty() || !seen.once.is_empty()))
}

/// What is asked: the profiles that were named, or all that the implementation has.
fn profiles(adapter: &Adapter, named: &[String]) -> Result<BTreeSet<String>, CommandError> {
    let has = &adapter.manifest.profiles;
    if let Some(other) = named.iter().find(|name| !has.contains(name)) {
        return Err(CommandError::usage(format!(
            "error: {} has no profile {other}; it has {}",
            adapter.manifest.name,
            has.join(", ")
        )));
    }
    let mut all: BTreeSet<String> =
        if named.is_empty() { has } else { named }.iter().cloned().collect();
    all.insert("core".into());
    Ok(all)
}

/// What was done so far.
#[derive(Default)]
struct Seen {
    scenarios: u64,
    at_once: u64,
    skipped: u64,
    racy: u64,
    outcomes: BTreeMap<String, u64>,
    verbs: BTreeMap<String, u64>,
    /// How each kind of failure was met first, and how often.
    failures: BTreeMap<Failure, (u64, PathBuf)>,
    /// Forbidden, and seen once only: where they are, and how they failed.
    once: Vec<(String, PathBuf)>,
    broken: Option<CommandError>,
}

impl Seen {
    fn count(&mut self, scenario: &Scenario, allowed: &Allowed) {
        self.scenarios += 1;
        self.racy += u64::from(allowed.traces.len() > 1);
        for (step, taken) in scenario.steps.iter().zip(&allowed.in_file_order().steps) {
            let word = match taken {
                StepState::NotStarted => "never".to_owned(),
                StepState::Pending => "blocks".to_owned(),
                StepState::Completed { outcome: Outcome::Message(_), .. } => "message".to_owned(),
                StepState::Completed { outcome, .. } => outcome.to_string(),
            };
            *self.outcomes.entry(word).or_default() += 1;
            let what = step.what();
            *self.verbs.entry(first_word(&what).to_owned()).or_default() += 1;
        }
    }

    fn tell(&self, first: u64, time: Duration, asked: &Explore, out: &mut Console) {
        let seconds = time.as_secs_f64();
        let rate = self.scenarios as f64 / seconds.max(0.001);
        out.line(&format!(
            "{} scenarios in {seconds:.0} s ({rate:.0} a second) from seed {first}: {} of them also at once, {} with races; {} skipped",
            self.scenarios, self.at_once, self.racy, self.skipped
        ));
        for (what, counts) in [("verbs", &self.verbs), ("outcomes", &self.outcomes)] {
            let words: Vec<String> =
                counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
            out.line(&format!("{what}: {}", words.join(", ")));
        }
        if self.failures.is_empty() && self.once.is_empty() {
            return out.line("all as the model says");
        }
        for (words, path) in &self.once {
            out.line(&format!("\n{words}; not again, so it is as it was made"));
            out.line(&format!("  it is    {}", path.display()));
        }
        let named = match asked.adapter.as_str() {
            EMBEDDED => String::new(),
            name => format!(" --adapter {name}"),
        };
        for (failure, (count, path)) in &self.failures {
            out.line(&format!("\n{} ({count} times)", failure.words()));
            out.line(&format!(
                "  again    cargo harness run {}{named}{}",
                path.display(),
                failure.how()
            ));
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// How a scenario fails: the verdict, and what the first wrong step did and came to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Failure {
    word: Status,
    verb: String,
    got: String,
    at_once: bool,
}

impl Failure {
    fn of(scenario: &Scenario, verdict: &Verdict, at_once: bool) -> Self {
        let first = verdict.first.as_ref();
        let verb = first.map(|first| scenario.steps[first.step].what()).unwrap_or_default();
        // The message itself is of no matter, nor who ended.
        let got = first.map_or("", |first| match first.got.split_once(" ended: ") {
            Some((_, end)) => end,
            None if first.got.starts_with(|c: char| c == '"' || c.is_ascii_digit()) => "a message",
            None if first.got.starts_with("other: ") => "something else",
            None => &first.got,
        });
        Self {
            word: verdict.word,
            verb: first_word(&verb).to_owned(),
            got: got.to_owned(),
            at_once,
        }
    }

    fn words(&self) -> String {
        let way = if self.at_once { ", at once" } else { "" };
        match self.verb.as_str() {
            "" => format!("{}{way}", self.word),
            verb => format!("{}, {verb} comes to {}{way}", self.word, self.got),
        }
    }

    fn how(&self) -> &'static str {
        if self.at_once { " --batch" } else { "" }
    }
}

/// What came of performing a scenario several times.
enum Came {
    /// Nothing wrong, the first time.
    Right,
    /// This, and then something else.
    Once(Failure),
    /// This, each time.
    Always(Failure),
}

struct Search<'a> {
    adapter: Adapter,
    asked: &'a Explore,
    profiles: BTreeSet<String>,
    choices: Choices,
    batch: bool,
    exe: PathBuf,
    first: u64,
    began: Instant,
    made: AtomicU64,
    over: AtomicBool,
    seen: Mutex<Seen>,
}

impl Search<'_> {
    fn progress(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} s, {eta} left, {msg}");
        let bar = ProgressBar::new(self.asked.seconds);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn seen<R>(&self, act: impl FnOnce(&mut Seen) -> R) -> R {
        act(&mut self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// One worker: makes, performs and judges until the time is over.
    fn work(&self, progress: &ProgressBar) {
        let limit = Duration::from_secs(self.asked.seconds);
        while !self.over.load(Ordering::Relaxed) && self.began.elapsed() < limit {
            let seed = self.first.wrapping_add(self.made.fetch_add(1, Ordering::Relaxed));
            let random = script(&mut fastrand::Rng::with_seed(seed), &self.profiles);
            let Some((scenario, allowed)) = meant(&random, self.choices) else { continue };
            let is_one = self.seen(|seen| {
                let most = self.asked.count.map_or(u64::MAX, u64::from);
                let is_one = seen.scenarios < most;
                if is_one {
                    seen.count(&scenario, &allowed);
                    progress.set_message(format!("{} scenarios", seen.scenarios));
                }
                self.over.fetch_or(seen.scenarios >= most, Ordering::Relaxed);
                is_one
            });
            progress.set_position(self.began.elapsed().as_secs());
            if !is_one {
                return;
            }
            if let Err(stopped) = self.ask(random, seed, &scenario, &allowed) {
                self.over.store(true, Ordering::Relaxed);
                self.seen(|seen| seen.broken = Some(stopped));
            }
        }
    }

    /// Performs one, step by step and at once; and keeps how it fails.
    fn ask(
        &self,
        random: Script,
        seed: u64,
        scenario: &Scenario,
        allowed: &Allowed,
    ) -> Result<(), CommandError> {
        for at_once in [false, true] {
            if at_once && !(self.batch && is_at_once(scenario)) {
                continue;
            }
            self.seen(|seen| seen.at_once += u64::from(at_once));
            let (failure, always) = match self.failure(scenario, allowed, at_once, None)? {
                Came::Right => continue,
                Came::Once(failure) if self.comes_again(scenario, allowed, &failure)? => {
                    (failure, false)
                }
                Came::Once(failure) => {
                    let path = self.write(&scenario.script, seed, &failure)?;
                    let words = failure.words();
                    self.seen(|seen| seen.once.push((words, path)));
                    continue;
                }
                Came::Always(failure) => (failure, true),
            };
            let known = self.seen(|seen| {
                seen.failures.get_mut(&failure).map(|(count, _)| *count += 1).is_some()
            });
            if known {
                return Ok(());
            }
            self.over.fetch_or(!self.asked.all, Ordering::Relaxed);
            let path = self.report(random, seed, &failure, always)?;
            self.seen(|seen| seen.failures.insert(failure, (1, path)));
            return Ok(());
        }
        Ok(())
    }

    /// How it fails: each time in the same way, and in the one that is looked for.
    fn failure(
        &self,
        scenario: &Scenario,
        allowed: &Allowed,
        at_once: bool,
        wanted: Option<&Failure>,
    ) -> Result<Came, CommandError> {
        let course = match at_once {
            true => ExecutionMode::Concurrent,
            false => run_suite::as_written(scenario, self.choices),
        };
        let mut before = wanted.cloned();
        for round in 0..AGAIN {
            let observed = run_suite::once(scenario, &course, &self.adapter, self.exe.clone())?;
            let verdict = judge(scenario, allowed, &observed, &[]);
            let failure = Failure::of(scenario, &verdict, at_once);
            let same = before.as_ref().is_none_or(|before| *before == failure);
            if verdict.word.is_expected() || !same {
                self.seen(|seen| seen.skipped += u64::from(verdict.word == Status::Skip));
                return Ok(before.filter(|_| round > 0).map_or(Came::Right, Came::Once));
            }
            before = Some(failure);
        }
        Ok(before.map_or(Came::Right, Came::Always))
    }

    /// Whether it fails in this way in any of some more runs.
    fn comes_again(
        &self,
        scenario: &Scenario,
        allowed: &Allowed,
        failure: &Failure,
    ) -> Result<bool, CommandError> {
        for _ in 0..NOW_AND_THEN {
            if let Came::Once(_) | Came::Always(_) =
                self.failure(scenario, allowed, failure.at_once, Some(failure))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes it smaller, and writes it down. What fails now and then need not do more than that while it shrinks.
    fn report(
        &self,
        random: Script,
        seed: u64,
        failure: &Failure,
        always: bool,
    ) -> Result<PathBuf, CommandError> {
        let mut broken = None;
        let limit = Duration::from_secs(self.asked.seconds) + GRACE;
        let small = shrink(random, |script| {
            if self.began.elapsed() > limit {
                return false;
            }
            let Some((scenario, allowed)) = meant(script, self.choices) else { return false };
            if failure.at_once && !is_at_once(&scenario) {
                return false;
            }
            let again = match always {
                true => self
                    .failure(&scenario, &allowed, failure.at_once, Some(failure))
                    .map(|came| matches!(came, Came::Always(_))),
                false => self.comes_again(&scenario, &allowed, failure),
            };
            match again {
                Ok(again) => again,
                Err(stopped) => {
                    broken = Some(stopped);
                    false
                }
            }
        });
        if let Some(stopped) = broken {
            return Err(stopped);
        }
        let script = meant(&small, self.choices)
            .map_or(small, |(scenario, _)| scenario.script.as_ref().clone());
        self.write(&script, seed, failure)
    }

    fn write(
        &self,
        script: &Script,
        seed: u64,
        failure: &Failure,
    ) -> Result<PathBuf, CommandError> {
        let text = format!(
            "# Found by `explore --seed {seed}` on {}: {}.\n# Say here what must hold and why, and which requirements it covers.\n\n{script}",
            self.adapter.manifest.name,
            failure.words()
        );
        let path = self.asked.out.join(format!("{}-{seed}.scenario", self.adapter.manifest.name));
        let written = fs::create_dir_all(&self.asked.out).and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            CommandError::unable(format!("error: cannot write {}: {error}", path.display()))
        })?;
        Ok(path)
    }
}
