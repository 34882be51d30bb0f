//! The scenario's words and the protocol's, put into each other: orders from steps, outcomes from answers.
//!
//! A message is told by its bytes; which step put it is found here. Who is right is not asked.

use crate::adapter::order::{Content, Order, Place, digest, noise_digest};
use crate::adapter::protocol::Said;
use crate::scenario::{
    ChildAct, Codec, Counted, CutAt, Disposition, Lane, Outcome, Payload, Scenario, Verb,
};
use std::collections::BTreeMap;

/// What must be known of a scenario to translate.
pub(super) struct Wire<'a> {
    scenario: &'a Scenario,
    /// Of each put: which in turn of its lane it is.
    puts: BTreeMap<usize, usize>,
    /// Of each name of a handle: the pipe it gets from, and the pipe it puts to.
    directions: BTreeMap<String, [Option<usize>; 2]>,
    /// Of each pipe: the puts whose message has not come out yet.
    waiting: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut turns: BTreeMap<&Lane, usize> = BTreeMap::new();
        let mut puts = BTreeMap::new();
        let directions = directions(scenario);
        let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, step) in scenario.steps.iter().enumerate() {
            if let Verb::Put { handle, .. } | Verb::Cut { handle, .. } = &step.verb {
                let turn = turns.entry(&step.lane).or_default();
                *turn += 1;
                puts.insert(index, *turn);
                if let Some([_, Some(pipe)]) = directions.get(handle) {
                    waiting.entry(*pipe).or_default().push(index);
                }
            }
        }
        Self { scenario, puts, directions, waiting }
    }

    /// The step as an agent is told it; `until` is the harness's own and has no order.
    pub(super) fn order(&self, step: usize) -> Option<Order> {
        let text = |words: &str| Some(words.to_owned());
        Some(match self.scenario.steps[step].verb.clone() {
            Verb::Pipe { reader, writer, codec } => {
                let codec = codec.and_then(|codec| match codec {
                    Codec::Json => text("json"),
                    Codec::Failing => text("failing"),
                });
                Order::Pipe { reader, writer, codec }
            }
            Verb::Duplex { near, far } => Order::Duplex { near, far },
            Verb::Spawn { child, handles, listed } => Order::Spawn { child, handles, listed },
            Verb::Put { handle, payload } => {
                Order::Put { handle, payload: self.content(step, payload) }
            }
            Verb::Get { handle } => Order::Get { handle },
            Verb::Close { handle } => Order::Close { handle },
            Verb::Join { child } => Order::Join { child },
            Verb::Kill { child } => Order::Kill { child },
            Verb::Exit { code } => Order::Exit { code },
            Verb::Cancel { task } => Order::Cancel { task: task.task.unwrap_or_default() },
            Verb::Pause { ms } => Order::Pause { ms },
            Verb::Until { .. } => return None,
            Verb::Child { act, child } => match act {
                ChildAct::Terminate => Order::Terminate { child },
                ChildAct::Alive => Order::Alive { child },
                ChildAct::Code => Order::Code { child },
                ChildAct::Stall => Order::Stall { child },
                ChildAct::Reaped => Order::Reaped { child },
                ChildAct::Reap => Order::Reap { child },
            },
            Verb::Raise => Order::Raise,
            Verb::Exec { ghost } => Order::Exec { ghost },
            Verb::Cut { handle, payload, at } => Order::Cut {
                handle,
                payload: self.content(step, payload),
                at: match at {
                    CutAt::Bytes(bytes) => Place::Bytes(bytes),
                    CutAt::Header(more) => Place::Header(more),
                    CutAt::End(less) => Place::End(less),
                },
            },
            Verb::Rest { handle } => Order::Rest { handle },
            Verb::Announce { handle, size } => Order::Announce { handle, size },
            Verb::Dispose { to, signal } => match to {
                Disposition::Trap => Order::Trap { signal },
                Disposition::Ignore => Order::Ignore { signal },
                Disposition::Block => Order::Block { signal },
            },
            Verb::Signal { child, signal } => Order::Signal { child, signal },
            Verb::Limit { free } => Order::Limit { free },
            Verb::Count { what } => Order::Count {
                what: match what {
                    Counted::Handles => "handles".into(),
                    Counted::Trapped => "trapped".into(),
                },
            },
            Verb::Enter { handles } => Order::Enter { handles },
            Verb::Leave { handles, raising } => Order::Leave { handles, raising },
            Verb::Pass { handle, passed } => Order::Pass { handle, passed },
        })
    }

    fn content(&self, step: usize, payload: Payload) -> Content {
        match payload {
            Payload::Text(text) => Content::Text { text },
            Payload::Size(len) => Content::Noise { seed: self.seed(step), len },
        }
    }

    /// An agent's answer as an outcome; for a message also the put that it came from, if there is one that was let
    /// go and whose message has not come out yet.
    pub(super) fn outcome(
        &mut self,
        step: usize,
        said: Said,
        detail: Option<&str>,
        was_put: impl Fn(usize) -> bool,
    ) -> (Outcome, Option<usize>) {
        let Said::Message { len, sha256, text } = said else { return (plain(said, detail), None) };
        let pipe = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => self.directions.get(handle).and_then(|both| both[0]),
            _ => None,
        };
        let puts = pipe.and_then(|pipe| self.waiting.get(&pipe)).map_or(&[][..], Vec::as_slice);
        let from = puts.iter().copied().find(|put| {
            was_put(*put)
                && match &self.scenario.steps[*put].verb {
                    Verb::Put { payload: Payload::Text(text), .. }
                    | Verb::Cut { payload: Payload::Text(text), .. } => {
                        text.len() as u64 == len && digest(text.as_bytes()) == sha256
                    }
                    Verb::Put { payload: Payload::Size(size), .. }
                    | Verb::Cut { payload: Payload::Size(size), .. } => {
                        *size == len && noise_digest(&self.seed(*put), len) == sha256
                    }
                    _ => false,
                }
        });
        if let Some(puts) = pipe.and_then(|pipe| self.waiting.get_mut(&pipe)) {
            puts.retain(|put| Some(*put) != from);
        }
        let outcome = match (from.map(|put| &self.scenario.steps[put].verb), text) {
            (Some(Verb::Put { payload, .. } | Verb::Cut { payload, .. }), _) => {
                Outcome::Message(payload.clone())
            }
            // Nobody put this: it is shown as it is, in a way that no author can have written.
            (_, Some(text)) => Outcome::Other(format!("{text:?}, which nobody put")),
            (_, None) => Outcome::Other(format!("{len} bytes that nobody put")),
        };
        (outcome, from)
    }

    /// Whether the end of this name puts.
    pub(super) fn is_writer(&self, end: &str) -> bool {
        matches!(self.directions.get(end), Some([None, Some(_)]))
    }

    /// What the noise of a put is made from: who puts it, and which in turn.
    fn seed(&self, put: usize) -> String {
        format!("{}#{}", self.scenario.steps[put].lane, self.puts.get(&put).unwrap_or(&0))
    }
}

/// Which pipe each handle gets from and puts to, pipes counted in the order of making.
fn directions(scenario: &Scenario) -> BTreeMap<String, [Option<usize>; 2]> {
    let mut directions = BTreeMap::new();
    let mut pipes = 0;
    for step in &scenario.steps {
        match &step.verb {
            Verb::Pipe { reader, writer, .. } => {
                directions.insert(reader.clone(), [Some(pipes), None]);
                directions.insert(writer.clone(), [None, Some(pipes)]);
                pipes += 1;
            }
            Verb::Duplex { near, far } => {
                for (name, get, put) in [(near, pipes + 1, pipes), (far, pipes, pipes + 1)] {
                    directions.insert(name.clone(), [Some(get), Some(put)]);
                    directions.insert(format!("{name}.r"), [Some(get), None]);
                    directions.insert(format!("{name}.w"), [None, Some(put)]);
                }
                pipes += 2;
            }
            _ => {}
        }
    }
    directions
}

fn plain(said: Said, detail: Option<&str>) -> Outcome {
    match said {
        Said::Ok => Outcome::Ok,
        Said::Exit { code } => Outcome::Exit(code),
        Said::Signal { name } => Outcome::Signal(name),
        Said::Os { name } => Outcome::Os(name),
        Said::Eof => Outcome::Eof,
        Said::Truncated => Outcome::Truncated,
        Said::Closed => Outcome::Closed,
        Said::Locked => Outcome::Locked,
        Said::Broken => Outcome::Broken,
        Said::Timeout => Outcome::Timeout,
        Said::Cancelled => Outcome::Cancelled,
        Said::Poisoned => Outcome::Poisoned,
        Said::Misuse => Outcome::Misuse,
        Said::TooLarge => Outcome::TooLarge,
        Said::Protocol => Outcome::Protocol,
        Said::Encode => Outcome::Encode,
        Said::Decode => Outcome::Decode,
        Said::Raised => Outcome::Raised,
        Said::Yes => Outcome::Yes,
        Said::No => Outcome::No,
        Said::Number { n } => Outcome::Number(n),
        Said::Running => Outcome::Running,
        Said::Other | Said::Message { .. } => Outcome::Other(detail.unwrap_or("other").to_owned()),
    }
}
