//! The README of a bundle, of ten lines.

use super::Bundle;

pub(super) fn readme(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let [step, outcome, status] = &manifest.fingerprint;
    let flags = match manifest.flags.as_str() {
        "" => "the steps in file order".to_owned(),
        flags => format!("`{flags}`"),
    };
    let private = match manifest.redacted {
        true => "Paths and the values of environment variables were removed.",
        false => "It contains paths and values of environment variables of the machine.",
    };
    format!(
        "# {status}: {scenario} on {adapter}\n\
         \n\
         In `{step}` came `{outcome}`. `failure.txt` explains it, and `diagram.svg` draws it.\n\
         \n\
         Implementation: {implementation}. Execution: {flags}. Suite: gipc-harness {suite}. {private}\n\
         \n\
         Run it again: `gipc-harness run THIS-FOLDER`. Ten runs tell whether the failure is still there, and whether it\n\
         needs a busy machine. Text for a bug report: `gipc-harness repro THIS-FOLDER --format issue`.\n\
         \n\
         `reproduce.scenario`: what was run; `lanes.txt`, `trace.txt`: what came; `allowed.txt`: what the model allows;\n\
         `trace.json`: for Perfetto; `printed.txt`: output of the agents; `record.jsonl`: every event.\n",
        scenario = manifest.scenario,
        adapter = manifest.adapter,
        implementation = manifest.implementation,
        suite = manifest.suite,
    )
}
