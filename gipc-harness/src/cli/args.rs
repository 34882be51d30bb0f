//! What may be typed: the commands, their options, and what they are if left out. Does nothing.

use super::jobs::{self, InjectionSelector, OrderOption};
use super::scaffold;
use crate::adapter::EMBEDDED;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gipc-harness",
    version,
    about = "Runs scripted multi-process scenarios against an implementation, and explains what went wrong",
    after_help = "Without a command it performs every scenario on the embedded gipc-core.\n\
                  Exit: 0 all as expected, 1 something is not, 2 usage or a bad scenario, 3 could not find out."
)]
pub struct Options {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The folder with the scenarios [default: the nearest `scenarios` here or above]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
    /// The folder with the adapters [default: the nearest `adapters` here or above]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) adapters: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists scenarios and what they ask
    List(What),
    /// Reads scenarios and asks the model, without starting any process
    Check(What),
    /// Performs scenarios on an implementation and judges what came
    Run(Run),
    /// Shows what each process does, side by side, as the model predicts or an adapter performs it
    Show(Show),
    /// Judges recorded runs again, without running anything
    Judge {
        /// The `record.jsonl` of each
        #[arg(value_name = "RECORD", required = true)]
        records: Vec<PathBuf>,
    },
    /// Asks many implementations, and writes who keeps which promise: for terminals, as Markdown, JSON and HTML
    Matrix(Matrices),
    /// Makes random scenarios until one fails, and makes that one small
    Explore(Explore),
    /// Lists the requirements and who asks each of them
    Spec(Spec),
    /// Puts scenario files into their columns
    Fmt(Fmt),
    /// Looks at what the suite assumes of this system; exit 1 if something does not hold
    Doctor,
    /// Things to do with an adapter
    Adapter {
        #[command(subcommand)]
        command: AdapterCommand,
    },
}

#[derive(Debug, Default, Args)]
pub(super) struct What {
    /// Ids, folders or files; all if none is named
    #[arg(value_name = "WHAT")]
    pub(super) what: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    /// Ids, folders or files; all if none is named
    #[arg(value_name = "WHAT")]
    pub(super) what: Vec<String>,
    /// The name or folder of an adapter; `model` performs nothing and predicts
    #[arg(long, default_value = EMBEDDED, value_name = "NAME|PATH")]
    pub(super) adapter: String,
    /// How many scenarios run at once [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// How often each scenario runs
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeat: u32,
    /// StallEvidence at the first one that is not as expected
    #[arg(long)]
    pub(super) until_failure: bool,
    /// In which order steps are released: `story`, `random:SEED`, or `all` that differ
    #[arg(long, default_value = "story", value_name = "ORDER", value_parser = jobs::orders)]
    pub(super) order: OrderOption,
    /// Give each task all its steps at once, and let it go
    #[arg(long, conflicts_with = "order")]
    pub(super) batch: bool,
    /// Perform also what the model says cannot come out as it is written, and judge it by what is written
    #[arg(long, conflicts_with_all = ["batch", "kill", "freeze", "starve"])]
    pub(super) unchecked: bool,
    /// Kill a process at its K-th begin or end of a step, or each of them at each in turn
    #[arg(long, value_name = "all|ROLE@K", value_parser = jobs::point, conflicts_with_all = ["order", "batch"])]
    pub(super) kill: Option<InjectionSelector>,
    /// StallEvidence it there and let it go on, which must change nothing
    #[arg(long, value_name = "all|ROLE@K", value_parser = jobs::point, conflicts_with_all = ["order", "batch", "kill"])]
    pub(super) freeze: Option<InjectionSelector>,
    /// Let a process lack descriptors for its K-th pipe, duplex or child, or for each of the first 20 in turn; it then
    /// tries again, and all that follows must be as if nothing had been
    #[arg(long, value_name = "all|ROLE@K", value_parser = jobs::point, conflicts_with_all = ["order", "batch", "kill", "freeze"])]
    pub(super) starve: Option<InjectionSelector>,
    /// Make each pipe hold so many bytes, where the system can be asked that (Linux: 4096 to 1048576)
    #[arg(long, value_name = "BYTES", conflicts_with = "batch", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub(super) capacity: Option<u32>,
    /// Keep so many processes busy meanwhile
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) load: u16,
    /// Also those that need much memory, time or many processes
    #[arg(long)]
    pub(super) heavy: bool,
    /// For whom the report is
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(super) format: Format,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Only the I-th of N parts of all that is asked for, which together are the whole
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// Write what failed, passed or was skipped against what the adapter's folder says into that folder
    #[arg(long, conflicts_with_all = ["order", "batch", "kill", "freeze", "unchecked", "capacity"])]
    pub(super) accept: bool,
    /// Keep the evidence of what passed, too
    #[arg(long)]
    pub(super) keep: bool,
    /// Where the evidence of failures goes
    #[arg(long, default_value = "target/gipc-harness", value_name = "DIR")]
    pub(super) record: PathBuf,
    /// How many seconds to wait where no reason for a silence can be found
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) patience: u64,
    /// How many times as long on a slow machine, an emulator for instance [default: what `doctor` finds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) slow_factor: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A person.
    Terminal,
    /// A program: one JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// An id or a file
    #[arg(value_name = "WHAT")]
    pub(super) what: String,
    /// Perform it on this adapter first
    #[arg(long, default_value = crate::adapter::MODEL, value_name = "NAME|PATH")]
    pub(super) adapter: String,
}

#[derive(Debug, Args)]
pub(super) struct Matrices {
    /// Ids, folders or files; all if none is named
    #[arg(value_name = "WHAT")]
    pub(super) what: Vec<String>,
    /// An adapter; may be given several times; `NAME@*` is it and all its variants [default: all without their variants]
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) adapter: Vec<String>,
    /// Where `matrix.json`, `matrix.md` and `index.html` go
    #[arg(long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// An earlier `matrix.json`: says what changed; exit 1 if something is worse
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) against: Option<PathBuf>,
    /// Perform nothing, and put together what these say
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., conflicts_with_all = ["what", "adapter", "heavy", "jobs", "shard"])]
    pub(super) from: Vec<PathBuf>,
    /// Exit 3 if anything is missing: an adapter that cannot run here, a scenario that was not performed
    #[arg(long)]
    pub(super) whole: bool,
    /// Also those that need much memory, time or many processes
    #[arg(long)]
    pub(super) heavy: bool,
    /// How many scenarios run at once [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Only the I-th of N parts of the scenarios; `--from` puts the parts together
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// How many times as long on a slow machine [default: what `doctor` finds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) slow_factor: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Explore {
    /// The name or folder of an adapter
    #[arg(long, default_value = EMBEDDED, value_name = "NAME|PATH")]
    pub(super) adapter: String,
    /// The first seed; a random one if none is named
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// For how long: seconds, or 10m
    #[arg(long = "for", default_value = "60", value_name = "TIME", value_parser = seconds)]
    pub(super) seconds: u64,
    /// How many scenarios at most
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u32>,
    /// Only verbs of this profile and core; may be given several times [default: all that the adapter has]
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Vec<String>,
    /// Go on after a failure, and keep one of each kind
    #[arg(long)]
    pub(super) all: bool,
    /// How many scenarios run at once [default: three a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Where a failure is written
    #[arg(long, default_value = "target/gipc-harness/explore", value_name = "DIR")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Spec {
    /// Ids or their first word, such as EOF-4 or EOF; all if none is named
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// Only those that nobody asks and nothing stands in for; exit 1 if there are any
    #[arg(long)]
    pub(super) uncovered: bool,
    /// The other way round: each scenario and what it asks
    #[arg(long, conflicts_with = "uncovered")]
    pub(super) by_scenario: bool,
}

#[derive(Debug, Args)]
pub(super) struct Fmt {
    /// Ids, folders or files; all if none is named
    #[arg(value_name = "WHAT")]
    pub(super) what: Vec<String>,
    /// Write nothing, only say which files would change
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum AdapterCommand {
    /// Lists the adapters and whether they can run here
    List,
    /// Makes the environment that an adapter needs
    Setup {
        /// Its name or folder
        name: String,
    },
    /// Asks an agent whether it keeps the contract, and shows the conversation where it does not
    Check {
        /// Its name or folder
        name: String,
    },
    /// Makes the beginning of an adapter, which keeps the contract
    New {
        /// The name: that of its folder
        name: String,
        /// The language of the agent
        #[arg(long, value_enum)]
        lang: scaffold::Lang,
    },
    /// Writes the messages and the manifest as JSON Schema, with a page made of them
    Schema {
        /// Where to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Run {
    /// As if `run` had been typed and nothing more.
    pub(super) fn parse_default() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            run: Run,
        }
        Alone::parse_from(["run"]).run
    }
}

/// `2/3`: the second of three parts.
fn shard(word: &str) -> Result<(usize, usize), String> {
    let numbers = word.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part, parts)),
        _ => Err("write which part of how many, such as 1/3, 2/3 and 3/3".into()),
    }
}

/// `90`, `90s` or `10m`.
fn seconds(word: &str) -> Result<u64, String> {
    let (number, unit) = match word.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (word.strip_suffix('s').unwrap_or(word), 1),
    };
    let wrong = |_| "write seconds, such as 90, or minutes, such as 10m".to_owned();
    number.parse::<u64>().map(|number| number * unit).map_err(wrong)
}
