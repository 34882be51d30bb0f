//! What is reported of many runs, and when: verdicts as they come, the evidence of failures, and the summary.
//!
//! Does not start anything.

use super::accept_baseline::{Found, accept};
use super::console::Console;
use super::jobs::Job;
use super::rejudge::record;
use super::{CommandError, Format, Run};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::model::Choices;
use crate::report::junit::Junit;
use crate::report::matrix::{Column, ScenarioInfo};
use crate::report::{ScenarioReport, Tally, json, terminal};
use crate::runner::RunOutput;
use crate::trace::Observation;
use crate::verdict::{Status, Verdict, blame, excuse, hold_to_its_skips, hold_to_its_word, judge};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) struct RunReporter<'a> {
    pub(super) out: &'a mut Console,
    pub(super) options: &'a Run,
    pub(super) adapter: String,
    pub(super) choices: Choices,
    pub(super) here: Environment,
    pub(super) tally: Tally,
    /// The traces that each scenario gave, by their text.
    pub(super) traces: BTreeMap<String, BTreeSet<String>>,
    /// And the verdicts, which may differ where the traces do not: something came too late.
    pub(super) words: BTreeMap<String, BTreeSet<Status>>,
    /// The adapter's folder, and what it is to say from now on.
    pub(super) folder: Option<PathBuf>,
    pub(super) found: Vec<Found>,
    pub(super) unwritten: Option<String>,
    pub(super) junit: Option<Junit>,
    /// The column of a matrix that is being made, and the scenarios it is about.
    pub(super) column: Option<(&'a mut Column, &'a BTreeMap<String, ScenarioInfo>)>,
    pub(super) progress: ProgressBar,
}

impl RunReporter<'_> {
    /// Judges what came; says whether it is as expected.
    pub(super) fn take(
        &mut self,
        job: &Job,
        came: std::io::Result<RunOutput>,
        time: Duration,
        adapter: &Adapter,
    ) -> bool {
        let output: RunOutput = came.unwrap_or_else(|error| {
            let fault = format!("the harness could not perform it: {error}");
            Observation::unperformed(&job.scenario, fault).into()
        });
        let observed = &output.observation;
        let mut verdict = judge(&job.scenario, &job.allowed, observed, &adapter.manifest.known);
        excuse(&mut verdict, job.chosen.as_ref());
        hold_to_its_word(&mut verdict, &job.scenario, observed, &adapter.manifest);
        // Who was killed on the way did not come to what it lacks.
        if job.how.is_empty() {
            let (skips, variant) = (adapter.skips.as_ref(), &adapter.variant);
            hold_to_its_skips(&mut verdict, &job.scenario.id, skips, variant);
        }
        blame(&mut verdict, &self.here);
        self.add(job, verdict, &output, time)
    }

    pub(super) fn add(
        &mut self,
        job: &Job,
        mut verdict: Verdict,
        output: &RunOutput,
        time: Duration,
    ) -> bool {
        // What is written down unseen would never be looked at.
        let mut accepted = false;
        if let Some(mend) = verdict.mend.take_if(|_| self.options.accept) {
            verdict.word = mend.word();
            verdict.notes.insert(0, "accepted".into());
            self.found.push((job.scenario.id.clone(), mend));
            accepted = true;
        }
        let expected = verdict.word.is_expected();
        self.tally.add(&job.scenario.id, &verdict);
        if !(verdict.word.says_nothing() || verdict.word == Status::Skip || verdict.sometimes) {
            let blow = if job.line.is_some() { "" } else { &job.how };
            let key = format!("{} {blow}", job.scenario.id).trim_end().to_owned();
            self.words.entry(key.clone()).or_default().insert(verdict.word);
            self.traces.entry(key).or_default().insert(verdict.text.clone());
        }
        if let Some(line) = job.line.as_ref().filter(|_| !expected) {
            verdict
                .notes
                .push(format!("this line in its first comment gives the order:\n    {line}"));
        }
        let keep = !expected || self.options.keep;
        let record = keep.then(|| self.record(job, output)).flatten();
        let told = ScenarioReport {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            adapter: self.adapter.clone(),
            asked: self.options.adapter.clone(),
            how: match self.options.unchecked {
                true => format!("{} --unchecked", job.how).trim_start().to_owned(),
                false => job.how.clone(),
            },
            verdict,
            record,
        };
        if let Some(junit) = &mut self.junit {
            junit.add(&told, time);
        }
        match (self.options.format, &mut self.column) {
            (_, Some((column, scenarios))) => {
                if let Some(implementation) = output.implementation() {
                    column.learn(implementation, &self.here);
                }
                let model = scenarios.get(&told.scenario.id).map_or("", |asked| &asked.model);
                column.add(&told, model);
            }
            (Format::Json, None) => self.out.line(&json::result(&told).to_string()),
            (Format::Terminal, None) if !expected || accepted => {
                self.progress.suspend(|| self.out.line(&terminal::failure(&told)));
            }
            (Format::Terminal, None) => {}
        }
        self.progress.inc(1);
        expected
    }

    /// Keeps the evidence: what was heard, and what the agents printed.
    fn record(&mut self, job: &Job, output: &RunOutput) -> Option<PathBuf> {
        let mut path = self.options.record.join(&self.adapter).join(&job.scenario.id);
        if !job.how.is_empty() {
            path.push(job.how.trim_start_matches('-').replace([' ', ':'], "-"));
        }
        match write(
            &path,
            &output.observation,
            &record(job, output, &self.options.adapter, self.choices, &self.here),
        ) {
            Ok(file) => Some(file),
            Err(error) => {
                self.unwritten =
                    Some(format!("error: cannot keep the evidence in {}: {error}", path.display()));
                None
            }
        }
    }

    pub(super) fn finish(mut self, time: Duration) -> Result<Tally, CommandError> {
        self.progress.finish_and_clear();
        if let (Some(file), Some(junit)) = (&self.options.junit, self.junit.take()) {
            let written = junit
                .text(&self.adapter, &self.here, time)
                .and_then(|text| fs::write(file, text).map_err(|error| error.to_string()));
            if let Err(error) = written {
                let file = file.display();
                self.unwritten.get_or_insert(format!("error: cannot write {file}: {error}"));
            }
        }
        match self.options.format {
            _ if self.column.is_some() => {}
            Format::Json => {
                self.out.line(&json::summary(&self.adapter, &self.tally, &self.here).to_string())
            }
            Format::Terminal => {
                self.out.text(&terminal::summary(
                    &self.adapter,
                    &self.tally,
                    &self.here,
                    time.as_secs_f64(),
                ));
            }
        }
        let several: Vec<_> = self.traces.iter().filter(|(_, traces)| traces.len() > 1).collect();
        for (id, traces) in &several {
            self.out.complain(&format!("{id} gave {} different traces", traces.len()));
        }
        for (id, words) in self.words.iter().filter(|(_, words)| words.len() > 1) {
            let words: Vec<String> = words.iter().map(Status::to_string).collect();
            self.out.complain(&format!("{id} was {}", words.join(" and ")));
        }
        let is_wavering = |id: &&String| self.traces[*id].len() > 1 || self.words[*id].len() > 1;
        self.tally.wavering = self.traces.keys().filter(is_wavering).count();
        if self.tally.wavering == 0
            && self.options.repeat > 1
            && self.options.format == Format::Terminal
        {
            self.out.line(&format!(
                "  each of {} scenarios gave one and the same trace",
                self.traces.len()
            ));
        }
        if let (false, Some(folder)) = (self.found.is_empty(), &self.folder) {
            let said = accept(folder, &self.adapter, &self.found)?;
            self.out.line(&format!("  {said}"));
        }
        match self.unwritten {
            Some(text) => Err(CommandError::unable(text)),
            None => Ok(self.tally),
        }
    }
}

/// Shows how far it is, on stderr and only if that is a terminal.
pub(super) fn progress(runs: usize, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len}, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn write(folder: &Path, observed: &Observation, record: &str) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join("record.jsonl");
    fs::write(&file, record)?;
    fs::write(folder.join("printed.txt"), &observed.printed)?;
    Ok(file)
}
