//! The suite beside what its processes cost without it: `cargo compare-harness [ROUNDS] [gipc-python]`.
//!
//! Each round runs the same scenarios in several ways, each time another one first, so that what disturbs one disturbs the
//! others: the floor starts the processes of each scenario, which connect to a socket, move the bytes of its messages and exit;
//! for gipc-core, a second floor does the same with gipc-core, which shows what the harness alone adds (the floor of gipc-python
//! uses gipc anyway); the suite runs the scenarios; and two loops run the suite once for each scenario, in a process of its
//! own. Prints the wall time, the processor time and their ratios to the floor, as medians over the rounds. It is no test:
//! nothing fails here.

mod floor;
mod floor_of_gipc_core;

use floor::ProcessTree;
use gipc_harness::Harness;
use gipc_harness::suite::Suite;
use gipc_harness::verdict::Status;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

type Failure = Box<dyn Error>;

/// How many rounds are run if no number is given.
const ROUNDS: usize = 5;

/// The usage, as an error.
const USAGE: &str = "usage: cargo compare-harness [ROUNDS] [gipc-python]";

/// What is compared.
pub(crate) struct Comparison {
    /// The adapter; `None` for gipc-core.
    adapter: Option<String>,
    /// The command of a process of the floor.
    floor: Vec<OsString>,
    subjects: Vec<Subject>,
    /// How many scenarios run at once: as many as the suite itself runs.
    at_once: usize,
}

/// A scenario that the implementation passes.
struct Subject {
    id: String,
    tree: ProcessTree,
    steps: usize,
}

/// Runs all scenarios.
type RunAll = fn(&Comparison) -> Result<(), Failure>;

/// The way that the others are compared with.
const FLOOR: &str = "floor: start, connect, move the bytes, exit";
const FLOOR_ON_GIPC_CORE: &str = "the same with gipc-core";
const SUITE: &str = "suite";

/// The ways to run all scenarios, as they are called in the table.
const WAYS: [(&str, RunAll); 5] = [
    (FLOOR, floor::run_all),
    (FLOOR_ON_GIPC_CORE, floor::run_all_on_gipc_core),
    (SUITE, run_suite),
    ("a process for each scenario, side by side", run_each_side_by_side),
    ("a process for each scenario, shell loop", run_each_in_a_shell),
];

/// What one way cost in one round, in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wall: f64,
    /// Of this program.
    own_cpu: f64,
    /// Of the processes that it started and waited for.
    other_cpu: f64,
}

fn main() -> Result<(), Failure> {
    match std::env::var_os(floor_of_gipc_core::VARIABLE) {
        Some(_) => floor_of_gipc_core::init(),
        None => gipc_harness::init(),
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [floor::NODE, socket, tree] => floor::node(socket, tree),
        [floor::NODE_OF_GIPC_CORE, socket, tree] => floor_of_gipc_core::main(socket, tree),
        [floor::ECHO] => floor::echo(),
        ["one", id] => run_one(None, id),
        ["one", id, adapter] => run_one(Some(adapter), id),
        [] => compare(ROUNDS, None),
        [rounds] => compare(rounds.parse().map_err(|_| USAGE)?, None),
        [rounds, adapter] => compare(rounds.parse().map_err(|_| USAGE)?, Some(adapter)),
        _ => Err(USAGE.into()),
    }
}

fn compare(rounds: usize, adapter: Option<&str>) -> Result<(), Failure> {
    let comparison = Comparison::of(adapter)?;
    let subjects = &comparison.subjects;
    let mut ways = WAYS.to_vec();
    ways.retain(|(name, _)| adapter.is_none() || *name != FLOOR_ON_GIPC_CORE);
    let mut costs: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
    for _ in 0..rounds.max(1) {
        for (name, run_all) in &ways {
            costs.entry(name).or_default().push(measured(|| run_all(&comparison))?);
        }
        ways.rotate_left(1);
    }
    let processes: usize = subjects.iter().map(|subject| subject.tree.processes()).sum();
    let steps: usize = subjects.iter().map(|subject| subject.steps).sum();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{}: {} scenarios, {processes} processes, {steps} steps; {} at once, {rounds} rounds\n",
        adapter.unwrap_or("gipc-core"),
        subjects.len(),
        comparison.at_once
    )?;
    writeln!(out, "| | wall time | × floor | processor time | × floor |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    let ratios = |way: &str, floor: &str| {
        let pairs = || costs[way].iter().zip(&costs[floor]);
        let wall = median(pairs().map(|(cost, floor)| cost.wall / floor.wall));
        (wall, median(pairs().map(|(cost, floor)| cost.cpu() / floor.cpu())))
    };
    for name in WAYS.iter().map(|(name, _)| *name).filter(|name| costs.contains_key(name)) {
        let wall = median(costs[name].iter().map(|cost| cost.wall));
        let cpu = median(costs[name].iter().map(Cost::cpu));
        let (wall_ratio, cpu_ratio) = ratios(name, FLOOR);
        writeln!(out, "| {name} | {wall:.2} s | {wall_ratio:.2} | {cpu:.2} s | {cpu_ratio:.2} |")?;
    }
    if costs.contains_key(FLOOR_ON_GIPC_CORE) {
        let (wall, cpu) = ratios(SUITE, FLOOR_ON_GIPC_CORE);
        writeln!(
            out,
            "\nthe suite beside {FLOOR_ON_GIPC_CORE}: {wall:.2} wall time, {cpu:.2} processor time"
        )?;
    }
    let echo = floor::echo_cpu()?;
    let step = median(costs[SUITE].iter().map(|cost| cost.own_cpu)) / steps as f64;
    writeln!(
        out,
        "\nprocessor time of the harness for each step: {:.0} µs, {:.1} times an echo of a line of JSON ({:.1} µs)",
        step * 1e6,
        step / echo,
        echo * 1e6
    )?;
    Ok(())
}

impl Comparison {
    /// Runs the suite, and takes the scenarios that pass. Running them first also warms the caches.
    fn of(adapter: Option<&str>) -> Result<Self, Failure> {
        let report = harness(adapter)?.run()?;
        let passed = report.results.iter().filter(|result| result.verdict.status == Status::Pass);
        let ids: Vec<String> = passed.map(|result| result.id.clone()).collect();
        let suite = Suite::find(None, None)?;
        let loaded = adapter.map(|name| suite.adapter(name)).transpose()?;
        let mut subjects = Vec::new();
        for file in suite.select(&ids)? {
            let scenario = file.parse().map_err(|refusal| refusal.to_string())?;
            let (tree, steps) = (ProcessTree::of(&scenario), scenario.steps.len());
            subjects.push(Subject { id: file.id, tree, steps });
        }
        Ok(Self {
            adapter: adapter.map(str::to_owned),
            floor: floor::command(loaded.as_ref())?,
            subjects,
            at_once: 2 * std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// The arguments that make this program run one of the scenarios.
    fn arguments<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        ["one", id].into_iter().chain(self.adapter.as_deref())
    }
}

fn harness(adapter: Option<&str>) -> Result<Harness, gipc_harness::Error> {
    match adapter {
        Some(name) => Harness::new()?.adapter(name),
        None => Harness::new(),
    }
}

fn run_suite(comparison: &Comparison) -> Result<(), Failure> {
    let ids = comparison.subjects.iter().map(|subject| subject.id.clone());
    harness(comparison.adapter.as_deref())?.scenarios(ids)?.jobs(comparison.at_once).run()?;
    Ok(())
}

/// Runs one scenario, as a runner with a process for each test does.
fn run_one(adapter: Option<&str>, id: &str) -> Result<(), Failure> {
    harness(adapter)?.scenarios([id])?.jobs(1).run()?;
    Ok(())
}

fn run_each_side_by_side(comparison: &Comparison) -> Result<(), Failure> {
    let exe = exe()?;
    side_by_side(comparison, |subject| {
        Command::new(&exe).args(comparison.arguments(&subject.id)).status()?;
        Ok(())
    })
}

fn run_each_in_a_shell(comparison: &Comparison) -> Result<(), Failure> {
    let script = "adapter=$1; while read -r id; do \"$0\" one \"$id\" $adapter </dev/null; done";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(exe()?)
        .arg(comparison.adapter.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = shell.stdin.take().ok_or("it is piped")?;
    for subject in &comparison.subjects {
        writeln!(input, "{}", subject.id)?;
    }
    drop(input);
    shell.wait()?;
    Ok(())
}

/// Does something for each scenario, on several threads. Returns the first error.
pub(crate) fn side_by_side(
    comparison: &Comparison,
    act: impl Fn(&Subject) -> io::Result<()> + Sync,
) -> Result<(), Failure> {
    let waiting = Mutex::new(comparison.subjects.iter());
    let next = || waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || -> io::Result<()> {
        while let Some(subject) = next() {
            act(subject)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..comparison.at_once).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| Ok(thread.join().map_err(|_| "a thread panicked")??))
    })
}

pub(crate) fn exe() -> io::Result<PathBuf> {
    std::env::current_exe()
}

impl Cost {
    fn cpu(&self) -> f64 {
        self.own_cpu + self.other_cpu
    }
}

/// What an action costs.
fn measured(act: impl FnOnce() -> Result<(), Failure>) -> Result<Cost, Failure> {
    let (began, own, other) =
        (Instant::now(), cpu(UsageWho::RUSAGE_SELF)?, cpu(UsageWho::RUSAGE_CHILDREN)?);
    act()?;
    Ok(Cost {
        wall: began.elapsed().as_secs_f64(),
        own_cpu: cpu(UsageWho::RUSAGE_SELF)? - own,
        other_cpu: cpu(UsageWho::RUSAGE_CHILDREN)? - other,
    })
}

/// The processor time that was used until now, in seconds.
pub(crate) fn cpu(who: UsageWho) -> Result<f64, Failure> {
    let seconds = |usage: Usage| (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(seconds(getrusage(who)?) as f64 / 1e6)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
