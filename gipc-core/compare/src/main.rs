//! The contenders side by side: `cargo compare [ROUNDS [ROW...]]`. Prints three tables, of processor time, page faults and wall
//! time, of all rows or of those named, and writes `compare.json` (every run) and `compare.svg` (the picture in the README)
//! beside its build, where it says.
//!
//! Each round runs every contender once, each time another first, so that what disturbs one disturbs the others; a cell is
//! the median of the rounds' ratios to the raw pipe. For processor time and page faults, of both sides together, all stay on
//! one processor where the system allows it: what two cost depends on where the scheduler puts them. For wall time they use
//! all processors. It is no test: nothing fails here.

mod contenders;
mod plot;

use contenders::Contender;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What is measured: a name, the workload, its size and count, and the ratio of processor time that is aimed at.
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

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

static ROWS: [Row; 18] = [
    row("16 B", "oneway", 16, 150_000, 1.15),
    row("16 B batched", "batched", 16, 1_500_000, 0.04),
    row("1 KiB", "oneway", KIB, 100_000, 1.15),
    row("64 KiB", "oneway", 64 * KIB, 8_000, 0.57),
    row("256 KiB", "oneway", 256 * KIB, 2_000, 0.9),
    row("1 MiB", "oneway", MIB, 600, 0.9),
    row("1 MiB, buffer sent once", "fresh", MIB, 600, 0.9),
    row("1 MiB, buffer reused", "reused", MIB, 600, 0.35),
    row("4 MiB", "oneway", 4 * MIB, 150, 0.45),
    row("4 MiB, buffer reused", "reused", 4 * MIB, 150, 0.45),
    row("16 MiB", "oneway", 16 * MIB, 40, 0.45),
    row("16 MiB, buffer sent once", "fresh", 16 * MIB, 40, 0.45),
    row("64 MiB", "oneway", 64 * MIB, 10, 0.45),
    row("64 MiB, buffer reused", "reused", 64 * MIB, 10, 0.45),
    row(LARGEST, "oneway", 1 << 30, 1, 0.6),
    row("ping-pong", "pingpong", 16, 30_000, 1.4),
    row("spawn to reaped", "spawnseq", 1, 100, 1.15),
    row("1,000 alive", "alive", 1, 1_000, 1.15),
];

/// The rows where two processors can be of use.
const WALL: [&str; 7] =
    ["16 B", "64 KiB", "1 MiB", "16 MiB", "64 MiB", "ping-pong", "spawn to reaped"];

/// The row whose memory is printed.
const LARGEST: &str = "1 GiB";

/// A number for each contender; `None` where it does not run this.
pub(crate) type Cells = Vec<Option<f64>>;

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let rounds = match words.next() {
        None => 10,
        Some(word) => word.parse::<usize>().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
            io::Error::other(format!(
                "{word} is not a number of rounds; usage: compare [ROUNDS [ROW...]]"
            ))
        })?,
    };
    let rows = chosen(&words.collect::<Vec<_>>())?;
    let (contenders, absent) = contenders::find()?;
    let mut comparison = Comparison { contenders, rounds, runs: Vec::new() };
    let all_processors = stay_on_one_processor();
    comparison.print_head("processor time, raw pipe = 1", true)?;
    let mut table = Vec::new();
    for row in &rows {
        let ratios = comparison.measure(row, "cpu_seconds")?;
        print_row(&format!("{} | {}", row.name, row.aim), &ratios, 2)?;
        table.push(ratios);
    }
    comparison.print_head("page faults for each message or child", false)?;
    for row in &rows {
        print_row(row.name, &comparison.page_faults(row), 1)?;
    }
    use_processors(all_processors);
    let of_wall_time: Vec<_> = rows.iter().filter(|row| WALL.contains(&row.name)).collect();
    if !of_wall_time.is_empty() {
        comparison.print_head("wall time on all processors, raw pipe = 1", false)?;
    }
    for row in of_wall_time {
        print_row(row.name, &comparison.measure(row, "seconds")?, 2)?;
    }
    let mut out = io::stdout().lock();
    for (name, reason) in absent {
        writeln!(out, "\nNot here: {name}, {reason}.")?;
    }
    if rows.iter().any(|row| row.name == LARGEST) {
        let peaks = comparison.peaks();
        writeln!(out, "\nMost memory for the message of {LARGEST}, parent + child: {peaks}.")?;
    }
    let folder = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    let (json, picture) = (folder.join("compare.json"), folder.join("compare.svg"));
    fs::write(&json, serde_json::to_vec_pretty(&comparison.runs)?)?;
    plot::draw(&picture, &comparison.names(), &rows, &table).map_err(io::Error::other)?;
    writeln!(out, "\nEvery run: {}. The picture: {}.", json.display(), picture.display())
}

/// The rows of these names, in the order of the table; all if there are no names.
fn chosen(names: &[String]) -> io::Result<Vec<&'static Row>> {
    if let Some(wrong) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let rows: Vec<_> = ROWS.iter().map(|row| format!("{:?}", row.name)).collect();
        let rows = rows.join(", ");
        return Err(io::Error::other(format!("no row is named {wrong:?}; the rows are {rows}")));
    }
    let is_chosen = |row: &&Row| names.is_empty() || names.iter().any(|name| row.name == *name);
    Ok(ROWS.iter().filter(is_chosen).collect())
}

fn print_row(name: &str, cells: &Cells, digits: usize) -> io::Result<()> {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.map_or_else(|| "–".into(), |cell| format!("{cell:.digits$}")))
        .collect();
    let mut out = io::stdout().lock();
    writeln!(out, "| {name} | {} |", cells.join(" | "))?;
    out.flush()
}

struct Comparison {
    /// The first is the measure of the others.
    contenders: Vec<Contender>,
    rounds: usize,
    /// Every run: what the contender printed, with its name, the row and the round.
    runs: Vec<serde_json::Value>,
}

impl Comparison {
    fn names(&self) -> Vec<&'static str> {
        self.contenders.iter().map(|contender| contender.name).collect()
    }

    fn print_head(&self, title: &str, with_aim: bool) -> io::Result<()> {
        let names = self.names();
        let aim = if with_aim { [" aim |", "---|"] } else { [""; 2] };
        let mut out = io::stdout().lock();
        writeln!(out, "\n| {title} |{} {} |", aim[0], names.join(" | "))?;
        writeln!(out, "|---|{}{}", aim[1], "---|".repeat(names.len()))
    }

    /// Runs a row, and returns the medians of the ratios of what is measured.
    fn measure(&mut self, row: &Row, measured: &str) -> io::Result<Cells> {
        let mut ratios = vec![Vec::new(); self.contenders.len()];
        for round in 0..self.rounds {
            let count = self.contenders.len();
            let mut costs = vec![None; count];
            for place in (0..count).map(|place| (place + round) % count) {
                let contender = &self.contenders[place];
                // The batched row is compared with a raw pipe that does not batch: that is what batching is for.
                let workload =
                    if place == 0 && row.workload == "batched" { "oneway" } else { row.workload };
                if !contender.runs(workload, row.size) {
                    continue;
                }
                let name = contender.name;
                let mut run = contender.run(workload, row.size, row.count)?;
                costs[place] = run[measured].as_f64();
                run["contender"] = name.into();
                run["row"] = row.name.into();
                run["round"] = round.into();
                run["measured"] = measured.into();
                self.runs.push(run);
            }
            let base = costs[0].unwrap_or(f64::NAN);
            for (ratios, cost) in ratios.iter_mut().zip(costs) {
                ratios.extend(cost.map(|cost| cost / base));
            }
        }
        Ok(ratios.iter_mut().map(|ratios| median(ratios)).collect())
    }

    /// The runs of a row on one processor, for each contender.
    fn page_faults(&self, row: &Row) -> Cells {
        let of = |name: &str| {
            let runs = self.runs.iter().filter(|run| {
                run["contender"] == name
                    && run["row"] == row.name
                    && run["measured"] == "cpu_seconds"
            });
            let mut faults: Vec<f64> = runs.filter_map(|run| run["page_faults"].as_f64()).collect();
            median(&mut faults).map(|faults| faults / row.count as f64)
        };
        self.names().into_iter().map(of).collect()
    }

    /// The most memory that each contender had with the largest message.
    fn peaks(&self) -> String {
        let peak = |name: &str| {
            let of = |side: &str| {
                let runs = self
                    .runs
                    .iter()
                    .filter(|run| run["contender"] == name && run["row"] == LARGEST);
                runs.filter_map(|run| run[side].as_u64()).max().unwrap_or(0) / 1024
            };
            format!("{name} {} + {} MiB", of("peak_rss_kb_parent"), of("peak_rss_kb_child"))
        };
        self.names().into_iter().map(peak).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(target_os = "linux")]
type Processors = Option<nix::sched::CpuSet>;

/// Returns the processors that were allowed before.
#[cfg(target_os = "linux")]
fn stay_on_one_processor() -> Processors {
    use nix::sched::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(nix::unistd::Pid::from_raw(0)).ok()?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    if last.is_some_and(|last| one.set(last).is_ok()) {
        use_processors(Some(one));
    }
    Some(allowed)
}

#[cfg(target_os = "linux")]
fn use_processors(processors: Processors) {
    if let Some(processors) = processors {
        // If it fails the numbers are less steady, and no less true.
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &processors);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one_processor() {}

#[cfg(not(target_os = "linux"))]
fn use_processors((): ()) {}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name_and_stay_in_order() {
        let rows = chosen(&["1,000 alive".into(), "16 B".into()]).expect("both are rows");
        assert_eq!(rows.iter().map(|row| row.name).collect::<Vec<_>>(), ["16 B", "1,000 alive"]);
        assert_eq!(chosen(&[]).expect("all").len(), ROWS.len());
    }

    #[test]
    fn a_name_that_is_no_row_is_an_error_that_lists_the_rows() {
        let error = chosen(&["16 B".into(), "17 B".into()]).err().expect("no row").to_string();
        assert!(error.starts_with("no row is named \"17 B\"; the rows are \"16 B\", "), "{error}");
        assert!(error.ends_with("\"1,000 alive\""), "{error}");
    }
}
