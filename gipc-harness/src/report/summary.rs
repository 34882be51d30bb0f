//! The end of a report: counts for each theme, what is skipped, known or not as expected and why, and the total.

use super::Tally;
use super::tally::Cause;
use super::terminal::{colored, participle};
use crate::environment::Environment;
use crate::verdict::Status;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The minimum width of the column of themes.
const MIN_THEME: usize = 11;
/// How many scenarios with the same cause are named.
const MAX_NAMED: usize = 3;
/// How many expected outcomes are listed.
const MAX_EXPECTED: usize = 3;
/// The length that an outcome or a reason in a group is cut to.
const MAX_LENGTH: usize = 120;

/// The summary of a run of the suite: a line for each theme, and a line for the total. The run took this many seconds.
pub fn summary(adapter: &str, tally: &Tally, environment: &Environment, seconds: f64) -> String {
    let mut out = format!("  {adapter}\n\n");
    let width = tally.themes.keys().map(|theme| theme.chars().count()).max().unwrap_or(0);
    let width = width.max(MIN_THEME);
    for (theme, statuses) in &tally.themes {
        let mut line = format!("  {theme:<width$} ");
        for (status, count) in statuses {
            let _ = write!(line, "{:<14}", format!("{count:>3} {}", participle(*status)));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push_str(&groups(&baseline(tally)));
    let failures = failures(tally, MAX_LENGTH);
    // The report of a single failure is just above.
    if failures.iter().map(|group| group.ids.len()).sum::<usize>() > 1 {
        out.push_str(&groups(&failures));
    }
    let _ = write!(out, "\n  {} of {} ran in {seconds:.1} s", tally.done(), tally.planned);
    let statuses = tally.statuses.iter();
    let counts: Vec<String> =
        statuses.map(|(status, count)| format!("{count} {}", participle(*status))).collect();
    if !counts.is_empty() {
        let _ = write!(out, ": {}", counts.join(", "));
    }
    if tally.heavy > 0 {
        let _ = write!(out, ". Left out: {} heavy (add --heavy)", tally.heavy);
    }
    if let Some((part, parts)) = tally.shard {
        let _ = write!(out, ". This is part {part} of {parts}");
    }
    out.push('\n');
    if tally.interrupted || tally.done() < tally.planned {
        out.push_str(
            "  PARTIAL: this run was interrupted, and says nothing about what is missing\n",
        );
    }
    for (fact, unmet) in environment.unmet() {
        let _ = writeln!(out, "  here, {}: {}", fact.name, unmet.means);
    }
    out
}

/// The slowest scenarios with their seconds.
#[must_use]
pub fn slowest(times: &[(&str, f64)]) -> String {
    let mut out = "\n  slowest\n\n".to_owned();
    for (name, seconds) in times {
        let _ = writeln!(out, "  {seconds:>7.2} s  {name}");
    }
    out
}

/// Scenarios with the same verdict for the same reason.
pub(super) struct Group<'a> {
    pub(super) status: Status,
    pub(super) ids: Vec<&'a str>,
    pub(super) reason: String,
}

/// The scenarios that are known to fail or skipped, by their reasons. The reason of a skip begins with the refused step.
/// Scenarios that differ only in this step are in one group, whose reason leaves the step out.
pub(super) fn baseline(tally: &Tally) -> Vec<Group<'_>> {
    let mut by_reason: BTreeMap<(Status, &str), Vec<(&str, &str)>> = BTreeMap::new();
    for ((status, id), reason) in &tally.reasons {
        let shared = match reason.split_once(": ") {
            Some((_, why)) if *status == Status::Skip => why,
            _ => reason,
        };
        by_reason.entry((*status, shared)).or_default().push((id, reason));
    }
    let mut groups: Vec<Group<'_>> = by_reason
        .into_iter()
        .map(|((status, shared), scenarios)| {
            let (_, first) = scenarios[0];
            let is_same = scenarios.iter().all(|(_, reason)| *reason == first);
            let reason = if is_same { first } else { shared };
            let ids = scenarios.into_iter().map(|(id, _)| id).collect();
            Group { status, ids, reason: reason.to_owned() }
        })
        .collect();
    groups.sort_by(|a, b| (a.status, &a.ids).cmp(&(b.status, &b.ids)));
    groups
}

/// Failures with the same cause: where it was found, and what was expected there.
#[derive(Default)]
struct Failures<'a> {
    ids: BTreeSet<&'a str>,
    expected: BTreeSet<&'a str>,
}

/// The scenarios that are not as expected, grouped by the actual outcome, in texts of at most `max_length` characters each.
/// The largest group comes first.
pub(super) fn failures(tally: &Tally, max_length: usize) -> Vec<Group<'_>> {
    let mut by_cause: BTreeMap<(Status, &str), Failures<'_>> = BTreeMap::new();
    for (id, causes) in &tally.unexpected {
        for Cause { status, came, expected } in causes {
            let failures = by_cause.entry((*status, came)).or_default();
            failures.ids.insert(id);
            failures.expected.extend(expected.as_deref());
        }
    }
    let mut groups: Vec<Group<'_>> = by_cause
        .into_iter()
        .map(|((status, came), Failures { ids, expected })| {
            let reason = instead(came, &expected, max_length);
            Group { status, ids: ids.into_iter().collect(), reason }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.ids.len()));
    groups
}

/// The actual outcome and the expected ones: `eof instead of ok or "a"`.
fn instead(came: &str, expected: &BTreeSet<&str>, max_length: usize) -> String {
    let came = cut(came, max_length);
    if expected.is_empty() {
        return came;
    }
    let mut listed: Vec<String> =
        expected.iter().take(MAX_EXPECTED).map(|text| cut(text, max_length)).collect();
    if expected.len() > MAX_EXPECTED {
        listed.push(format!("{} others", expected.len() - MAX_EXPECTED));
    }
    format!("{came} instead of {}", listed.join(" or "))
}

fn cut(text: &str, max_length: usize) -> String {
    match text.chars().count() > max_length {
        true => text.chars().take(max_length).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A line for each group: the status, the scenario or their number, and the reason. Below it, some of several scenarios.
fn groups(groups: &[Group<'_>]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let head = |group: &Group<'_>| match group.ids[..] {
        [id] => id.to_owned(),
        _ => format!("{} scenarios", group.ids.len()),
    };
    let width_of = |words: &mut dyn Iterator<Item = String>| {
        words.map(|word| word.chars().count()).max().unwrap_or(0)
    };
    let status_width = width_of(&mut groups.iter().map(|group| group.status.to_string()));
    let width = width_of(&mut groups.iter().map(head));
    let mut out = "\n".to_owned();
    for group in groups {
        // The color codes of a status have no width.
        let padding = " ".repeat(status_width - group.status.to_string().len());
        let (status, head, reason) = (colored(group.status), head(group), &group.reason);
        let _ = writeln!(
            out,
            "{}",
            format!("  {status}{padding}  {head:<width$}  {reason}").trim_end()
        );
        if group.ids.len() > 1 {
            let named = group.ids[..group.ids.len().min(MAX_NAMED)].join(", ");
            let more = match group.ids.len().saturating_sub(MAX_NAMED) {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            let _ = writeln!(out, "  {:status_width$}  {named}{more}", "");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Mismatch;
    use crate::verdict::Verdict;

    fn text(tally: &Tally) -> String {
        let environment = Environment { facts: Vec::new(), slow_factor: 1 };
        summary("it", tally, &environment, 1.0)
    }

    fn wrong(got: &str, expected: &str) -> Verdict {
        let mut verdict = Verdict::for_test(Status::Fail, "");
        verdict.mismatch = Some(Mismatch {
            step: 0,
            expected: expected.into(),
            because: String::new(),
            got: got.into(),
            detail: None,
            late: None,
        });
        verdict
    }

    #[test]
    fn scenarios_that_are_skipped_for_the_same_reason_take_two_lines() {
        let mut tally = Tally { planned: 6, ..Tally::default() };
        for id in ["a/a", "a/b", "a/c", "a/d", "a/e"] {
            tally.add(id, &Verdict::for_test(Status::Skip, "it has no tasks"));
        }
        tally.add("b/a", &Verdict::for_test(Status::Known, "it forgets"));
        let expected = "\n  KNOWN  b/a          it forgets\
                        \n  SKIP   5 scenarios  it has no tasks\
                        \n         a/a, a/b, a/c and 2 more\n\n";
        assert!(text(&tally).contains(expected), "{}", text(&tally));
    }

    #[test]
    fn skips_that_differ_only_in_the_refused_step_are_one_group() {
        let mut tally = Tally { planned: 3, ..Tally::default() };
        tally.add("a/a", &Verdict::for_test(Status::Skip, "main/one get r: no tasks"));
        tally.add("a/b", &Verdict::for_test(Status::Skip, "main/two put w \"a\": no tasks"));
        tally.add("b/a", &Verdict::for_test(Status::Skip, "alive child: no processes"));
        let expected = "\n  SKIP  2 scenarios  no tasks\
                        \n        a/a, a/b\
                        \n  SKIP  b/a          alive child: no processes\n\n";
        assert!(text(&tally).contains(expected), "{}", text(&tally));
    }

    #[test]
    fn failures_are_grouped_by_what_came_instead() {
        let mut tally = Tally { planned: 5, ..Tally::default() };
        tally.add("a/late", &wrong("ok", "closed"));
        tally.add("a/a", &wrong("eof", "\"one\""));
        tally.add("a/b", &wrong("eof", "\"two\""));
        tally.add("a/b", &wrong("eof", "\"two\""));
        tally.add("a/c", &Verdict::for_test(Status::Error, "the agent ended\nwith more lines"));
        let expected = "\n  FAIL   2 scenarios  eof instead of \"one\" or \"two\"\
                        \n         a/a, a/b\
                        \n  FAIL   a/late       ok instead of closed\
                        \n  ERROR  a/c          the agent ended\n\n";
        assert!(text(&tally).contains(expected), "{}", text(&tally));
    }

    #[test]
    fn a_single_failure_is_not_listed_again() {
        let mut tally = Tally { planned: 1, ..Tally::default() };
        tally.add("a/a", &wrong("eof", "ok"));
        assert!(!text(&tally).contains("instead of"), "{}", text(&tally));
    }

    #[test]
    fn the_slowest_scenarios_are_listed_with_their_seconds() {
        let listed = "\n  slowest\n\n    12.30 s  a/b\n     0.01 s  a/a\n";
        assert_eq!(slowest(&[("a/b", 12.3), ("a/a", 0.01)]), listed);
    }
}
