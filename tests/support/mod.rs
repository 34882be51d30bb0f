//! The common part of the conformance test targets: each scenario is a test, named by its id, on one adapter.

use gipc_harness::adapter::{Adapter, AdapterError};
use gipc_harness::environment::{self, Environment};
use gipc_harness::scenario::{Scenario, parse};
use gipc_harness::suite_run::{execute_one, settings_for_one};
use gipc_harness::variant::{Job, Variant, declared_choices};
use gipc_harness::verdict::{Baseline, Verdict, judge};
use libtest_mimic::{Arguments, Failed, Trial};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The program under test.
const HARNESS: &str = env!("CARGO_BIN_EXE_gipc-harness");

/// The environment variable with the adapters that must be able to run, separated by commas. CI sets it, since a
/// developer's machine may lack what some adapters need.
const REQUIRED: &str = "GIPC_HARNESS_REQUIRE";

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every scenario of the suite, in the order of their ids.
fn suite() -> Vec<Scenario> {
    let folder = root().join("scenarios");
    let mut scenarios = Vec::new();
    let themes = std::fs::read_dir(&folder).expect("the folder of the suite exists").flatten();
    for theme in themes.filter(|theme| theme.path().is_dir()) {
        for file in std::fs::read_dir(theme.path()).expect("the folder can be read").flatten() {
            let path = file.path();
            let id = path
                .strip_prefix(&folder)
                .expect("inside")
                .with_extension("")
                .display()
                .to_string();
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            scenarios.push(
                parse(&id, &text).unwrap_or_else(|error| panic!("{}", error.render(&id, &text))),
            );
        }
    }
    scenarios.sort_by(|a, b| a.id.cmp(&b.id));
    scenarios
}

/// Executes one scenario and judges it, as `run` does.
fn verdict(scenario: &Scenario, adapter: &Adapter) -> Result<Verdict, Failed> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| environment::look(Path::new(HARNESS)));
    let (settings, _keep) = settings_for_one(HARNESS.into());
    let path = root().join("scenarios").join(format!("{}.scenario", scenario.id));
    let job = Job::new(scenario, &path, declared_choices(adapter), Variant::default())?;
    let output = execute_one(&job.scenario, &job.mode, adapter, &settings)?;
    Ok(judge(&job, &output.observation, &Baseline::of(adapter), environment))
}

/// The main function of a conformance target. Scenarios with a verdict that is not as expected fail; `then` checks the
/// others. Without the adapter, the tests are ignored unless it is required.
pub(crate) fn conformance(name: &str, then: fn(&Scenario, &Verdict)) -> ! {
    let arguments = Arguments::from_args();
    let adapter = Adapter::load(name, &root().join("adapters"), Path::new(HARNESS));
    let ready = adapter.and_then(|adapter| adapter.ready().map(|()| Arc::new(adapter)));
    let is_required = std::env::var(REQUIRED)
        .is_ok_and(|names| names.split(',').any(|required| required == name));
    let trials =
        suite().into_iter().map(|scenario| trial(scenario, &ready, is_required, then)).collect();
    if let Err(reason) = &ready {
        let _ = writeln!(std::io::stderr(), "{name} is not tested: {reason}");
    }
    libtest_mimic::run(&arguments, trials).exit()
}

/// The test of one scenario.
fn trial(
    scenario: Scenario,
    ready: &Result<Arc<Adapter>, AdapterError>,
    is_required: bool,
    then: fn(&Scenario, &Verdict),
) -> Trial {
    let is_heavy = scenario.heavy().is_some();
    match ready {
        Ok(adapter) => {
            let adapter = Arc::clone(adapter);
            Trial::test(scenario.id.clone(), move || {
                let verdict = verdict(&scenario, &adapter)?;
                if !verdict.status.is_expected() {
                    return Err(format!(
                        "{}: {:?}\n{}\n{}\nagain: cargo harness run {}",
                        verdict.status,
                        verdict.mismatch,
                        verdict.sentences().cloned().collect::<Vec<_>>().join("\n"),
                        verdict.trace_text,
                        scenario.id,
                    )
                    .into());
                }
                then(&scenario, &verdict);
                Ok(())
            })
            .with_ignored_flag(is_heavy)
        }
        Err(reason) => {
            let reason = reason.to_string();
            Trial::test(scenario.id, move || Err(reason.into())).with_ignored_flag(!is_required)
        }
    }
}
