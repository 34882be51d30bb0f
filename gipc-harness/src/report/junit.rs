//! The JUnit XML report: a test suite for each theme and a test case for each run. Known failures and skipped scenarios
//! are reported as skipped, with their reasons.

use super::{ScenarioReport, terminal};
use crate::environment::Environment;
use crate::verdict::Status;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

/// The test cases so far, by theme.
#[derive(Debug, Default)]
pub struct Junit {
    themes: BTreeMap<String, Vec<TestCase>>,
}

impl Junit {
    /// Adds the result of a run.
    pub fn add(&mut self, report: &ScenarioReport) {
        let verdict = &report.verdict;
        let (theme, name) = report.scenario.id.split_once('/').unwrap_or(("", &report.scenario.id));
        let mut case_status = match verdict.status {
            Status::Pass => TestCaseStatus::success(),
            Status::Known | Status::Skip => TestCaseStatus::skipped(),
            status if status.is_inconclusive() => {
                TestCaseStatus::non_success(NonSuccessKind::Error)
            }
            _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if verdict.status != Status::Pass {
            let note = verdict.sentences().next().map_or("", String::as_str);
            let message = format!("{}: {note}", verdict.status);
            case_status.set_message(message.trim_end_matches([':', ' ']));
        }
        if !verdict.status.is_expected() {
            case_status.set_description(terminal::plain_evidence(report));
        }
        let flags =
            if report.flags.is_empty() { String::new() } else { format!(" ({})", report.flags) };
        let mut case = TestCase::new(format!("{name}{flags}"), case_status);
        case.set_classname(format!("{}.{theme}", report.adapter)).set_time(report.time);
        self.themes.entry(theme.to_owned()).or_default().push(case);
    }

    /// The report as XML. `time` is the duration of the whole run of the suite. The error says why the report could not be
    /// written as XML.
    pub fn text(
        self,
        adapter: &str,
        environment: &Environment,
        time: Duration,
    ) -> Result<String, String> {
        let mut report = Report::new(format!("gipc-harness on {adapter}"));
        report.set_time(time);
        for (theme, cases) in self.themes {
            let mut suite = TestSuite::new(theme);
            suite.add_test_cases(cases);
            let facts = environment.facts.iter();
            let properties = facts.map(|fact| (fact.name.to_string(), fact.found.clone()));
            suite.properties.extend(properties.map(Property::from));
            report.add_test_suite(suite);
        }
        report.to_string().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SystemFact;
    use crate::scenario::parse;
    use crate::verdict::Verdict;

    /// Asserts that the report of a result with this status and note contains the expected parts.
    fn check(status: Status, note: &str, expected: &[&str]) {
        let scenario =
            parse("close/twice", "main pipe r w\nmain close r\nmain close r => closed\n");
        let verdict = Verdict::for_test(status, note);
        let report = ScenarioReport {
            scenario: scenario.expect("the scenario parses"),
            name: "close/twice".into(),
            path: "scenarios/close/twice.scenario".into(),
            adapter: "any".into(),
            asked: "any".into(),
            flags: String::new(),
            verdict,
            time: Duration::from_millis(7),
            record: None,
        };
        let fact = SystemFact {
            name: "system".into(),
            found: "any & all".into(),
            unmet: None,
            unmet_by_heavy: None,
        };
        let environment = Environment { facts: vec![fact], slow_factor: 1 };
        let mut junit = Junit::default();
        junit.add(&report);
        let text = junit.text("any", &environment, Duration::from_millis(9)).expect("it is XML");
        for part in expected {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_pass_is_a_test_case_with_its_duration() {
        check(
            Status::Pass,
            "",
            &[
                "<testsuite name=\"close\"",
                "testcase name=\"twice\"",
                "0.007",
                "<property name=\"system\" value=\"any &amp; all\"",
            ],
        );
    }

    #[test]
    fn a_known_failure_is_a_skipped_test_case_with_its_reason() {
        check(
            Status::Known,
            "it <forgets> & \"quotes\"",
            &["<skipped message=\"KNOWN: it &lt;forgets&gt; &amp;"],
        );
    }

    #[test]
    fn a_failure_contains_the_evidence_that_the_terminal_shows() {
        check(Status::Hang, "why", &["<failure message=\"HANG: why\"", "HANG  close/twice"]);
        check(Status::Environment, "no room", &["<error message=\"ENVIRONMENT: no room\""]);
    }
}
