//! Whether a scenario can be meant: names exist, handles are used by their owners, nothing is left out.
//!
//! Asks nothing of the model. What is wrong here is the author's slip, and is said before any process starts.

use super::parse::ParseError;
use super::{Lane, Outcome, Payload, Scenario, Step, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// What happened to one end of a pipe so far, in story order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Held(String),
    Closed(usize),
}

/// Walks the steps in story order, and stops at the first that cannot be meant.
pub(super) fn check(scenario: &Scenario) -> Result<(), ParseError> {
    let mut checker = Checker::new(scenario);
    for step in &scenario.steps {
        checker.step(step)?;
    }
    checker.whole()
}

struct Checker<'a> {
    scenario: &'a Scenario,
    spawned: BTreeMap<String, &'a Step>,
    parents: BTreeMap<String, String>,
    refused: BTreeSet<String>,
    lanes: BTreeSet<&'a Lane>,
    exited: BTreeMap<&'a Lane, usize>,
    /// The ends a name stands for.
    names: BTreeMap<String, Vec<String>>,
    ends: BTreeMap<String, End>,
    readers: BTreeSet<String>,
    untils: BTreeMap<&'a Lane, (&'a Lane, &'a Step)>,
}

impl<'a> Checker<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            spawned: BTreeMap::new(),
            parents: BTreeMap::new(),
            refused: BTreeSet::new(),
            lanes: scenario.steps.iter().map(|step| &step.lane).collect(),
            exited: BTreeMap::new(),
            names: BTreeMap::new(),
            ends: BTreeMap::new(),
            readers: BTreeSet::new(),
            untils: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &'a Step) -> Result<(), ParseError> {
        self.who(step)?;
        let errs = step
            .expected
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Closed | Outcome::Misuse | Outcome::Locked));
        match &step.verb {
            Verb::Pipe { reader, writer } => {
                self.make(step, reader, std::slice::from_ref(reader))?;
                self.make(step, writer, std::slice::from_ref(writer))?;
                self.readers.insert(reader.clone());
            }
            Verb::Duplex { near, far } => {
                for name in [near, far] {
                    let halves = [format!("{name}.r"), format!("{name}.w")];
                    self.make(step, name, &halves)?;
                    for half in halves {
                        self.names.insert(half.clone(), vec![half]);
                    }
                }
            }
            Verb::Spawn { child, handles } => self.spawn(step, child, handles, errs)?,
            Verb::Put { handle, .. } => self.used(step, handle, Some(".w"), errs)?,
            Verb::Get { handle } => self.used(step, handle, Some(".r"), errs)?,
            Verb::Close { handle } => {
                self.used(step, handle, None, errs)?;
                if step.expected == [Outcome::Ok] {
                    for end in self.names[handle].clone() {
                        self.ends.insert(end, End::Closed(step.place.line));
                    }
                }
            }
            Verb::Join { child } | Verb::Kill { child } => {
                if self.parents.get(child) != Some(&step.lane.process) {
                    let cure =
                        format!("`spawn {child}` must stand above it, by {}", step.lane.process);
                    return Err(self.error(
                        step,
                        &format!("{child} is no child of {}", step.lane.process),
                        &cure,
                    ));
                }
            }
            Verb::Until { lane } => {
                if !self.lanes.contains(lane) || *lane == step.lane {
                    return Err(self.error(
                        step,
                        &format!("{lane} has no lines that could block"),
                        "name another process or task of this scenario",
                    ));
                }
                self.untils.insert(&step.lane, (lane, step));
                self.cycle(&step.lane)?;
            }
            Verb::Cancel { task } => {
                let ours = task.process == step.lane.process && task.task.is_some();
                if !ours || !self.lanes.contains(task) || *task == step.lane {
                    let cure = format!(
                        "name another task of {}, such as {}/reader",
                        step.lane.process, step.lane.process
                    );
                    return Err(self.error(
                        step,
                        &format!("{task} cannot be cancelled from here"),
                        &cure,
                    ));
                }
            }
            Verb::Exit { .. } => {
                self.exited.insert(&step.lane, step.place.line);
            }
            Verb::Pause { .. } => {
                if self.scenario.steps.iter().all(|step| step.within_ms.is_none()) {
                    return Err(self.error(step, "a pause orders nothing", "use `until WHO blocks`, a message or a join; a pause is only for a scenario with a `within`"));
                }
            }
        }
        if !matches!(step.verb, Verb::Until { .. }) {
            self.untils.remove(&step.lane);
        }
        Ok(())
    }

    fn error(&self, step: &Step, message: &str, cure: &str) -> ParseError {
        let place = step.place;
        let width = step.what().chars().count();
        ParseError {
            message: message.into(),
            cure: cure.into(),
            line: place.line,
            column: place.what,
            width,
        }
    }

    /// The process of a line must have been spawned above it, and its lane must not have ended.
    fn who(&self, step: &Step) -> Result<(), ParseError> {
        let process = &step.lane.process;
        let mut error = self.error(step, "", "");
        error.column = 1;
        error.width = step.lane.to_string().chars().count();
        if self.refused.contains(process) {
            error.message = format!("{process} never comes into being");
            error.cure = "its spawn is expected to fail: it has no lines".into();
            return Err(error);
        }
        if process != "main" && !self.spawned.contains_key(process) {
            error.message = format!("no process {process} here");
            error.cure = format!("`spawn {process}` must stand above its first line");
            return Err(error);
        }
        if let Some(line) = self.exited.get(&step.lane) {
            error.message = format!("{} has ended", step.lane);
            error.cure = format!("nothing can follow the exit of line {line}");
            return Err(error);
        }
        Ok(())
    }

    fn make(&mut self, step: &Step, name: &str, ends: &[String]) -> Result<(), ParseError> {
        if self.names.contains_key(name) {
            return Err(self.error(
                step,
                &format!("there is a handle {name} already"),
                "give each handle a name of its own",
            ));
        }
        self.names.insert(name.to_owned(), ends.to_vec());
        for end in ends {
            self.ends.insert(end.clone(), End::Held(step.lane.process.clone()));
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        step: &'a Step,
        child: &str,
        handles: &[String],
        errs: bool,
    ) -> Result<(), ParseError> {
        if child == "main" || self.spawned.contains_key(child) {
            return Err(self.error(
                step,
                &format!("there is a process {child} already"),
                "give each process a name of its own",
            ));
        }
        for handle in handles {
            self.used(step, handle, None, errs)?;
        }
        if errs {
            self.refused.insert(child.to_owned());
            return Ok(());
        }
        let given: Vec<String> =
            handles.iter().flat_map(|handle| self.names[handle].clone()).collect();
        if given.iter().collect::<BTreeSet<_>>().len() < given.len() {
            return Err(self.error(
                step,
                "a handle is given twice",
                "name it once, or write `=> misuse`",
            ));
        }
        for end in given {
            self.ends.insert(end, End::Held(child.to_owned()));
        }
        self.spawned.insert(child.to_owned(), step);
        self.parents.insert(child.to_owned(), step.lane.process.clone());
        Ok(())
    }

    /// The process must own the handle, or the line asks what happens when it does not.
    fn used(
        &self,
        step: &Step,
        handle: &str,
        half: Option<&str>,
        errs: bool,
    ) -> Result<(), ParseError> {
        let Some(ends) = self.names.get(handle) else {
            return Err(self.error(
                step,
                &format!("there is no handle {handle} yet"),
                "`pipe` or `duplex` must name it above",
            ));
        };
        let wanted: Vec<&String> = match half {
            Some(half) if ends.len() == 2 => {
                ends.iter().filter(|end| end.ends_with(half)).collect()
            }
            _ => ends.iter().collect(),
        };
        if let (Some(half), [only]) = (half, ends.as_slice()) {
            let wrong = self.is_wrong_way(only, half);
            if wrong && !errs {
                let (verb, other) =
                    if half == ".w" { ("put", "writer") } else { ("get", "reader") };
                return Err(self.error(
                    step,
                    &format!("{handle} cannot {verb}"),
                    &format!("`{verb}` needs the {other} of a pipe, or a duplex"),
                ));
            }
        }
        if errs {
            return Ok(());
        }
        // One open half is enough to close or give what is left of a duplex.
        let held =
            |end: &&String| self.ends.get(*end) == Some(&End::Held(step.lane.process.clone()));
        if wanted.iter().any(held) {
            return Ok(());
        }
        let process = &step.lane.process;
        let why = match wanted.first().and_then(|end| self.ends.get(*end)) {
            Some(End::Closed(line)) => format!("it was closed in line {line}"),
            Some(End::Held(owner)) => format!("{owner} owns it here"),
            None => "nobody owns it".into(),
        };
        let cure = format!("{why}; if that is the question, write `=> closed` or `=> misuse`");
        Err(self.error(step, &format!("{process} does not own {handle}"), &cure))
    }

    /// Whether the single end is the reader where a writer is wanted, or the other way round.
    fn is_wrong_way(&self, end: &str, half: &str) -> bool {
        if end.ends_with(".r") || end.ends_with(".w") {
            return !end.ends_with(half);
        }
        self.readers.contains(end) == (half == ".w")
    }

    fn cycle(&self, from: &'a Lane) -> Result<(), ParseError> {
        let mut seen = BTreeSet::from([from]);
        let mut at = from;
        while let Some((next, step)) = self.untils.get(at) {
            if !seen.insert(next) {
                return Err(self.error(
                    step,
                    "a circle of `until`",
                    "each waits until another waits: let one of them do something",
                ));
            }
            at = next;
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), ParseError> {
        let scenario = self.scenario;
        let Some(first) = scenario.steps.first() else {
            let cure = "write a line such as `main        pipe r w`".into();
            return Err(ParseError {
                message: "nothing happens here".into(),
                cure,
                line: 1,
                column: 1,
                width: 1,
            });
        };
        let asks = |step: &Step| step.expected != [Outcome::Ok];
        if !scenario.steps.iter().any(asks) {
            return Err(self.error(
                first,
                "this asks nothing",
                "write what must come of a step after `=>`",
            ));
        }
        for lane in &self.lanes {
            if lane.task.is_some()
                && !self.lanes.contains(&Lane::process(&lane.process))
                && lane.process != "main"
            {
                let step = scenario.steps.iter().find(|step| step.lane == **lane).unwrap_or(first);
                let mut error = self.error(
                    step,
                    &format!("{lane} is a task without a process"),
                    &format!("{} needs lines of its own", lane.process),
                );
                error.column = 1;
                error.width = lane.to_string().chars().count();
                return Err(error);
            }
        }
        self.payloads()
    }

    /// Where a pipe has several writers or readers at once, a message must say who sent it.
    fn payloads(&self) -> Result<(), ParseError> {
        let mut users: BTreeMap<&str, [BTreeSet<&Lane>; 2]> = BTreeMap::new();
        for step in &self.scenario.steps {
            match &step.verb {
                Verb::Put { handle, .. } => users.entry(handle).or_default()[1].insert(&step.lane),
                Verb::Get { handle } => users.entry(handle).or_default()[0].insert(&step.lane),
                _ => continue,
            };
        }
        let mut seen: BTreeSet<(&str, &Payload)> = BTreeSet::new();
        for step in &self.scenario.steps {
            let Verb::Put { handle, payload } = &step.verb else { continue };
            if users[handle.as_str()][1].len() < 2 {
                continue;
            }
            let twice = matches!(payload, Payload::Text(_)) && !seen.insert((handle, payload));
            let short = matches!(payload, Payload::Size(size) if *size < 16);
            if twice || short {
                return Err(self.error(
                    step,
                    "this message does not say who sent it",
                    "several tasks put here: write different texts, or sizes of at least 16 bytes",
                ));
            }
        }
        Ok(())
    }
}
