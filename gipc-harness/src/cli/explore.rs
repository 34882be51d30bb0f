//! `explore`: random scenarios against an implementation, judged by the model; a failure is made smaller and written to
//! a file that anyone can run.
//!
//! The search is `explore`'s, and knows neither model nor adapter; here they meet.

use super::out::Out;
use super::suite::{self, choices};
use super::{Explore, Stopped, library::Library, load, own_program};
use crate::adapter::Adapter;
use crate::explore::{script, shrink};
use crate::model::{self, Choices};
use crate::scenario::{ChildAct, Item, Outcome, Scenario, Script, Verb, parse};
use crate::trace::{Allowed, Taken, Trace};
use crate::verdict::{Verdict, Word, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A failure counts if it comes again so often, in the same way.
const AGAIN: usize = 3;

/// In how many orders the model must come to the same, so that a scenario has one right answer.
const ORDERS: u64 = 12;

pub(super) fn explore(library: &Library, asked: &Explore, out: &mut Out) -> Result<u8, Stopped> {
    let adapter = load(library, &asked.adapter)?;
    let mut search =
        Search { exe: own_program()?, choices: choices(&adapter), adapter, skipped: 0 };
    let first = asked.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let (began, limit) = (Instant::now(), Duration::from_secs(asked.seconds));
    let (mut asked_about, mut made, mut outcomes) = (0_u32, 0_u64, BTreeMap::new());
    while began.elapsed() < limit && asked.count.is_none_or(|count| asked_about < count) {
        let seed = first.wrapping_add(made);
        made += 1;
        let random = script(&mut fastrand::Rng::with_seed(seed));
        let Some((scenario, predicted)) = meant(&random, search.choices) else { continue };
        asked_about += 1;
        count(&mut outcomes, &predicted);
        let Some(failure) = search.failure(&scenario, &predicted)? else { continue };
        out.line(&format!("seed {seed}: {}; making it smaller", failure.words()));
        let path = search.report(random, seed, &failure, asked)?;
        out.line(&format!("  {}\n", path.display()));
        out.line(&format!(
            "  again    cargo harness run {}{}",
            path.display(),
            if asked.adapter == crate::adapter::EMBEDDED {
                String::new()
            } else {
                format!(" --adapter {}", asked.adapter)
            }
        ));
        return Ok(1);
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(asked_about) / seconds.max(0.001);
    out.line(&format!(
        "{asked_about} scenarios in {seconds:.0} s ({rate:.0} a second, {} skipped), from seed {first}: all as the model says",
        search.skipped
    ));
    let outcomes: Vec<String> = outcomes.iter().map(|(word, n)| format!("{word} {n}")).collect();
    out.line(&format!("outcomes: {}", outcomes.join(", ")));
    Ok(0)
}

/// What coverage there is: how often each kind of outcome was due.
fn count(outcomes: &mut BTreeMap<String, u32>, predicted: &Trace) {
    for taken in &predicted.steps {
        let word = match taken {
            Taken::Never => "never".to_owned(),
            Taken::Open => "blocks".to_owned(),
            Taken::Ended { outcome: Outcome::Message(_), .. } => "message".to_owned(),
            Taken::Ended { outcome, .. } => outcome.to_string(),
        };
        *outcomes.entry(word).or_default() += 1;
    }
}

/// The script with the outcomes that the model gives it; none if it cannot be meant, or has no one right answer.
fn meant(script: &Script, choices: Choices) -> Option<(Scenario, Trace)> {
    let open = parse("explored", &script.to_string()).ok()?;
    let predicted = model::predict(&open, choices);
    let mut steps = predicted.steps.iter();
    let mut filled = script.clone();
    for item in &mut filled.items {
        let Item::Line(line) = item else { continue };
        line.expected = vec![match steps.next()? {
            Taken::Never => Outcome::Never,
            Taken::Open => Outcome::Blocks(Vec::new()),
            Taken::Ended { outcome, .. } => outcome.clone(),
        }];
        if line.expected == [Outcome::Ok] {
            line.expected.clear();
        }
    }
    let scenario = parse("explored", &filled.to_string()).ok()?;
    let steady = is_orderly(&scenario, &predicted) && model::is_steady(&scenario, choices, ORDERS);
    steady.then_some((scenario, predicted))
}

/// What becomes of children whose parent is gone is each library's own affair, so every child is joined, and nobody
/// with children is ended from outside.
fn is_orderly(scenario: &Scenario, predicted: &Trace) -> bool {
    let mut parents = BTreeSet::from(["main"]);
    let mut alone: BTreeSet<&str> = BTreeSet::new();
    for (step, taken) in scenario.steps.iter().zip(&predicted.steps) {
        match &step.verb {
            Verb::Spawn { child, .. } if taken.is(&Outcome::Ok) => {
                parents.insert(&step.lane.process);
                alone.insert(child);
            }
            Verb::Join { child } if step.lane.task.is_none() && *taken != Taken::Never => {
                alone.remove(child.as_str());
            }
            _ => {}
        }
    }
    let ends = |verb: &Verb, process: &str| match verb {
        Verb::Exit { .. } => parents.contains(process),
        Verb::Kill { child } | Verb::Signal { child, .. } => parents.contains(child.as_str()),
        Verb::Child { act: ChildAct::Terminate, child } => parents.contains(child.as_str()),
        _ => false,
    };
    alone.is_empty() && !scenario.steps.iter().any(|step| ends(&step.verb, &step.lane.process))
}

/// How a scenario fails: the verdict, and what the first wrong step did and came to.
#[derive(Clone, PartialEq, Eq)]
struct Failure {
    word: Word,
    verb: String,
    got: String,
}

impl Failure {
    fn of(scenario: &Scenario, verdict: &Verdict) -> Self {
        let first = verdict.first.as_ref();
        let verb = first.map(|first| scenario.steps[first.step].what());
        let verb = verb.unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
        Self {
            word: verdict.word,
            verb,
            got: first.map_or(String::new(), |first| first.got.clone()),
        }
    }

    fn words(&self) -> String {
        match self.verb.as_str() {
            "" => self.word.to_string(),
            verb => format!("{}, {verb} comes to {}", self.word, self.got),
        }
    }
}

struct Search {
    adapter: Adapter,
    choices: Choices,
    exe: PathBuf,
    skipped: u32,
}

impl Search {
    /// How it fails, if it does so each time in the same way.
    fn failure(
        &mut self,
        scenario: &Scenario,
        predicted: &Trace,
    ) -> Result<Option<Failure>, Stopped> {
        let mut before: Option<Failure> = None;
        for _ in 0..AGAIN {
            let observed = suite::once(
                scenario,
                &suite::as_written(scenario, self.choices),
                &self.adapter,
                self.exe.clone(),
            )?;
            let verdict = judge(scenario, &Allowed::one(predicted.clone()), &observed, &[]);
            if verdict.word.is_expected() {
                self.skipped += u32::from(verdict.word == Word::Skip);
                return Ok(None);
            }
            let failure = Failure::of(scenario, &verdict);
            if before.as_ref().is_some_and(|before| *before != failure) {
                return Ok(None);
            }
            before = Some(failure);
        }
        Ok(before)
    }

    /// Makes it smaller, and writes it down.
    fn report(
        &mut self,
        random: Script,
        seed: u64,
        failure: &Failure,
        asked: &Explore,
    ) -> Result<PathBuf, Stopped> {
        let choices = self.choices;
        let mut broken = None;
        let small = shrink(random, |script| {
            let Some((scenario, predicted)) = meant(script, choices) else { return false };
            match self.failure(&scenario, &predicted) {
                Ok(again) => again.as_ref() == Some(failure),
                Err(stopped) => {
                    broken = Some(stopped);
                    false
                }
            }
        });
        if let Some(stopped) = broken {
            return Err(stopped);
        }
        let script = meant(&small, choices).map_or(small, |(scenario, _)| scenario.script);
        let text = format!(
            "# Found by `explore --seed {seed}` on {}: {}.\n# Say here what must hold and why, and which requirements it covers.\n\n{script}",
            self.adapter.manifest.name,
            failure.words()
        );
        let path = asked.out.join(format!("{}-{seed}.scenario", self.adapter.manifest.name));
        let written = fs::create_dir_all(&asked.out).and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            Stopped::unable(format!("error: cannot write {}: {error}", path.display()))
        })?;
        Ok(path)
    }
}
