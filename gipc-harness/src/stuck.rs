//! Who waits for whom, and why nothing moves.
//!
//! Looks only at a trace and at what was seen when the run stopped. That it had gone quiet is `run::watch`'s
//! finding, and how long it took is nobody's business here.

use crate::scenario::{Outcome, Scenario, Verb};
use crate::trace::{End, Last, Observed, Owners, PipeEnd, Stop, Taken, Tier};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The sure room of a pipe in bytes: a put that needs more may wait.
const SURE_ROOM: u64 = 512;
/// No frame is longer than its message by more bytes.
const FRAME: u64 = 8;
/// What stands in the place of a call where a process is stopped.
const STOPPED: &str = "stopped";

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which of the three it is.
    pub kind: Kind,
    /// What proves that nothing moved.
    pub tier: Tier,
    /// Every step that waits, in story order.
    pub waits: Vec<Wait>,
    /// The circle, its first name again at its end; empty if there is none.
    pub circle: Vec<String>,
    /// The ends of pipes that are where they should not be, a sentence each.
    pub leaks: Vec<String>,
    /// For a hang: what could move, and what it does instead.
    pub idle: Vec<String>,
}

/// What a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each waits for the next, and the last for the first: with the handles where they really are, none of
    /// them can ever move.
    Deadlock,
    /// A step could end, and does not: the implementation lost a wake-up, or blocks its own loop.
    Hang,
    /// Nobody can say: something still runs, or the system does not show enough.
    Slow,
}

/// One step that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The step.
    pub step: usize,
    /// The processes, any of which could let it go on. Empty: nothing holds it.
    pub on: Vec<String>,
    /// The reason in words.
    pub why: String,
}

/// Explains where an observed run stopped. `None` if no step is open that belongs to a living process.
pub fn explain(scenario: &Scenario, observed: &Observed) -> Option<Stuck> {
    let stop = observed.stop.as_ref()?;
    let scene = Scene::new(scenario, stop);
    let waits: Vec<Wait> = (0..scenario.steps.len())
        .filter(|step| scene.is_waiting(*step))
        .map(|step| scene.wait(step))
        .collect();
    let circle = circle(scenario, &waits);
    let mut could: Vec<&Wait> = waits.iter().filter(|wait| wait.on.is_empty()).collect();
    could.dedup_by_key(|wait| &scenario.steps[wait.step].lane.process);
    let kind = match stop.tier {
        Tier::Patience => Kind::Slow,
        _ if waits.is_empty() && scene.stays().is_empty() => return None,
        _ if could.is_empty() && !circle.is_empty() => Kind::Deadlock,
        _ => Kind::Hang,
    };
    let idle = could.iter().map(|wait| scene.idle(wait)).chain(scene.stays()).collect();
    let leaks = scene.leaks(&waits);
    Some(Stuck { kind, tier: stop.tier, waits, circle, leaks, idle })
}

/// Where everything stood when the run stopped.
struct Scene<'a> {
    scenario: &'a Scenario,
    stop: &'a Stop,
    owners: Owners,
    /// Who holds which end: as the kernel shows it, or else as it should be.
    holders: BTreeMap<PipeEnd, BTreeSet<String>>,
    /// Bytes and messages put into each pipe and not yet got.
    inside: BTreeMap<usize, (u64, i64)>,
    /// The pipes where a put was given up, and its line: nobody can say what is inside.
    given_up: BTreeMap<usize, usize>,
}

impl<'a> Scene<'a> {
    fn new(scenario: &'a Scenario, stop: &'a Stop) -> Self {
        let owners = Owners::replay(scenario, &stop.then);
        let mut holders: BTreeMap<PipeEnd, BTreeSet<String>> = BTreeMap::new();
        for (end, last) in owners.all() {
            let here = holders.entry(end).or_default();
            if stop.seen {
                let name = owners.name(end);
                let held = stop.held.iter().filter(|held| held.end == name);
                here.extend(held.map(|held| held.process.clone()));
            } else if let Last::Held(process) = last {
                here.insert(process.clone());
            }
        }
        let mut inside: BTreeMap<usize, (u64, i64)> = BTreeMap::new();
        let mut given_up = BTreeMap::new();
        for (step, taken) in scenario.steps.iter().zip(&stop.then.steps) {
            let Taken::Ended { outcome, .. } = taken else { continue };
            match (&step.verb, outcome) {
                (Verb::Put { handle, payload }, Outcome::Ok) => {
                    if let Some((pipe, _)) = owners.end(handle, true) {
                        let inside = inside.entry(pipe).or_default();
                        *inside = (inside.0 + payload.len(), inside.1 + 1);
                    }
                }
                (Verb::Put { handle, .. }, Outcome::Cancelled | Outcome::Timeout) => {
                    let pipe = owners.end(handle, true).map(|(pipe, _)| pipe);
                    given_up.extend(pipe.map(|pipe| (pipe, step.place.line)));
                }
                (Verb::Get { handle }, Outcome::Message(payload)) => {
                    if let Some((pipe, _)) = owners.end(handle, false) {
                        let inside = inside.entry(pipe).or_default();
                        *inside = (inside.0.saturating_sub(payload.len()), inside.1 - 1);
                    }
                }
                _ => {}
            }
        }
        Self { scenario, stop, owners, holders, inside, given_up }
    }

    fn runs(&self, process: &str) -> bool {
        matches!(self.stop.then.ends.get(process), None | Some(End::Running))
    }

    fn is_waiting(&self, step: usize) -> bool {
        let late = self.stop.late.contains(&step);
        let open = self.stop.then.steps[step] == Taken::Open;
        late || (open && self.runs(&self.scenario.steps[step].lane.process))
    }

    fn holders(&self, end: PipeEnd) -> Vec<String> {
        self.holders.get(&end).into_iter().flatten().cloned().collect()
    }

    fn is_stopped(&self, process: &str) -> bool {
        self.stop.calls.get(process).is_some_and(|call| call == STOPPED)
    }

    fn wait(&self, step: usize) -> Wait {
        let spec = &self.scenario.steps[step];
        let process = &spec.lane.process;
        let (on, why) = match &spec.verb {
            _ if self.is_stopped(process) => (Vec::new(), format!("{process} is stopped")),
            Verb::Get { handle } => self.at_pipe(handle, None),
            Verb::Put { handle, payload } => self.at_pipe(handle, Some((step, payload.len()))),
            Verb::Join { child } | Verb::Child { child, .. } if self.runs(child) => {
                (vec![child.clone()], format!("{child} still runs"))
            }
            Verb::Join { child } | Verb::Child { child, .. } => {
                (Vec::new(), format!("{child} has ended"))
            }
            Verb::Until { lane } => {
                (vec![lane.process.clone()], format!("{lane} is in no step that blocks"))
            }
            _ => (Vec::new(), "nothing holds it".into()),
        };
        Wait { step, on, why }
    }

    /// A get waits for those who can write, a put, of so many bytes, for those who can read.
    fn at_pipe(&self, handle: &str, put: Option<(usize, u64)>) -> (Vec<String>, String) {
        let get = put.is_none();
        let Some((pipe, _)) = self.owners.end(handle, !get) else {
            return (Vec::new(), format!("{handle} is no pipe that was made"));
        };
        let (bytes, messages) = self.inside.get(&pipe).copied().unwrap_or_default();
        let others = self.holders((pipe, get));
        let other = self.owners.name((pipe, get)).to_owned();
        let given_up = self.given_up.get(&pipe).filter(|_| get && !others.is_empty());
        if let Some(line) = given_up {
            let why = format!(
                "what {handle} has may be half of the message that was given up (line {line})"
            );
            return (others, why);
        }
        if get && messages > 0 {
            let many = if messages == 1 {
                "a whole message is".into()
            } else {
                format!("{messages} messages are")
            };
            return (Vec::new(), format!("{many} in the pipe of {handle}"));
        }
        if others.is_empty() {
            let due = if get { "eof" } else { "broken" };
            return (Vec::new(), format!("nobody holds {other} any more, so {due} is due"));
        }
        let who = others.join(" and ");
        if get {
            return (others, format!("{handle} is empty, and {who} can still write it"));
        }
        let reading = self.stop.then.steps.iter().zip(&self.scenario.steps).any(|(taken, step)| {
            let gets = match &step.verb {
                Verb::Get { handle } => self.owners.end(handle, false) == Some((pipe, false)),
                _ => false,
            };
            *taken == Taken::Open && gets && self.runs(&step.lane.process)
        });
        if reading {
            return (Vec::new(), format!("{who} is reading {other}"));
        }
        let (step, len) = put.unwrap_or_default();
        if self.is_first_at(pipe, step) && bytes + len + FRAME <= SURE_ROOM {
            return (Vec::new(), format!("there is room for {len} bytes in the pipe of {handle}"));
        }
        (others, format!("{handle} is full, and only {who} can read it"))
    }

    /// Whether no other put waits at the pipe.
    fn is_first_at(&self, pipe: usize, step: usize) -> bool {
        let steps = self.scenario.steps.iter().zip(&self.stop.then.steps).enumerate();
        steps.into_iter().all(|(other, (spec, taken))| match &spec.verb {
            Verb::Put { handle, .. } if other != step && *taken == Taken::Open => {
                self.owners.end(handle, true) != Some((pipe, true))
            }
            _ => true,
        })
    }

    /// The end on which it depends whether the step can end: for a get the one that puts, for a put the one that gets.
    fn awaited(&self, step: usize) -> Option<PipeEnd> {
        let (handle, get) = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => (handle, true),
            Verb::Put { handle, .. } => (handle, false),
            _ => return None,
        };
        let (pipe, _) = self.owners.end(handle, !get)?;
        Some((pipe, get))
    }

    /// Those who have nothing more to do and do not leave, or who are stopped between two steps.
    fn stays(&self) -> Vec<String> {
        let waits = |process: &str| {
            let steps = 0..self.scenario.steps.len();
            steps.into_iter().any(|step| {
                self.scenario.steps[step].lane.process == process && self.is_waiting(step)
            })
        };
        let is_done = |process: &str| {
            let steps = self.scenario.steps.iter().zip(&self.stop.then.steps);
            steps.into_iter().all(|(step, taken)| {
                step.lane.process != process || matches!(taken, Taken::Ended { .. })
            })
        };
        let here = self.stop.calls.iter().filter(|(process, _)| self.runs(process));
        here.filter(|(process, _)| !waits(process))
            .filter_map(|(process, call)| match self.is_stopped(process) {
                true => Some(format!("{process} was stopped by a signal, and nobody continues it")),
                false if is_done(process) => Some(format!(
                    "{process} has nothing more to do, and does not end: it sleeps in {call}"
                )),
                false => None,
            })
            .collect()
    }

    /// What a process does instead of moving.
    fn idle(&self, wait: &Wait) -> String {
        let step = &self.scenario.steps[wait.step];
        let process = &step.lane.process;
        if self.is_stopped(process) {
            return format!("{process} was stopped by a signal, and nobody continues it");
        }
        let call = self.stop.calls.get(process).map_or(String::new(), |call| format!(" in {call}"));
        match self.stop.turns.get(process) {
            Some(false) => format!(
                "{process}'s loop does not turn: it sleeps{call}, and its neighbours with it"
            ),
            Some(true) if self.stop.cured.contains(&wait.step) => {
                format!("{process} went on when its loop was asked: its wake-up had been lost")
            }
            Some(true) => format!(
                "{process}'s loop turns, and {} does not end: a wake-up was lost",
                step.what()
            ),
            None => format!("{process} sleeps{call}"),
        }
    }

    /// The ends that a process holds and should not, at the pipes where somebody waits.
    fn leaks(&self, waits: &[Wait]) -> Vec<String> {
        let awaited: BTreeSet<PipeEnd> =
            waits.iter().filter_map(|wait| self.awaited(wait.step)).collect();
        let mut leaks = Vec::new();
        for held in &self.stop.held {
            let Some((end, last)) =
                self.owners.all().find(|(end, _)| self.owners.name(*end) == held.end)
            else {
                continue;
            };
            if !awaited.contains(&end) {
                continue;
            }
            if *last == Last::Held(held.process.clone()) || self.is_in_hand(end, &held.process) {
                continue;
            }
            leaks.push(self.leak(&held.process, &held.end, held.descriptor));
        }
        leaks
    }

    /// A step that waits may hold an end that the replay thinks is gone with it.
    fn is_in_hand(&self, end: PipeEnd, process: &str) -> bool {
        self.owners.last(end) == Some(&Last::Ended(process.to_owned()))
    }

    fn leak(&self, process: &str, end: &str, descriptor: i32) -> String {
        // An end is a handle, or the half of one: `near.r`.
        let is_of = |name: &String| {
            end.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let touched = |step: &&crate::scenario::Step| match &step.verb {
            Verb::Pipe { reader, writer, .. } => {
                step.lane.process == process && (is_of(reader) || is_of(writer))
            }
            Verb::Duplex { near, far } => {
                step.lane.process == process && (is_of(near) || is_of(far))
            }
            Verb::Spawn { child, handles, .. } => child == process && handles.iter().any(is_of),
            _ => false,
        };
        let had = self.scenario.steps.iter().any(|step| touched(&step));
        if had {
            return format!(
                "{process} gave {end} away or closed it, and still holds it as fd {descriptor}"
            );
        }
        let spawn = self
            .scenario
            .steps
            .iter()
            .find(|step| matches!(&step.verb, Verb::Spawn { child, .. } if child == process));
        let line = spawn.map_or(String::new(), |step| format!(" (line {})", step.place.line));
        format!(
            "{process} was never given {end}; it inherited it, as fd {descriptor}, when it was spawned{line}"
        )
    }
}

/// The shortest way from the first who waits and can come back to himself. A process that waits for itself alone (it
/// holds the end it reads from) is a circle of one, but one through others says more.
fn circle(scenario: &Scenario, waits: &[Wait]) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for wait in waits {
        let process = scenario.steps[wait.step].lane.process.as_str();
        order.push(process);
        edges.entry(process).or_default().extend(wait.on.iter().map(String::as_str));
    }
    let through_others = order.iter().find_map(|start| way_back(start, &edges));
    let alone = order.iter().find(|start| edges[**start].contains(**start));
    let names = through_others.or_else(|| alone.map(|name| vec![*name, *name]));
    names.unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// The shortest way from a name over others back to it.
fn way_back<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::from([start]);
    let mut open = VecDeque::from([vec![start]]);
    while let Some(path) = open.pop_front() {
        let last = path[path.len() - 1];
        for on in edges.get(last).into_iter().flatten().filter(|on| **on != last) {
            let longer: Vec<&str> = path.iter().chain([on]).copied().collect();
            if *on == start {
                return Some(longer);
            }
            if seen.insert(on) {
                open.push_back(longer);
            }
        }
    }
    None
}
