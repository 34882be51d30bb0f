//! The suite as the tests of a crate: each scenario is a libtest test, named by its id.

use crate::adapter::Adapter;
use crate::environment::{self, Environment};
use crate::error::Error;
use crate::init::{init, init_with_agent};
use crate::process_role::AgentFunction;
use crate::report::{ScenarioReport, terminal};
use crate::runner::Settings;
use crate::scenario::Scenario;
use crate::suite::{ScenarioFile, Suite, own_program};
use crate::suite_run::{execute_one, settings_for_one};
use crate::variant::{Job, Variant, declared_choices};
use crate::verdict::{Baseline, Status, Verdict, judge};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// The environment variable that names the adapters that must be able to run, separated by commas. The tests of any other
/// adapter are ignored if it is not set up.
const REQUIRED: &str = "GIPC_HARNESS_REQUIRE";

/// Defines the `main` of a test target with `harness = false`, with one test for each scenario.
///
/// The fields are optional:
///
/// | field | meaning | without it |
/// |---|---|---|
/// | `adapter` | the name or the folder of an adapter | the agent, or the embedded gipc-core |
/// | `agent` | a function `fn(role: &str)` that is the agent | the adapter's command |
/// | `scenarios` | ids, themes, `profile:NAME`, paths | the whole built-in suite |
/// | `inspect` | a function that is called with each expected verdict, for your own snapshots | |
///
/// ```no_run
/// gipc_harness::conformance! { adapter: "tests/my-adapter", scenarios: ["close/", "profile:core"] }
/// ```
///
/// Tests are filtered as usual, `cargo test --test conformance close/`, and under nextest each test is a process of its own.
/// Heavy scenarios are ignored tests. So are scenarios that need a feature that the implementation lacks; the reason is
/// shown.
#[macro_export]
macro_rules! conformance {
    ($($field:ident: $value:expr),* $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let tests = $crate::ConformanceTests::new(::core::env!("CARGO_PKG_NAME"));
            $(let tests = tests.$field($value);)*
            tests.main()
        }
    };
}

/// The tests that [`conformance!`](crate::conformance!) defines.
#[derive(Clone, Debug)]
pub struct ConformanceTests {
    adapter: Option<String>,
    agent: Option<AgentFunction>,
    scenarios: Vec<String>,
    inspect: Option<fn(&Scenario, &Verdict)>,
    package: String,
}

/// What all tests of a target share.
struct Shared {
    adapter: Adapter,
    asked: String,
    /// Whether the agent is a function of this program, which no command of `gipc-harness` can start.
    is_own: bool,
    inspect: Option<fn(&Scenario, &Verdict)>,
    environment: OnceLock<Environment>,
    settings: OnceLock<(Settings, watch::Sender<bool>)>,
}

impl ConformanceTests {
    /// Starts with the whole built-in suite. `package` is the name of an adapter that is only a function.
    #[must_use]
    pub fn new(package: &str) -> Self {
        let (adapter, agent, inspect) = (None, None, None);
        Self { adapter, agent, inspect, scenarios: Vec::new(), package: package.to_owned() }
    }

    /// Selects the adapter: the name or the folder of one.
    #[must_use]
    pub fn adapter(mut self, name: impl Into<String>) -> Self {
        self.adapter = Some(name.into());
        self
    }

    /// Makes a function the agent. An adapter's manifest without a `command` then starts it.
    #[must_use]
    pub fn agent(mut self, agent: AgentFunction) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Selects scenarios: ids, themes (`close/`), `profile:NAME`, or paths of files and folders.
    #[must_use]
    pub fn scenarios<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.scenarios.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets a function that is called with each expected verdict, for your own snapshots. A panic fails the test.
    #[must_use]
    pub fn inspect(mut self, inspect: fn(&Scenario, &Verdict)) -> Self {
        self.inspect = Some(inspect);
        self
    }

    /// The main function: takes the arguments of libtest and runs the tests that they select. In a process that the harness
    /// started, it plays the role of that process instead and does not return.
    pub fn main(self) -> ExitCode {
        match self.agent {
            Some(agent) => init_with_agent(agent),
            None => init(),
        }
        let arguments = Arguments::from_args();
        match self.trials() {
            Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
                ExitCode::from(error.exit_code())
            }
        }
    }

    fn trials(self) -> Result<Vec<Trial>, Error> {
        let mut suite = Suite::find(None, None)?;
        let asked = match (&self.adapter, self.agent) {
            (Some(adapter), _) => adapter.clone(),
            (None, Some(_)) => {
                suite.own_adapter = Some(Adapter::of_this_program(&self.package)?);
                self.package.clone()
            }
            (None, None) => suite.default_adapter.clone().unwrap_or_else(|| "gipc-core".into()),
        };
        let adapter = suite.load_adapter(&asked)?;
        suite.check_vocabulary(&adapter)?;
        let files = suite.select(&self.scenarios)?;
        let stale = suite.stale_scenarios(&adapter)?;
        let absent = adapter.ready().err().map(|error| error.to_string());
        let is_required = std::env::var(REQUIRED)
            .is_ok_and(|names| names.split(',').any(|name| name == adapter.manifest.name));
        let baseline =
            Trial::test("baseline names only scenarios that exist", move || match stale.first() {
                Some(id) => Err(format!(
                    "the adapter's folder names the scenario {id}, which does not exist"
                )
                .into()),
                None => Ok(()),
            });
        if let Some(reason) = &absent {
            let _ = writeln!(std::io::stderr(), "{asked} is not tested: {reason}");
        }
        let (inspect, is_own) = (self.inspect, suite.own_adapter.is_some());
        let (environment, settings) = Default::default();
        let shared = Arc::new(Shared { adapter, asked, is_own, inspect, environment, settings });
        let trials = files.into_iter().map(|file| match &absent {
            None => {
                let (is_heavy, shared) = (file.is_heavy(), Arc::clone(&shared));
                Trial::ignorable_test(file.id.clone(), move || shared.test(&file))
                    .with_ignored_flag(is_heavy)
            }
            Some(reason) => {
                let reason = reason.clone();
                Trial::test(file.id, move || Err(reason.into())).with_ignored_flag(!is_required)
            }
        });
        Ok(trials.chain([baseline]).collect())
    }
}

impl Shared {
    /// Executes one scenario and judges it, as `run` does. A scenario that needs a feature that the implementation lacks is
    /// ignored, with the reason. Fails with the screen that `run` prints.
    fn test(&self, file: &ScenarioFile) -> Result<Completion, Failed> {
        // The tests of the harness ensure that the model agrees with the built-in scenarios.
        let scenario = if file.is_embedded { file.parse() } else { file.checked() };
        let scenario = scenario.map_err(|refusal| refusal.to_string())?;
        let exe = own_program()?;
        let environment = self.environment.get_or_init(|| environment::look(&exe));
        let (settings, _) = self.settings.get_or_init(|| settings_for_one(exe));
        let choices = declared_choices(&self.adapter);
        let job = Job::new(&scenario, &file.path, choices, Variant::default())?;
        let output = execute_one(&job.scenario, &job.mode, &self.adapter, settings)?;
        let verdict = judge(&job, &output.observation, &Baseline::of(&self.adapter), environment);
        if verdict.status.is_expected() {
            if let Some(inspect) = self.inspect {
                inspect(&scenario, &verdict);
            }
            let reasons: Vec<&str> = verdict.sentences().map(String::as_str).collect();
            return Ok(match verdict.status {
                Status::Skip => Completion::ignored_with(reasons.join("; ")),
                _ => Completion::Completed,
            });
        }
        let report = ScenarioReport {
            scenario: job.scenario.clone(),
            path: job.path.clone(),
            name: job.scenario.id.clone(),
            adapter: self.adapter.manifest.name.clone(),
            asked: self.asked.clone(),
            flags: String::new(),
            verdict,
            time: Duration::ZERO,
            record: None,
        };
        Err(match self.is_own {
            true => {
                let again = format!("\n  again    cargo test {}\n", report.name);
                (terminal::evidence(&report) + &again).into()
            }
            false => terminal::failure(&report).into(),
        })
    }
}
