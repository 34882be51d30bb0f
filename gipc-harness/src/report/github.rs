//! Annotations for GitHub Actions: commands in the log of a job that mark a line of a file.

use super::ScenarioReport;
use crate::adapter::EMBEDDED;
use crate::program;
use crate::scenario::{ParseError, Severity};
use std::path::{Path, PathBuf};

/// The annotation of a result that is not as expected: an error, or a warning if the verdict is inconclusive.
pub fn result(report: &ScenarioReport) -> String {
    let verdict = &report.verdict;
    let level = if verdict.status.is_inconclusive() { Level::Warning } else { Level::Error };
    let title = format!("{} {} on {}", verdict.status, report.scenario.id, report.adapter);
    let mut message = Vec::new();
    let mut place = Place::file(&report.path);
    if let Some(mismatch) = &verdict.mismatch {
        let step = &report.scenario.steps[mismatch.step];
        place.line = Some(step.position.line);
        let (task, what) = (&step.task_id, step.what());
        message.push(match &mismatch.late {
            Some(late) => format!("{task} {what}: {} came too late, {late}", mismatch.got),
            None => format!("{task} {what}: got {}, expected {}", mismatch.got, mismatch.expected),
        });
    }
    let cycle = verdict.stall.as_ref().map(|stall| stall.cycle.join(" ▶ "));
    message.extend(cycle.filter(|cycle| !cycle.is_empty()));
    message.extend(verdict.sentences().cloned());
    let adapter = match report.adapter.as_str() {
        EMBEDDED => String::new(),
        _ => format!(" --adapter {}", report.asked),
    };
    let words = format!("run {}{adapter} {}", report.name, report.flags);
    message.push(program::command(words.trim_end()));
    annotation(level, &place, &title, &message.join("\n"))
}

/// The annotation of a mistake in a scenario file.
pub fn mistake(file: &Path, mistake: &ParseError) -> String {
    let level = match mistake.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
    };
    let mut place = Place::file(file);
    place.line = Some(mistake.line);
    place.columns = Some((mistake.column, mistake.column + mistake.width.saturating_sub(1)));
    let mut message = mistake.hint.clone();
    mistake.notes.iter().for_each(|note| message.push_str(&format!("\n{note}")));
    annotation(level, &place, &mistake.message, &message)
}

/// How an annotation is shown.
#[derive(Clone, Copy, Debug)]
enum Level {
    Error,
    Warning,
}

/// The place that an annotation marks. Lines and columns count from 1.
#[derive(Debug)]
struct Place {
    /// The path in the repository; `None` for a built-in scenario.
    file: Option<PathBuf>,
    line: Option<usize>,
    /// The first and the last column.
    columns: Option<(usize, usize)>,
}

impl Place {
    fn file(path: &Path) -> Self {
        let file = path.canonicalize().ok().map(|absolute| {
            // Annotations name files by their paths in the repository, wherever the job runs.
            let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
            let root = root.and_then(|root| root.canonicalize().ok());
            let inside = root.and_then(|root| absolute.strip_prefix(root).ok().map(Path::to_owned));
            inside.unwrap_or_else(|| path.to_owned())
        });
        Self { file, line: None, columns: None }
    }
}

/// A command of the workflow: `::error file=…,line=…,title=…::message`.
fn annotation(level: Level, place: &Place, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &place.file {
        properties.push(("file", file.display().to_string()));
        properties.extend(place.line.map(|line| ("line", line.to_string())));
        if let Some((first, last)) = place.columns {
            properties.push(("col", first.to_string()));
            properties.push(("endColumn", last.to_string()));
        }
    }
    properties.push(("title", title.to_owned()));
    let properties: Vec<String> = properties
        .into_iter()
        .map(|(name, value)| {
            format!("{name}={}", escaped(&value).replace(':', "%3A").replace(',', "%2C"))
        })
        .collect();
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    format!("::{level} {}::{}", properties.join(","), escaped(message))
}

/// Escapes a text for a command of the workflow, which is one line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_its_texts_are() {
        let place =
            Place { file: Some("a,b.scenario".into()), line: Some(3), columns: Some((2, 9)) };
        let found = annotation(Level::Error, &place, "FAIL: a, b", "100%\nof it: all");
        assert_eq!(
            found,
            "::error file=a%2Cb.scenario,line=3,col=2,endColumn=9,title=FAIL%3A a%2C b::100%25%0Aof it: all"
        );
    }

    #[test]
    fn a_built_in_scenario_has_no_file_to_annotate() {
        let mut place = Place::file(Path::new("scenarios/no/such.scenario"));
        place.line = Some(1);
        let found = annotation(Level::Warning, &place, "SLOW", "why");
        assert_eq!(found, "::warning title=SLOW::why");
    }
}
