//! The command line: commands, flags and their defaults.

use super::record_args::{Repro, Show, Shrink};
use super::run_args::{Execution, ReportFormat, Run, Selection, jobs_value, shard};
use crate::adapter::EMBEDDED;
use crate::suite::scaffold::Language;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// What the verdicts and the exit codes of `run` mean.
const VERDICTS: &str = "\
Verdicts:
  PASS         each step has an outcome that the file and the model allow
  KNOWN        the scenario fails exactly as the adapter's manifest says
  SKIP         the implementation lacks what the scenario needs
  FAIL         a step has another outcome than allowed, or something is leaked
  DEADLOCK     processes wait for each other forever
  HANG         a step could complete, but does not
  SLOW         the run did not end in time, and nothing shows why
  UNKNOWN      more outcomes are possible than the model can enumerate
  FIXED        the scenario passes, but the manifest says that it fails or is
               skipped
  ERROR        the adapter or the harness is at fault
  ENVIRONMENT  the system lacks what the suite assumes, which explains the failure

Exit codes:
  0  everything is as expected: PASS, KNOWN or SKIP
  1  not as expected: FAIL, DEADLOCK, HANG or FIXED, or verdicts or traces
     that differ between repeated runs
  2  wrong usage, or a scenario or a manifest that is refused; nothing was
     started
  3  inconclusive: SLOW, UNKNOWN, ERROR, ENVIRONMENT, an interrupted run, or
     a file that could not be written";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gipc-harness",
    version,
    subcommand_required = false,
    arg_required_else_help = false,
    about = "Runs scripted multi-process scenarios against an implementation, and explains what went wrong",
    after_help = "Without a command it runs every scenario on the embedded gipc-core.\n\
                  Exit codes: 0 as expected, 1 not as expected, 2 wrong usage or a refused file, 3 inconclusive."
)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) command: Command,
    /// The folder with the scenarios [default: the one in `gipc-harness.toml` or an exported suite, in this folder or above it; otherwise the built-in scenarios]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
    /// The folder with the adapters [default: `adapters` beside that file, or in this folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) adapters: Option<PathBuf>,
    /// Use the flags of this preset in `gipc-harness.toml`
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) preset: Option<String>,
    /// On Linux, do without process descriptors, and without /proc except for the end of a process, as on other systems (the same as GIPC_HARNESS_PORTABLE=1)
    #[arg(long, global = true)]
    pub(super) force_portable: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the scenarios and what each tests
    List(List),
    /// Check scenarios against the model, without starting a process
    Check(Check),
    /// Run scenarios on an implementation and judge the outcomes
    #[command(after_long_help = VERDICTS)]
    Run(Box<Run>),
    /// Draw what each task does, side by side: as the model predicts it, as an adapter does it, or from a record
    Show(Show),
    /// Pack a failing run into a folder that reproduces it elsewhere, or print it as a bug report
    Repro(Repro),
    /// Make the scenario of a failing run smaller, as long as it fails in the same way
    Shrink(Shrink),
    /// Judge recorded runs again, without running anything
    Judge {
        /// The `record.jsonl` of each run
        #[arg(value_name = "RECORD", required = true)]
        records: Vec<PathBuf>,
    },
    /// Run the suite on several adapters, print a summary, and write it as Markdown, JSON and HTML
    Matrix(Matrix),
    /// Run the suite on adapters with deliberate faults, and show which scenario catches which fault
    ///
    /// Exit code 1 if the scenario that is named for a fault does not catch it.
    Mutants(Mutants),
    /// Run the scenarios of reported bugs, which must fail on the releases with the bug and pass on those without it
    Bugs(Bugs),
    /// Run random scenarios until one fails, and shrink it
    Explore(Explore),
    /// List the requirements, and the scenarios that test each
    Spec(Spec),
    /// Write a first scenario, or export the built-in ones
    Scenarios {
        #[command(subcommand)]
        command: ScenariosCommand,
    },
    /// Align the columns of scenario files
    Fmt(Fmt),
    /// Check the assumptions of the suite about this system; exit 1 if one does not hold
    Doctor,
    /// Print completions for a shell
    ///
    /// For bash: gipc-harness completions bash > ~/.local/share/bash-completion/completions/gipc-harness
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write manual pages, one for each command
    Man {
        /// The folder to write to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Commands for adapters
    Adapter {
        #[command(subcommand)]
        command: AdapterCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ScenariosCommand {
    /// Write a scenario of ten lines to start from
    New {
        /// A new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write the built-in scenarios, and the page that explains their language
    Export {
        /// A new folder. Commands use it if its name is `scenarios` and it is in the current folder or above
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Terminal)]
    pub(super) format: ListFormat,
}

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// Text for a person
    Terminal,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The format of the report; `json`: an object for each mistake, with file, line, column, width, message and hint
    #[arg(long, value_enum, default_value_t = ReportFormat::Terminal)]
    pub(super) format: ReportFormat,
    /// Assume the choices that this adapter declares
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) adapter: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Matrix {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// An adapter; may be given several times; `NAME@*` is an adapter with all its variants [default: all, without
    /// variants]
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) adapter: Vec<String>,
    /// The folder for `matrix.json`, `matrix.md`, `evidence.json` and the pages in `html/`
    #[arg(long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// An earlier `matrix.json`: report what changed, and exit 1 if something is worse
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) against: Option<PathBuf>,
    /// Run nothing, but merge these matrices
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., conflicts_with_all = ["names", "skip", "adapter", "heavy", "jobs", "shard"])]
    pub(super) from: Vec<PathBuf>,
    /// Exit 3 if anything is missing: an adapter that cannot run here, a scenario that did not run
    #[arg(long)]
    pub(super) whole: bool,
    #[command(flatten)]
    pub(super) execution: Execution,
}

#[derive(Debug, Args)]
pub(super) struct Mutants {
    /// Adapters that have a `faults.toml` [default: all that have one]
    #[arg(value_name = "ADAPTER")]
    pub(super) families: Vec<String>,
    /// Run only this fault; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) fault: Vec<String>,
    /// Also run the faults whose scenario is heavy
    #[arg(long)]
    pub(super) heavy: bool,
    /// Run only the scenario that is named for each fault, not the whole suite
    #[arg(long)]
    pub(super) named: bool,
    /// Run only the I-th of N parts of the faults
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// Reuse the results of an earlier run that are newer than the programs and the list of faults
    #[arg(long)]
    pub(super) resume: bool,
    /// The folder in which results are kept
    #[arg(long, default_value = "target/gipc-harness/mutants", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// How many scenarios run at once [default: two for each processor]
    #[arg(long, value_name = "N", value_parser = jobs_value())]
    pub(super) jobs: Option<u16>,
    /// How many seconds to wait where there is no evidence of a stall
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout: u64,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Terminal)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(super) struct Bugs {
    /// Projects or bugs, such as `gipc` or `gipc/issue-12` [default: all]
    #[arg(value_name = "BUG")]
    pub(super) names: Vec<String>,
    /// The folder that has a subfolder for each project
    #[arg(long, default_value = "bugs", value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Write the record of each failure beside its scenario
    #[arg(long)]
    pub(super) record: bool,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Terminal)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(super) struct Explore {
    /// The name or folder of an adapter
    #[arg(long, default_value = EMBEDDED, value_name = "NAME|PATH")]
    pub(super) adapter: String,
    /// The first seed [default: a random one]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Try only these seeds, such as 1..1000; several machines can share a search, each with its own range
    #[arg(long, value_name = "FIRST..LAST", value_parser = seed_range, conflicts_with_all = ["seed", "count"])]
    pub(super) seed_range: Option<(u64, u64)>,
    /// How long to search: seconds, or minutes as in 10m [default: 60; with --seed-range until all seeds were tried]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub(super) seconds: Option<u64>,
    /// The largest number of scenarios to run
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u32>,
    /// Use only verbs of this profile and of core; may be given several times [default: all profiles of the adapter]
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Vec<String>,
    /// Continue after a failure, and keep one failure of each kind
    #[arg(long)]
    pub(super) all: bool,
    /// How many scenarios run at once [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = jobs_value())]
    pub(super) jobs: Option<u16>,
    /// The folder that failures are written to
    #[arg(long, default_value = "target/gipc-harness/explore", value_name = "DIR")]
    pub(super) out: PathBuf,
}

/// Reads `1..1000`: both seeds are tried.
fn seed_range(word: &str) -> Result<(u64, u64), String> {
    let seeds = word.split_once("..").and_then(|(first, last)| {
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < u64::MAX).then_some((first, last))
    });
    seeds.ok_or_else(|| "write the first and the last seed, such as 1..1000".into())
}

#[derive(Debug, Args)]
pub(super) struct Spec {
    /// Requirements or groups of them, such as EOF-4 or EOF; all if nothing is named
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// List only requirements that neither a scenario nor anything else tests; exit 1 if there are any
    #[arg(long)]
    pub(super) uncovered: bool,
    /// List only requirements that no scenario tests on this adapter, each with the reason
    #[arg(long, value_name = "ADAPTER", requires = "uncovered")]
    pub(super) adapter: Option<String>,
    /// List each scenario with the requirements that it tests
    #[arg(long, conflicts_with = "uncovered")]
    pub(super) by_scenario: bool,
}

#[derive(Debug, Args)]
pub(super) struct Fmt {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Write nothing, only report which files would change
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum AdapterCommand {
    /// List the adapters and whether they can run here
    List,
    /// Create the environment that an adapter needs
    Setup {
        /// The name or folder of the adapter
        name: String,
    },
    /// Check that an agent follows the protocol, and show the messages where it does not
    Check {
        /// The name or folder of the adapter
        name: String,
    },
    /// Create an adapter: a working agent in a language that has a kit, a walk-through for any other
    New {
        /// The name of the adapter and of its folder
        name: String,
        /// The language of the agent
        #[arg(long, value_enum)]
        lang: Lang,
    },
    /// Write the messages and the manifest as JSON Schema, with a reference page
    Schema {
        /// The folder to write to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// The language of a new agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// With the kit, adapters/kit/python
    Python,
    /// With the kit, adapters/kit/node
    Node,
    /// With the crate gipc-agent, adapters/kit/rust
    Rust,
    /// Without a kit: a manifest, and a walk-through for an agent in any language
    Other,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Python => Self::Python,
            Lang::Node => Self::Node,
            Lang::Rust => Self::Rust,
            Lang::Other => Self::Other,
        }
    }
}

/// Reads `90`, `90s` or `10m`.
fn seconds(word: &str) -> Result<u64, String> {
    let (number, unit) = match word.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (word.strip_suffix('s').unwrap_or(word), 1),
    };
    let wrong = |_| "write seconds, such as 90, or minutes, such as 10m".to_owned();
    number.parse::<u64>().map(|number| number * unit).map_err(wrong)
}
