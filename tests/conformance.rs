//! The suite on gipc-core: each scenario is a test whose name is its id, and its trace is a snapshot.
//!
//! `cargo insta review` shows what changed. Heavy scenarios are ignored here: `cargo test -- --ignored`. Where gipc-core
//! cannot be asked, because its types do not let anybody write that, the reason is the snapshot: what is skipped cannot
//! grow unseen.

mod support;

use gipc_harness::scenario::Scenario;
use gipc_harness::verdict::{Status, Verdict};

fn main() {
    support::conformance("gipc-core", compare);
}

/// Only this target writes snapshots, and only of a run that the model agrees with.
fn compare(scenario: &Scenario, verdict: &Verdict) {
    let (theme, name) = scenario.id.split_once('/').unwrap_or(("", &scenario.id));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(support::root().join("tests/snapshots").join(theme));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = match verdict.status {
        Status::Skip => {
            format!("skipped: {}", verdict.sentences().cloned().collect::<Vec<_>>().join("\n"))
        }
        _ => verdict.trace_text.clone(),
    };
    settings.bind(|| insta::assert_snapshot!(name, text));
}
