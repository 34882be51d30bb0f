//! The platform report of a run: what `doctor` finds, the verdicts by theme, and the first failures with their traces. It is
//! short enough for an issue.

use super::{ScenarioReport, Tally, json};
use crate::environment::Environment;
use crate::error::Error;
use crate::verdict::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, fs};

/// How many failures are shown.
const MAX_FAILURES: usize = 8;
/// How many lines of each failure and of its trace are shown.
const MAX_LINES: usize = 40;

/// The format of a platform report, which the extension of its file chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Markdown,
    Json,
}

/// A platform report that is being collected.
#[derive(Debug)]
pub struct PlatformReport {
    file: PathBuf,
    format: Format,
    failures: Vec<Failure>,
    implementation: Option<String>,
}

/// A run that was not as expected.
#[derive(Debug)]
struct Failure {
    name: String,
    status: String,
    evidence: String,
    trace: String,
    json: Value,
}

impl PlatformReport {
    /// Starts a report for this file: JSON if its name ends in `.json`, otherwise Markdown.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        let format = if is_json { Format::Json } else { Format::Markdown };
        Self { file: file.into(), format, failures: Vec::new(), implementation: None }
    }

    /// Adds the result of a run, and the implementation if the run got far enough to know it.
    pub fn add(&mut self, report: &ScenarioReport, implementation: Option<String>) {
        self.implementation = self.implementation.take().or(implementation);
        if report.verdict.status.is_expected() {
            return;
        }
        self.failures.push(Failure {
            name: format!("{} {}", report.scenario.id, report.flags).trim_end().to_owned(),
            status: report.verdict.status.to_string(),
            evidence: super::terminal::evidence(report),
            trace: report.verdict.trace_text.clone(),
            json: json::result(report),
        });
        self.failures.sort_by(|one, other| one.name.cmp(&other.name));
        self.failures.truncate(MAX_FAILURES);
    }

    /// Writes the report of a run that took this time.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(
        &self,
        adapter: &str,
        tally: &Tally,
        environment: &Environment,
        time: Duration,
    ) -> Result<(), Error> {
        let text = match self.format {
            Format::Markdown => self.markdown(adapter, tally, environment, time),
            Format::Json => self.json(adapter, tally, environment, time).to_string() + "\n",
        };
        fs::write(&self.file, text).map_err(|error| Error::unwritable(&self.file, &error))
    }

    fn markdown(
        &self,
        adapter: &str,
        tally: &Tally,
        environment: &Environment,
        time: Duration,
    ) -> String {
        let mut out =
            format!("# Platform report of gipc-harness {}\n\n", env!("CARGO_PKG_VERSION"));
        let implementation = self.implementation.as_deref().unwrap_or("no version is known");
        let _ = writeln!(out, "- date: {}", today());
        let _ = writeln!(out, "- command: `{}`", command());
        let _ = writeln!(out, "- adapter: {adapter} ({implementation})");
        let _ = writeln!(out, "- built for: {}-{}", env::consts::ARCH, env::consts::OS);
        let (done, planned) = (tally.done(), tally.planned);
        let _ = writeln!(out, "- {done} of {planned} ran in {:.1} s", time.as_secs_f64());
        out.push_str("\n## What `doctor` finds\n\n| | |\n|---|---|\n");
        for fact in &environment.facts {
            let lack =
                fact.unmet.as_ref().map_or(String::new(), |unmet| format!("; **{}**", unmet.means));
            let _ = writeln!(out, "| {} | {}{lack} |", cell(&fact.name), cell(&fact.found));
        }
        out.push_str(&verdicts(tally));
        let count = tally.unexpected.len();
        if count > 0 {
            let _ = writeln!(out, "\n## Failures\n");
        }
        for failure in &self.failures {
            let _ = writeln!(out, "{} {}\n\n```text", failure.status, failure.name);
            let _ = writeln!(out, "{}```\n\nIts trace:\n\n```text", shortened(&failure.evidence));
            let _ = writeln!(out, "{}```\n", shortened(&failure.trace));
        }
        if count > self.failures.len() {
            let _ = writeln!(out, "{} further failures are left out.", count - self.failures.len());
        }
        out
    }

    fn json(
        &self,
        adapter: &str,
        tally: &Tally,
        environment: &Environment,
        time: Duration,
    ) -> Value {
        let failures = self.failures.iter().map(|failure| {
            let mut value = failure.json.clone();
            value["trace"] = failure.trace.clone().into();
            value
        });
        let named = |(theme, counts): (&String, &BTreeMap<Status, usize>)| {
            let counts = counts.iter().map(|(status, count)| (status.to_string(), *count));
            (theme.clone(), counts.collect())
        };
        let themes: BTreeMap<String, BTreeMap<String, usize>> =
            tally.themes.iter().map(named).collect();
        json!({
            "harness": env!("CARGO_PKG_VERSION"),
            "date": today(),
            "command": command(),
            "built_for": format!("{}-{}", env::consts::ARCH, env::consts::OS),
            "implementation": self.implementation,
            "seconds": time.as_secs_f64(),
            "environment": environment,
            "summary": json::summary(adapter, tally, environment),
            "themes": themes,
            "failures": failures.collect::<Vec<_>>(),
        })
    }
}

/// The table of verdicts by theme.
fn verdicts(tally: &Tally) -> String {
    let statuses: Vec<String> = tally.statuses.keys().map(Status::to_string).collect();
    let mut out = format!("\n## Verdicts\n\n| theme | {} |\n", statuses.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(statuses.len()));
    let themes = tally.themes.iter().map(|(theme, counts)| (theme.as_str(), counts));
    for (theme, counts) in themes.chain([("all", &tally.statuses)]) {
        let count = |status| counts.get(status).map_or(String::new(), usize::to_string);
        let counts: Vec<String> = tally.statuses.keys().map(count).collect();
        let _ = writeln!(out, "| {theme} | {} |", counts.join(" | "));
    }
    out
}

/// The day in UTC.
fn today() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string().chars().take(10).collect()
}

/// The command line without the folders of the machine.
fn command() -> String {
    let words = env::args().enumerate().map(|(index, word)| match index {
        0 => Path::new(&word)
            .file_name()
            .map_or(word.clone(), |name| name.to_string_lossy().into_owned()),
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text as the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The first lines of a text.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = lines[..lines.len().min(MAX_LINES)].join("\n");
    if lines.len() > MAX_LINES {
        let _ = write!(out, "\n… {} further lines", lines.len() - MAX_LINES);
    }
    out.push('\n');
    out
}
