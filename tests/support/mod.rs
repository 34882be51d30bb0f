//! What the conformance targets share: each scenario is a test whose name is its id, on one adapter.

use gipc_harness::adapter::{Adapter, AdapterError};
use gipc_harness::cli::choices;
use gipc_harness::model;
use gipc_harness::runner::{Settings, execute};
use gipc_harness::scenario::{Scenario, parse};
use gipc_harness::trace::ExecutionMode;
use gipc_harness::verdict::{Status, Verdict, judge};
use libtest_mimic::{Arguments, Failed, Trial};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The program under test.
const HARNESS: &str = env!("CARGO_BIN_EXE_gipc-harness");

/// The adapters that must be there, by name: CI sets up what a newcomer's machine may lack.
const REQUIRED: &str = "GIPC_HARNESS_REQUIRE";

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every scenario of the suite, in the order of their ids.
fn suite() -> Vec<Scenario> {
    let folder = root().join("scenarios");
    let mut found = Vec::new();
    let themes = std::fs::read_dir(&folder).expect("the suite is here").flatten();
    for theme in themes.filter(|theme| theme.path().is_dir()) {
        for file in std::fs::read_dir(theme.path()).expect("it can be read").flatten() {
            let path = file.path();
            let id = path
                .strip_prefix(&folder)
                .expect("inside")
                .with_extension("")
                .display()
                .to_string();
            let text = std::fs::read_to_string(&path).expect("it can be read");
            found.push(
                parse(&id, &text).unwrap_or_else(|error| panic!("{}", error.render(&id, &text))),
            );
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Performs one scenario and judges it.
fn verdict(scenario: &Scenario, adapter: &Adapter) -> Result<Verdict, Failed> {
    let (_keep, interrupt) = tokio::sync::watch::channel(false);
    let settings = Settings {
        exe: HARNESS.into(),
        quiet_period: Duration::from_millis(20),
        timeout: Duration::from_secs(60),
        capacity: None,
        find_deadlocked: gipc_harness::deadlock::deadlocked_steps,
        interrupt,
    };
    let choices = choices(adapter);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let course = ExecutionMode::Stepwise(model::schedule(scenario, choices));
    let output = runtime.block_on(execute(scenario, &course, adapter, &settings))?;
    let allowed = model::allowed(scenario, choices);
    Ok(judge(scenario, &allowed, &output.observation, &adapter.manifest.known))
}

/// The main of a conformance target.
pub(crate) fn conformance(name: &str, then: fn(&Scenario, &Verdict)) -> ! {
    let arguments = Arguments::from_args();
    let adapter = Adapter::load(name, &root().join("adapters"), Path::new(HARNESS));
    let ready = adapter.and_then(|adapter| adapter.ready().map(|()| Arc::new(adapter)));
    let required =
        std::env::var(REQUIRED).is_ok_and(|names| names.split(',').any(|one| one == name));
    let trials =
        suite().into_iter().map(|scenario| trial(scenario, &ready, required, then)).collect();
    if let Err(reason) = &ready {
        let _ = writeln!(std::io::stderr(), "{name} is not asked: {reason}");
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn trial(
    scenario: Scenario,
    ready: &Result<Arc<Adapter>, AdapterError>,
    required: bool,
    then: fn(&Scenario, &Verdict),
) -> Trial {
    let heavy = scenario.heavy().is_some();
    match ready {
        Ok(adapter) => {
            let adapter = Arc::clone(adapter);
            Trial::test(scenario.id.clone(), move || {
                let verdict = verdict(&scenario, &adapter)?;
                if !matches!(verdict.word, Status::Pass | Status::Known | Status::Skip) {
                    return Err(format!(
                        "{}: {:?}\n{}\n{}\nagain: cargo harness run {}",
                        verdict.word,
                        verdict.first,
                        verdict.notes.join("\n"),
                        verdict.text,
                        scenario.id,
                    )
                    .into());
                }
                then(&scenario, &verdict);
                Ok(())
            })
            .with_ignored_flag(heavy)
        }
        Err(reason) => {
            let reason = reason.to_string();
            Trial::test(scenario.id, move || Err(reason.into())).with_ignored_flag(!required)
        }
    }
}
