//! The contenders side by side: `cargo run --release --example compare [ROUNDS]`. Each round runs all of them, so that
//! what disturbs one disturbs the others; the table says the median of the rounds' ratios to the raw pipe.
//!
//! It compares whole programs by processor time of both sides. It is no test: nothing fails here.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Name, workload, size, count, and the ratio that a careful program reaches.
const ROWS: [(&str, &str, usize, usize, f64); 9] = [
    ("16 B", "oneway", 16, 200_000, 1.25),
    ("16 B batched", "batched", 16, 1_000_000, 0.08),
    ("1 KiB", "oneway", 1 << 10, 200_000, 1.2),
    ("64 KiB", "oneway", 1 << 16, 10_000, 1.3),
    ("1 MiB", "oneway", 1 << 20, 600, 1.3),
    ("64 MiB", "oneway", 1 << 26, 10, 1.05),
    ("ping-pong", "pingpong", 16, 50_000, 1.6),
    ("spawn, join", "spawnseq", 1, 200, 1.3),
    ("200 alive", "alive", 1, 200, 1.2),
];

fn main() -> io::Result<()> {
    let rounds: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(10);
    let folder = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| workload | gipc-core / raw, cpu | wall | aim | peak MiB, parent + child (raw) |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    for (name, workload, size, count, aim) in ROWS {
        let mut ratios: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut memory = [(0, 0); 2];
        for _ in 0..rounds {
            // The batched row is compared with a raw pipe that does not batch: that is what batching is for.
            let raw = measure(
                &folder.join("raw"),
                if workload == "batched" { "oneway" } else { workload },
                size,
                count,
            )?;
            let core = measure(&folder.join("bench"), workload, size, count)?;
            for (kind, field) in [("cpu", "cpu_seconds"), ("wall", "seconds")] {
                let of = |value: &serde_json::Value| value[field].as_f64().unwrap_or(f64::NAN);
                ratios.entry(kind).or_default().push(of(&core) / of(&raw));
            }
            for (memory, value) in memory.iter_mut().zip([&core, &raw]) {
                let mib = |field: &str| value[field].as_u64().unwrap_or(0) / 1024;
                *memory = (
                    memory.0.max(mib("peak_rss_kb_parent")),
                    memory.1.max(mib("peak_rss_kb_child")),
                );
            }
        }
        let [core, raw] = memory;
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} | {aim} | {} + {} ({} + {}) |",
            median(&mut ratios.remove("cpu").unwrap_or_default()),
            median(&mut ratios.remove("wall").unwrap_or_default()),
            core.0,
            core.1,
            raw.0,
            raw.1,
        )?;
        out.flush()?;
    }
    Ok(())
}

fn measure(
    program: &PathBuf,
    workload: &str,
    size: usize,
    count: usize,
) -> io::Result<serde_json::Value> {
    let output = Command::new(program)
        .args([workload, &size.to_string(), &count.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            io::Error::other(format!("{}: {error}; build all examples first", program.display()))
        })?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
