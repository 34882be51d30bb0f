//! The suite on the real gipc. Without the environment that `cargo harness adapter setup gipc-python` creates, every
//! scenario is ignored, and the reason is printed.

use gipc_harness::scenario::Scenario;
use gipc_harness::verdict::{Status, Verdict};
use std::path::Path;

gipc_harness::conformance! { adapter: "gipc-python", inspect: compare }

/// What gipc cannot be asked, by the begin of the id: it starts no programs and no process groups, it does not share handles, and its
/// process objects are not meant to be dropped.
const WITHOUT_GIPC: [&str; 9] = [
    "drop/a-dropped-child-",
    "drop/a-dropped-program-",
    "drop/dropped-before-",
    "drop/joined-and-dropped-",
    "groups/",
    "share/",
    "start/a-missing-",
    "start/sixty-",
    "stdio/",
];

/// Compares the trace of a passed scenario with the snapshot of gipc-core: the trace does not depend on the
/// implementation.
fn compare(scenario: &Scenario, verdict: &Verdict) {
    let is_supported = !WITHOUT_GIPC.iter().any(|theme| scenario.id.starts_with(theme));
    assert_eq!(verdict.status == Status::Skip, !is_supported, "{:?}", verdict.reason);
    if verdict.status == Status::Pass {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots");
        let path = folder.join(format!("{}.snap", scenario.id));
        let snapshot =
            std::fs::read_to_string(&path).expect("gipc-core has a snapshot of each scenario");
        let text = snapshot.splitn(3, "---\n").nth(2).expect("a snapshot has a header");
        // Scenarios that gipc-core skips have no trace to compare with.
        if !text.starts_with("skipped: ") {
            assert_eq!(verdict.trace_text.trim(), text.trim(), "{}", path.display());
        }
    }
}
