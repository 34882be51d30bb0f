//! Tests that the text of what the model allows is the stored trace of gipc-core, scenario by scenario.

use super::suite;
use crate::model::{Choices, Unjoined, allowed};
use crate::trace::snapshot_class_text;
use std::path::Path;

/// The choices that the manifest of gipc-core declares.
fn choices() -> Choices {
    Choices { unjoined: Unjoined::Killed, refuses_threads: true, ..Choices::default() }
}

/// The stored trace of a scenario. A heavy scenario has none.
fn stored(scenario: &Path) -> Option<String> {
    let theme = scenario.parent()?.file_name()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots").join(theme);
    let name = Path::new(scenario.file_stem()?).with_extension("snap");
    let text = std::fs::read_to_string(folder.join(name)).ok()?;
    text.splitn(3, "---\n").nth(2).map(|text| text.trim_end().to_owned())
}

#[test]
fn what_the_model_allows_is_the_stored_trace_of_each_scenario() {
    let mut compared = 0;
    for scenario in suite() {
        let Some(stored) = stored(Path::new(&scenario.id)) else { continue };
        let allowed = allowed(scenario, choices());
        if stored.starts_with("skipped: ") || !allowed.complete {
            continue;
        }
        let text = snapshot_class_text(scenario, &allowed.traces);
        assert_eq!(text.trim_end(), stored, "{}", scenario.id);
        compared += 1;
    }
    assert!(compared > 200, "only {compared} scenarios have a stored trace");
}
