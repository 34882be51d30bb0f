//! The suite on gipc-core: each scenario is a test whose name is its id, and its trace is a snapshot.
//!
//! `cargo insta review` shows changed traces. Heavy scenarios are ignored by default; `cargo test -- --ignored` runs
//! them. If gipc-core skips a scenario, because its types do not allow the operation, the snapshot is the reason, so a
//! new skip shows up as a changed snapshot.

use gipc_harness::scenario::Scenario;
use gipc_harness::verdict::{Status, Verdict};
use std::path::Path;

gipc_harness::conformance! { adapter: "gipc-core", inspect: compare }

/// Compares the trace with its snapshot. Only this test target writes snapshots, and only of runs that the model allows.
fn compare(scenario: &Scenario, verdict: &Verdict) {
    let (theme, name) = scenario.id.split_once('/').unwrap_or(("", &scenario.id));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots").join(theme),
    );
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
