//! The scenario's words and the protocol's, put into each other: orders from steps, outcomes from answers.
//!
//! A message is told by its bytes; which step put it is found here. Who is right is not asked.

use crate::scenario::{
    ChildAct, Codec, Counted, CutAt, Disposition, Outcome, Payload, PipeEnd, PipeId, Scenario,
    Side, TaskId, Verb,
};
use gipc_agent::WireOutcome;
use gipc_agent::{Command, FramePosition, WirePayload, digest, noise_digest};
use std::collections::BTreeMap;

/// What must be known of a scenario to translate.
pub(super) struct ProtocolMapping<'a> {
    scenario: &'a Scenario,
    /// Of each put: which in turn of its task_id it is.
    puts: BTreeMap<usize, usize>,
    /// Of each pipe: the puts whose message has not come out yet.
    waiting: BTreeMap<PipeId, Vec<usize>>,
}

impl<'a> ProtocolMapping<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut turns: BTreeMap<&TaskId, usize> = BTreeMap::new();
        let mut puts = BTreeMap::new();
        let mut waiting: BTreeMap<PipeId, Vec<usize>> = BTreeMap::new();
        for (index, step) in scenario.steps.iter().enumerate() {
            if let Verb::Put { handle, .. } | Verb::Cut { handle, .. } = &step.verb {
                let turn = turns.entry(&step.task_id).or_default();
                *turn += 1;
                puts.insert(index, *turn);
                if let Some(pipe) = scenario.handles.pipe(handle, Side::Writer) {
                    waiting.entry(pipe).or_default().push(index);
                }
            }
        }
        Self { scenario, puts, waiting }
    }

    /// The step as an agent is told it; `until` is the harness's own and has no order.
    pub(super) fn order(&self, step: usize) -> Option<Command> {
        let text = |words: &str| Some(words.to_owned());
        Some(match self.scenario.steps[step].verb.clone() {
            Verb::Pipe { reader, writer, codec } => {
                let codec = codec.and_then(|codec| match codec {
                    Codec::Json => text("json"),
                    Codec::Failing => text("failing"),
                });
                Command::Pipe { reader, writer, codec }
            }
            Verb::Duplex { near, far } => Command::Duplex { near, far },
            Verb::Spawn { child, handles, listed } => Command::Spawn { child, handles, listed },
            Verb::Put { handle, payload } => {
                Command::Put { handle, payload: self.content(step, payload) }
            }
            Verb::Get { handle } => Command::Get { handle },
            Verb::Close { handle } => Command::Close { handle },
            Verb::Join { child } => Command::Join { child },
            Verb::Kill { child } => Command::Kill { child },
            Verb::Exit { code } => Command::Exit { code },
            Verb::Cancel { task } => Command::Cancel { task: task.task.unwrap_or_default() },
            Verb::Pause { ms } => Command::Pause { ms },
            Verb::Until { .. } => return None,
            Verb::Child { act, child } => match act {
                ChildAct::Terminate => Command::Terminate { child },
                ChildAct::Alive => Command::Alive { child },
                ChildAct::Code => Command::Code { child },
                ChildAct::Stall => Command::Stall { child },
                ChildAct::Reaped => Command::Reaped { child },
                ChildAct::Reap => Command::Reap { child },
            },
            Verb::Raise => Command::Raise,
            Verb::Exec { ghost } => Command::Exec { ghost },
            Verb::Cut { handle, payload, at } => Command::Cut {
                handle,
                payload: self.content(step, payload),
                at: match at {
                    CutAt::Bytes(bytes) => FramePosition::Bytes(bytes),
                    CutAt::Header(more) => FramePosition::Header(more),
                    CutAt::End(less) => FramePosition::End(less),
                },
            },
            Verb::Rest { handle } => Command::Rest { handle },
            Verb::Announce { handle, size } => Command::Announce { handle, size },
            Verb::Dispose { to, signal } => match to {
                Disposition::Trap => Command::Trap { signal },
                Disposition::Ignore => Command::Ignore { signal },
                Disposition::Block => Command::Block { signal },
            },
            Verb::Signal { child, signal } => Command::Signal { child, signal },
            Verb::Limit { free } => Command::Limit { free },
            Verb::Count { what } => Command::Count {
                what: match what {
                    Counted::Handles => "handles".into(),
                    Counted::Trapped => "trapped".into(),
                },
            },
            Verb::Enter { handles } => Command::Enter { handles },
            Verb::Leave { handles, raising } => Command::Leave { handles, raising },
            Verb::Pass { handle, passed } => Command::Pass { handle, passed },
        })
    }

    fn content(&self, step: usize, payload: Payload) -> WirePayload {
        match payload {
            Payload::Text(text) => WirePayload::Text { text },
            Payload::Size(len) => WirePayload::Noise { seed: self.seed(step), len },
        }
    }

    /// An agent's answer as an outcome; for a message also the put that it came from, if there is one that was let
    /// go and whose message has not come out yet.
    pub(super) fn outcome(
        &mut self,
        step: usize,
        said: WireOutcome,
        detail: Option<&str>,
        was_put: impl Fn(usize) -> bool,
    ) -> (Outcome, Option<usize>) {
        let WireOutcome::Message { len, sha256, text } = said else {
            return (plain(said, detail), None);
        };
        let pipe = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => self.scenario.handles.pipe(handle, Side::Reader),
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
        self.scenario.handles.end_named(end).is_some_and(PipeEnd::is_writer)
    }

    /// What the noise of a put is made from: who puts it, and which in turn.
    fn seed(&self, put: usize) -> String {
        format!("{}#{}", self.scenario.steps[put].task_id, self.puts.get(&put).unwrap_or(&0))
    }
}

fn plain(said: WireOutcome, detail: Option<&str>) -> Outcome {
    match said {
        WireOutcome::Ok => Outcome::Ok,
        WireOutcome::Exit { code } => Outcome::Exit(code),
        WireOutcome::Signal { name } => Outcome::Signal(name),
        WireOutcome::Os { name } => Outcome::Os(name),
        WireOutcome::Eof => Outcome::Eof,
        WireOutcome::Truncated => Outcome::Truncated,
        WireOutcome::Closed => Outcome::Closed,
        WireOutcome::Locked => Outcome::Locked,
        WireOutcome::Broken => Outcome::Broken,
        WireOutcome::Timeout => Outcome::Timeout,
        WireOutcome::Cancelled => Outcome::Cancelled,
        WireOutcome::Poisoned => Outcome::Poisoned,
        WireOutcome::Misuse => Outcome::Misuse,
        WireOutcome::TooLarge => Outcome::TooLarge,
        WireOutcome::Protocol => Outcome::Protocol,
        WireOutcome::Encode => Outcome::Encode,
        WireOutcome::Decode => Outcome::Decode,
        WireOutcome::Raised => Outcome::Raised,
        WireOutcome::Yes => Outcome::Yes,
        WireOutcome::No => Outcome::No,
        WireOutcome::Number { n } => Outcome::Number(n),
        WireOutcome::Running => Outcome::Running,
        WireOutcome::Other | WireOutcome::Message { .. } => {
            Outcome::Other(detail.unwrap_or("other").to_owned())
        }
    }
}
