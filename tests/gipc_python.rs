//! The suite on the real gipc, where `cargo harness adapter setup gipc-python` has made its environment; else every
//! scenario is ignored, and the reason is printed.

mod support;

use gipc_harness::scenario::Scenario;
use gipc_harness::verdict::{Status, Verdict};

fn main() {
    support::conformance("gipc-python", compare);
}

/// One scenario has one trace, whoever performs it: it is compared with what gipc-core has written.
fn compare(scenario: &Scenario, verdict: &Verdict) {
    assert_ne!(verdict.status, Status::Skip, "{:?}: gipc can be asked everything", verdict.reason);
    if verdict.status == Status::Pass {
        let path = support::root().join("tests/snapshots").join(format!("{}.snap", scenario.id));
        let snapshot = std::fs::read_to_string(&path).expect("gipc-core has written one");
        let text = snapshot.splitn(3, "---\n").nth(2).expect("a snapshot has a head");
        // What gipc-core cannot be asked is compared with the model alone.
        if !text.starts_with("skipped: ") {
            assert_eq!(verdict.trace_text.trim(), text.trim(), "{}", path.display());
        }
    }
}
