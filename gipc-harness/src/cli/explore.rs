//! `explore`: runs random scenarios until one fails.

use super::args::Explore;
use super::interrupt;
use crate::adapter::EMBEDDED;
use crate::error::Error;
use crate::explore::{ExploreRequest, Findings, explore as search};
use crate::program;
use crate::report::console::Console;
use crate::suite::Suite;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs;
use std::time::Instant;

/// How long a search without a range of seeds lasts if no time is given.
const DEFAULT_SECONDS: u64 = 60;

pub(super) fn explore(suite: &Suite, args: &Explore, console: &mut Console) -> Result<u8, Error> {
    let adapter = suite.adapter(&args.adapter)?;
    // A range of seeds is tried completely, unless a time is given.
    let unlimited = args.seed_range.map_or(DEFAULT_SECONDS, |_| u64::MAX);
    let seconds = args.seconds.unwrap_or(unlimited);
    let request = ExploreRequest {
        seed: args.seed.or(args.seed_range.map(|(first, _)| first)),
        last_seed: args.seed_range.map(|(_, last)| last),
        seconds,
        count: args.count,
        profiles: args.profile.clone(),
        all: args.all,
        jobs: args.jobs.map(usize::from),
        out: args.out.clone(),
        stop: interrupt::flag()?,
    };
    fs::create_dir_all(&args.out).map_err(|error| Error::unwritable(&args.out, &error))?;
    let style = match seconds {
        u64::MAX => ProgressStyle::with_template("  {pos} s, {msg}"),
        _ => ProgressStyle::with_template("  {bar:40} {pos} of {len} s, {eta} left, {msg}"),
    };
    let bar = ProgressBar::new(seconds)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let began = Instant::now();
    let findings = search(adapter, &request, &|scenarios| {
        bar.set_message(format!("{scenarios} scenarios"));
        bar.set_position(began.elapsed().as_secs());
    });
    bar.finish_and_clear();
    let findings = findings?;
    report(&findings, args, console);
    let has_found = !findings.failures.is_empty() || !findings.unrepeated.is_empty();
    if findings.interrupted && !has_found {
        console.line("PARTIAL: interrupted");
        return Ok(3);
    }
    let is_partial = args.seed_range.is_some_and(|(first, last)| findings.seeds <= last - first);
    if is_partial && !has_found {
        console.line("PARTIAL: the time was over before all seeds were tried");
        return Ok(3);
    }
    Ok(u8::from(has_found))
}

fn report(findings: &Findings, args: &Explore, console: &mut Console) {
    let seconds = findings.time.as_secs_f64();
    let rate = findings.scenarios as f64 / seconds.max(0.001);
    console.line(&format!(
        "{} scenarios in {seconds:.0} s ({rate:.0} a second) from seed {}: {} of them also concurrent, {} with races; {} skipped",
        findings.scenarios, findings.first_seed, findings.concurrent, findings.racy, findings.skipped
    ));
    for (what, counts) in [("verbs", &findings.verbs), ("outcomes", &findings.outcomes)] {
        let words: Vec<String> =
            counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
        console.line(&format!("{what}: {}", words.join(", ")));
    }
    if findings.failures.is_empty() && findings.unrepeated.is_empty() {
        return console.line("all as the model says");
    }
    for (words, path) in &findings.unrepeated {
        console
            .line(&format!("\n{words}: seen once and not again, so the scenario was not shrunk"));
        console.line(&format!("  file     {}", path.display()));
    }
    let named = match args.adapter.as_str() {
        EMBEDDED => String::new(),
        name => format!(" --adapter {name}"),
    };
    for (failure, (count, path)) in &findings.failures {
        let (words, path, flags) = (failure.words(), program::path(path), failure.flags());
        console.line(&format!("\n{words} ({count} times)"));
        let again = program::command(&format!("run {path}{named}{flags}"));
        console.line(&format!("  again    {again}"));
    }
}
