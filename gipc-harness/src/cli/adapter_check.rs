//! `adapter check`: whether an agent keeps the contract, before anybody asks what its suite does.
//!
//! A few short scenarios, each for one part of the contract; on a failure the whole conversation is shown. What is right
//! in the suite is the suite's business.

use super::console::Console;
use super::suite_files::Suite;
use super::{CommandError, load, own_program, run_suite};
use crate::adapter::Adapter;
use crate::adapter::protocol::{FromAgent, ToAgent};
use crate::report::{ScenarioReport, terminal};
use crate::runner::{Event, EventKind};
use crate::scenario::parse;
use crate::verdict::{Status, hold_to_its_word, judge};
use std::path::PathBuf;

/// What each shows, the profile that it takes beside core, and the scenario.
const QUESTIONS: [(&str, &str, &str); 16] = [
    (
        "it dials, refuses what it does not know, and leaves",
        "",
        "main pipe r w\nmain close w\nmain get r => eof\n",
    ),
    ("a message comes as it was put", "", "main pipe r w\nmain put w \"a\"\nmain get r => \"a\"\n"),
    (
        "a message of no bytes is one, and the end is another thing",
        "",
        "main pipe r w\nmain put w \"\"\nmain close w\nmain get r => \"\"\nmain get r => eof\n",
    ),
    (
        "what is closed is closed",
        "",
        "main pipe r w\nmain close r\nmain get r => closed\nmain close w\n",
    ),
    (
        "a child has its handles under their names, and is joined",
        "",
        "main pipe r w\nmain spawn child w\nchild put w 300KiB\nmain get r => 300KiB\nmain join child => exit 0\n",
    ),
    ("a code is the code", "", "main spawn child\nchild exit 7\nmain join child => exit 7\n"),
    (
        "a child of a child dials for itself",
        "",
        "main pipe r w\nmain spawn child w\nchild spawn grandchild w\ngrandchild put w \"a\"\nmain get r => \"a\"\n\
         child join grandchild => exit 0\nmain join child => exit 0\n",
    ),
    (
        "two steps of two tasks are under way at once",
        "tasks",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain put w \"a\"\n",
    ),
    (
        "a child starts well while a task waits",
        "tasks",
        "main pipe r w\nmain/reader get r => \"a\"\nmain until main/reader blocks\nmain spawn child\n\
         main join child => exit 0\nmain put w \"a\"\n",
    ),
    (
        "whether a child runs is told in its words",
        "process",
        "main pipe r w\nmain spawn child r\nmain alive child => yes\nmain code child => running\nmain put w \"go\"\n\
         child get r => \"go\"\nmain join child => exit 0\nmain code child => exit 0\n",
    ),
    (
        "a message that is cut by hand is the suite's own",
        "frames",
        "main pipe r w\nmain cut w \"a\" at header\nmain rest w\nmain get r => \"a\"\n",
    ),
    (
        "a signal is trapped and counted",
        "signals",
        "main pipe r w\nmain pipe r2 w2\nmain spawn child r w2\nchild trap SIGUSR2\nchild put w2 \"ready\"\n\
         main get r2 => \"ready\"\nmain signal child SIGUSR2\nmain put w \"go\"\nchild get r => \"go\"\n\
         child count trapped => 1\nmain join child => exit 0\n",
    ),
    (
        "a limit of descriptors is set and lifted",
        "limits",
        "main limit descriptors 0 free\nmain pipe r w => os:EMFILE\nmain limit descriptors off\nmain pipe r2 w2\n",
    ),
    (
        "a scope is entered and left",
        "scope",
        "main pipe r w\nmain enter r w\nmain leave r w\nmain get r => closed\n",
    ),
    (
        "handles are counted",
        "counts",
        "main pipe r w\nmain count handles => 2\nmain close r\nmain count handles => 1\n",
    ),
    (
        "a value goes through a codec",
        "codec",
        "main pipe r w with failing\nmain put w \"a\"\nmain get r => \"a\"\n",
    ),
];

pub(super) fn check(suite: &Suite, name: &str, out: &mut Console) -> Result<u8, CommandError> {
    let adapter = load(suite, name)?;
    out.line(&format!("{}: {}\n", adapter.manifest.name, adapter.manifest.about));
    let (mut failed, mut times) = (0, Times::default());
    for (shows, profile, text) in QUESTIONS {
        let has = |one: &str| adapter.manifest.profiles.iter().any(|has| has == one);
        if !profile.is_empty() && !has(profile) {
            out.line(&format!("  –     {shows}: the profile {profile} is not declared"));
            continue;
        }
        let (word, screen, events) = ask(&adapter, text)?;
        times.learn(&events);
        match word {
            Status::Pass => out.line(&format!("  ok    {shows}")),
            Status::Skip => out.line(&format!("  –     {shows}: {screen}")),
            word => {
                failed += 1;
                out.line(&format!("  {word:<5} {shows}\n"));
                out.line(&screen);
                out.line("  the conversation\n");
                events.iter().for_each(|event| out.line(&format!("    {event}")));
                out.line("");
            }
        }
    }
    out.line(&format!("\n  {}", times.words()));
    match failed {
        0 => out.line(&format!("  it keeps the contract: cargo harness run --adapter {name}")),
        1 => out.line("  one part of the contract is not kept: adapters/README.md"),
        many => {
            out.line(&format!("  {many} parts of the contract are not kept: adapters/README.md"))
        }
    }
    Ok(u8::from(failed > 0))
}

/// Performs one; says what it came to, and shows it or the reason.
fn ask(adapter: &Adapter, text: &str) -> Result<(Status, String, Vec<Event>), CommandError> {
    let scenario =
        parse("check", text).map_err(|error| CommandError::unable(error.render("check", text)))?;
    let choices = run_suite::choices(adapter);
    let course = run_suite::as_written(&scenario, choices);
    let output = run_suite::once(&scenario, &course, adapter, own_program()?)?;
    let observed = &output.observation;
    let allowed = crate::model::allowed(&scenario, choices);
    let mut verdict = judge(&scenario, &allowed, observed, &[]);
    hold_to_its_word(&mut verdict, &scenario, observed, &adapter.manifest);
    let word = verdict.word;
    if word == Status::Skip {
        return Ok((word, verdict.notes.join("; "), output.events));
    }
    let told = ScenarioReport {
        scenario,
        path: PathBuf::from("check"),
        adapter: adapter.manifest.name.clone(),
        asked: adapter.here.display().to_string(),
        how: String::new(),
        verdict,
        record: None,
    };
    Ok((word, terminal::evidence(&told), output.events))
}

/// How long things took, in microseconds.
#[derive(Default)]
struct Times {
    hello: Vec<u64>,
    step: Vec<u64>,
}

impl Times {
    fn learn(&mut self, events: &[Event]) {
        let mut last_sent: Option<(u64, usize)> = None;
        for Event { us, kind } in events {
            match kind {
                EventKind::Hello { is } if is.role == "main" => self.hello.push(*us),
                EventKind::Sent { is: ToAgent::Step { id, .. }, .. } => {
                    last_sent = Some((*us, *id))
                }
                EventKind::Received { is: FromAgent::End { id, .. }, .. } => {
                    let sent = last_sent.take().filter(|(_, sent)| sent == id);
                    self.step.extend(sent.map(|(before, _)| us.saturating_sub(before)));
                }
                _ => {}
            }
        }
    }

    fn words(&self) -> String {
        let median = |all: &[u64]| {
            let mut all = all.to_vec();
            all.sort_unstable();
            all.get(all.len() / 2)
                .map_or("–".to_owned(), |us| format!("{:.1} ms", *us as f64 / 1000.0))
        };
        format!(
            "main says hello after {}; a step takes {}",
            median(&self.hello),
            median(&self.step)
        )
    }
}
