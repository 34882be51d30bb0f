//! The text of a bug report, as Markdown: what happened, the scenario, the diagram, the environment, and how to run it
//! again.

use super::Bundle;
use crate::diagram::Run;
use crate::diagram::mermaid::mermaid;
use crate::report::terminal;

/// The maximum number of lines of the agents' output that is quoted.
const MAX_PRINTED: usize = 40;

/// The Markdown text.
#[must_use]
pub fn issue(bundle: &Bundle) -> String {
    let Bundle { manifest, record, job, verdict } = bundle;
    let [step, outcome, status] = &manifest.fingerprint;
    let observation = &record.case.observation;
    let diagram = Run::observed(job, observation, verdict, &manifest.adapter).diagram(false);
    let mut out = format!("# {status} in {}: `{step}` gave `{outcome}`\n\n", manifest.scenario);
    let about = job.scenario.about();
    if !about.is_empty() {
        out += &format!("Expected: {about}\n\n");
    }
    out += &format!("Implementation: {}\n\n", manifest.implementation);
    out += &fenced("text", &terminal::plain_evidence(&bundle.report()));
    out += "## What happened\n\n";
    out += &fenced("mermaid", &mermaid(&diagram));
    out += "## Scenario\n\n";
    out += &fenced("text", &record.case.text);
    let flags =
        if manifest.flags.is_empty() { String::new() } else { format!(" {}", manifest.flags) };
    out += "Save this as `reproduce.scenario`, and run it:\n\n";
    let run = format!("gipc-harness run reproduce.scenario --adapter {}{flags}", manifest.adapter);
    out += &fenced("console", &run);
    if !observation.printed.trim().is_empty() {
        let lines: Vec<&str> = observation.printed.lines().collect();
        let shown = lines[lines.len().saturating_sub(MAX_PRINTED)..].join("\n");
        out += "## Output of the processes\n\n";
        out += &fenced("text", &shown);
    }
    out += "## Environment\n\n";
    for fact in &record.environment.facts {
        out += &format!("- {}: {}\n", fact.name, fact.found);
    }
    out + &format!("- suite: gipc-harness {}\n", manifest.suite)
}

/// A block of code, with a fence that is longer than any fence in the text.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.lines().map(|line| line.chars().take_while(|c| *c == '`').count()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n\n", text.trim_matches('\n'))
}
