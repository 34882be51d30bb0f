//! The contenders side by side: `cargo compare [ROUNDS]`. Prints a table, and writes `compare.json` (every run) and
//! `compare.svg` (the picture in the README) beside its build, where it says.
//!
//! Each round runs every contender once, each time another first, so that what disturbs one disturbs the others; a cell
//! is the median of the rounds' ratios of processor time, of both sides together, to the raw pipe. Where the system
//! allows it all stay on one processor: what two cost depends on where the scheduler puts them. It is no test: nothing
//! fails here.

mod contenders;
mod plot;

use contenders::Contender;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// What is measured: a name, the workload, its size and count, and the ratio that a careful program reaches.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) workload: &'static str,
    pub(crate) size: usize,
    pub(crate) count: usize,
    pub(crate) aim: f64,
}

const fn row(
    name: &'static str,
    workload: &'static str,
    size: usize,
    count: usize,
    aim: f64,
) -> Row {
    Row { name, workload, size, count, aim }
}

pub(crate) const ROWS: [Row; 10] = [
    row("16 B", "oneway", 16, 300_000, 1.25),
    row("16 B batched", "batched", 16, 3_000_000, 0.08),
    row("1 KiB", "oneway", 1 << 10, 200_000, 1.2),
    row("64 KiB", "oneway", 1 << 16, 15_000, 1.3),
    row("1 MiB", "oneway", 1 << 20, 1_000, 1.3),
    row("64 MiB", "oneway", 1 << 26, 10, 1.05),
    row("1 GiB", "oneway", 1 << 30, 1, 1.05),
    row("ping-pong", "pingpong", 16, 60_000, 1.6),
    row("spawn to reaped", "spawnseq", 1, 200, 1.3),
    row("1,000 alive", "alive", 1, 1_000, 1.2),
];

/// The median ratios of a row, one for each contender; none where it does not run this.
pub(crate) type Ratios = Vec<Option<f64>>;

fn main() -> io::Result<()> {
    let rounds = match std::env::args().nth(1) {
        None => 10,
        Some(word) => word.parse::<usize>().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
            io::Error::other(format!("{word} is no number of rounds; usage: compare [ROUNDS]"))
        })?,
    };
    let (contenders, absent) = contenders::find()?;
    stay_on_one_processor();
    let mut out = io::stdout().lock();
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    writeln!(out, "| processor time, raw pipe = 1 | aim | {} |", names.join(" | "))?;
    writeln!(out, "|---|---|{}", "---|".repeat(names.len()))?;
    let (mut runs, mut table) = (Vec::new(), Vec::new());
    for row in &ROWS {
        let ratios = measure(row, &contenders, rounds, &mut runs)?;
        let cells: Vec<String> = ratios
            .iter()
            .map(|ratio| ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")))
            .collect();
        writeln!(out, "| {} | {} | {} |", row.name, row.aim, cells.join(" | "))?;
        out.flush()?;
        table.push(ratios);
    }
    for (name, reason) in absent {
        writeln!(out, "\nNot here: {name}, {reason}.")?;
    }
    let peak = |name: &str| {
        let of = |side: &str| {
            let run = runs.iter().filter(|run| run["contender"] == name && run["row"] == "1 GiB");
            run.filter_map(|run| run[side].as_u64()).max().unwrap_or(0) / 1024
        };
        format!("{name} {} + {} MiB", of("peak_rss_kb_parent"), of("peak_rss_kb_child"))
    };
    let peaks: Vec<String> = names.iter().map(|name| peak(name)).collect();
    writeln!(out, "\nMost memory for the message of 1 GiB, parent + child: {}.", peaks.join(", "))?;
    let folder = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let (json, picture) = (folder.join("compare.json"), folder.join("compare.svg"));
    fs::write(&json, serde_json::to_vec_pretty(&runs)?)?;
    plot::draw(&picture, &names, &table).map_err(io::Error::other)?;
    writeln!(out, "\nEvery run: {}. The picture: {}.", json.display(), picture.display())
}

/// Fills one row, and adds its runs to all runs.
fn measure(
    row: &Row,
    contenders: &[Contender],
    rounds: usize,
    runs: &mut Vec<serde_json::Value>,
) -> io::Result<Ratios> {
    let mut ratios = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        let mut costs = vec![None; contenders.len()];
        for place in (0..contenders.len()).map(|place| (place + round) % contenders.len()) {
            let contender = &contenders[place];
            // The batched row is compared with a raw pipe that does not batch: that is what batching is for.
            let workload = contender.workload(row.workload);
            let run = workload.map(|workload| contender.run(workload, row.size, row.count));
            let run = run.transpose()?;
            costs[place] = run.as_ref().and_then(|run| run["cpu_seconds"].as_f64());
            if let Some(mut run) = run {
                run["contender"] = contender.name.into();
                run["row"] = row.name.into();
                run["round"] = round.into();
                runs.push(run);
            }
        }
        let base = costs[0].unwrap_or(f64::NAN);
        for (ratios, cost) in ratios.iter_mut().zip(costs) {
            ratios.extend(cost.map(|cost| cost / base));
        }
    }
    Ok(ratios.iter_mut().map(|ratios| median(ratios)).collect())
}

#[cfg(target_os = "linux")]
fn stay_on_one_processor() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return };
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    if last.is_some_and(|last| one.set(last).is_ok()) {
        // If it fails the numbers are less steady, and no less true.
        let _ = sched_setaffinity(Pid::from_raw(0), &one);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one_processor() {}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
