//! The README of a bundle: which failure it is, and how another person runs it again.

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
         `{step}` gave `{outcome}`. `failure.txt` explains it, and `diagram.svg` draws it.\n\
         \n\
         Implementation: {implementation}. Execution: {flags}. Suite: gipc-harness {suite}. {private}\n\
         \n\
         Run it again: `gipc-harness run THIS-FOLDER`. Ten runs tell whether the failure is still there, and whether it\n\
         needs a busy machine. Text for a bug report: `gipc-harness repro THIS-FOLDER --format issue`.\n\
         \n\
         gipc-harness is a conformance suite for libraries that start processes and pass messages between them; in a\n\
         clone of its repository, `cargo install --path gipc-harness` installs it. The bundle contains no adapter: unless\n\
         it is gipc-core, which is built in, add `--adapters DIR` with the folder that contains the folder of the adapter\n\
         (in a clone: `adapters`), or `--adapter FOLDER` with the folder of the adapter itself.\n\
         \n\
         `reproduce.scenario`: what was run; `lanes.txt`, `trace.txt`: what happened; `allowed.txt`: what the model allows;\n\
         `trace.json`: for Perfetto; `printed.txt`: output of the agents; `record.jsonl`: every event.\n",
        scenario = manifest.scenario,
        adapter = manifest.adapter,
        implementation = manifest.implementation,
        suite = manifest.suite,
    )
}
