//! The results as JUnit XML: a suite a theme, a case a run. What is known or skipped is skipped, with its reason.

use super::{ScenarioReport, terminal};
use crate::environment::Environment;
use crate::verdict::Status;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

/// The cases so far, by theme.
#[derive(Debug, Default)]
pub struct Junit {
    themes: BTreeMap<String, Vec<TestCase>>,
}

impl Junit {
    /// Adds a result, and how long it took.
    pub fn add(&mut self, result: &ScenarioReport, time: Duration) {
        let verdict = &result.verdict;
        let (theme, name) = result.scenario.id.split_once('/').unwrap_or(("", &result.scenario.id));
        let mut status = match verdict.status {
            Status::Pass => TestCaseStatus::success(),
            Status::Known | Status::Skip => TestCaseStatus::skipped(),
            word if word.is_inconclusive() => TestCaseStatus::non_success(NonSuccessKind::Error),
            _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if verdict.status != Status::Pass {
            let note = verdict.sentences().next().map_or("", String::as_str);
            status.set_message(format!("{}: {note}", verdict.status).trim_end_matches([':', ' ']));
        }
        if !verdict.status.is_expected() {
            status.set_description(terminal::evidence(result));
        }
        let how =
            if result.flags.is_empty() { String::new() } else { format!(" ({})", result.flags) };
        let mut case = TestCase::new(format!("{name}{how}"), status);
        case.set_classname(format!("{}.{theme}", result.adapter)).set_time(time);
        self.themes.entry(theme.to_owned()).or_default().push(case);
    }

    /// The whole, as text.
    pub fn text(self, adapter: &str, here: &Environment, time: Duration) -> Result<String, String> {
        let mut report = Report::new(format!("gipc-harness on {adapter}"));
        report.set_time(time);
        for (theme, cases) in self.themes {
            let mut suite = TestSuite::new(theme);
            suite.add_test_cases(cases);
            let facts = here.facts.iter().map(|fact| (fact.name.to_string(), fact.found.clone()));
            suite.properties.extend(facts.map(Property::from));
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

    /// What is written of one result with this verdict and note.
    fn check(word: Status, note: &str, expected: &[&str]) {
        let scenario =
            parse("close/twice", "main pipe r w\nmain close r\nmain close r => closed\n");
        let verdict = Verdict::for_test(word, note);
        let result = ScenarioReport {
            scenario: scenario.expect("it is one"),
            path: "scenarios/close/twice.scenario".into(),
            adapter: "any".into(),
            asked: "any".into(),
            flags: String::new(),
            verdict,
            record: None,
        };
        let fact = SystemFact { name: "system".into(), found: "any & all".into(), unmet: None };
        let here = Environment { facts: vec![fact], slow_factor: 1 };
        let mut junit = Junit::default();
        junit.add(&result, Duration::from_millis(7));
        let text = junit.text("any", &here, Duration::from_millis(9)).expect("it can be written");
        for part in expected {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn who_passes_is_a_case() {
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
    fn what_is_known_is_skipped_with_its_reason() {
        check(
            Status::Known,
            "it <forgets> & \"quotes\"",
            &["<skipped message=\"KNOWN: it &lt;forgets&gt; &amp;"],
        );
    }

    #[test]
    fn who_fails_has_his_screen() {
        check(Status::Hang, "why", &["<failure message=\"HANG: why\"", "HANG  close/twice"]);
        check(Status::Environment, "no room", &["<error message=\"ENVIRONMENT: no room\""]);
    }
}
