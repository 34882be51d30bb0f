//! The allowed trace and the observed one as one table: a row for each step, with both outcomes.

use maud::{Markup, html};

/// A line of a snapshot: what was done, and its outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    step: String,
    outcome: String,
}

/// A step with its outcome in the allowed trace and in the observed one. If a trace lacks the step, it has no outcome there.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    step: String,
    allowed: Option<String>,
    came: Option<String>,
}

/// The table. `steps` are the steps of the scenario as a snapshot has them.
pub(super) fn trace_table(steps: &[String], allowed: &str, came: &str) -> Markup {
    let rows = rows(&lines(steps, allowed), &lines(steps, came));
    let first = rows.iter().position(|row| row.allowed != row.came);
    let outcome = |outcome: &Option<String>| outcome.as_deref().unwrap_or("–").to_owned();
    html! {
        table.trace {
            thead { tr { th scope="col" { "step" } th scope="col" { "the model allows" } th scope="col" { "what came" } } }
            tbody {
                @for (at, row) in rows.iter().enumerate() {
                    @let differs = row.allowed != row.came;
                    tr.first-difference[first == Some(at)].differs[differs] {
                        th scope="row" { @if first == Some(at) { span.mark aria-label="the first difference" { "▶" } } (row.step) }
                        td { (outcome(&row.allowed)) }
                        td.same[!differs] { (outcome(&row.came)) }
                    }
                }
            }
        }
    }
}

/// The lines of a snapshot. In a line that is not a step of the scenario, such as the end of a process, the outcome follows
/// the last gap of two blanks.
fn lines(steps: &[String], snapshot: &str) -> Vec<Line> {
    let line = |text: &str| {
        let text = text.trim_end();
        let (task, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim_start();
        let named = format!("{task} {rest}");
        let step = steps.iter().filter(|step| {
            named.strip_prefix(step.as_str()).is_some_and(|rest| rest.starts_with(' '))
        });
        let length = match step.map(String::len).max() {
            Some(length) => length - task.len() - 1,
            None => rest.find("  ").unwrap_or(0),
        };
        let (what, outcome) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let outcome = outcome.split_whitespace().collect::<Vec<_>>().join(" ");
        Line { step: format!("{task} {what}").trim_end().to_owned(), outcome }
    };
    snapshot.lines().filter(|text| !text.trim().is_empty()).map(line).collect()
}

/// Puts the lines of two snapshots with the same step side by side, in order: the longest common subsequence of steps.
fn rows(allowed: &[Line], came: &[Line]) -> Vec<Row> {
    let width = came.len() + 1;
    let mut common = vec![0_usize; (allowed.len() + 1) * width];
    for left in (0..allowed.len()).rev() {
        for right in (0..came.len()).rev() {
            common[left * width + right] = match allowed[left].step == came[right].step {
                true => common[(left + 1) * width + right + 1] + 1,
                false => common[(left + 1) * width + right].max(common[left * width + right + 1]),
            };
        }
    }
    let (mut left, mut right) = (0, 0);
    let mut rows = Vec::new();
    while left < allowed.len() || right < came.len() {
        let (ours, theirs) = (allowed.get(left), came.get(right));
        let skip_left = || common[(left + 1) * width + right];
        let skip_right = || common[left * width + right + 1];
        let (ours, theirs) = match (ours, theirs) {
            (Some(a), Some(b)) if a.step == b.step => (Some(a), Some(b)),
            (Some(a), Some(_)) if skip_left() >= skip_right() => (Some(a), None),
            (Some(_), Some(b)) | (None, Some(b)) => (None, Some(b)),
            (a, None) => (a, None),
        };
        left += usize::from(ours.is_some());
        right += usize::from(theirs.is_some());
        rows.push(Row {
            step: ours.or(theirs).map(|line| line.step.clone()).unwrap_or_default(),
            allowed: ours.map(|line| line.outcome.clone()),
            came: theirs.map(|line| line.outcome.clone()),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(steps: &[&str], allowed: &str, came: &str) -> Vec<String> {
        let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
        let outcome = |outcome: Option<String>| outcome.unwrap_or("–".into());
        let rows = rows(&lines(&steps, allowed), &lines(&steps, came));
        rows.into_iter()
            .map(|row| format!("{} | {} | {}", row.step, outcome(row.allowed), outcome(row.came)))
            .collect()
    }

    #[test]
    fn a_step_stands_once_with_both_outcomes() {
        let allowed = "main        cut w \"a\" at header+2 ok\nmain        get r                truncated main closed w\n";
        let came = "main        cut w \"a\" at header+2 ok\nmain        get r                eof\n";
        let rows = shown(&["main cut w \"a\" at header+2", "main get r"], allowed, came);
        let expected = [
            "main cut w \"a\" at header+2 | ok | ok",
            "main get r | truncated main closed w | eof",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_line_that_only_one_trace_has_gets_a_row_of_its_own() {
        let allowed = "main        get r      eof\n\nmain        ends       exit 0\n";
        let came = "main        get r      blocks\n\nVIOLATION   it dropped a message\n";
        let rows = shown(&["main get r"], allowed, came);
        let expected = [
            "main get r | eof | blocks",
            "main ends | exit 0 | –",
            "VIOLATION | – | it dropped a message",
        ];
        assert_eq!(rows, expected);
    }
}
