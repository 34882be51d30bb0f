//! Translates between the scenario and the protocol: steps into commands, and reported outcomes into outcomes.
//!
//! Agents report a message by its length and digest. This module finds which step put it.

use crate::process_role::PROGRAM;
use crate::scenario::{
    ChildAct, Closing, Codec, Counted, CutAt, Disposition, Executable, Outcome, Payload, PipeId,
    ProgramStart, Scenario, Side, StreamName, TaskId, Verb,
};
use ecow::{EcoString, eco_format};
use gipc_agent::WireOutcome;
use gipc_agent::{Command, FramePosition, WirePayload, WireStream, digest, noise_digest};
use std::collections::{BTreeMap, VecDeque};

/// The origin of a message that no step put.
const NO_STEP: &str = "which no step put";

/// A file that does not exist.
const MISSING_PROGRAM: &str = "/nonexistent/program";

/// A file that is not executable, not even for the superuser.
const NOT_EXECUTABLE: &str = "/dev/null";

/// A message as an agent reports it.
struct Received<'a> {
    len: u64,
    sha256: &'a str,
    text: Option<&'a str>,
}

/// The translation for one run.
pub(super) struct ProtocolMapping<'a> {
    scenario: &'a Scenario,
    /// The number of each put among the puts of its task, counted from 1.
    put_numbers: BTreeMap<usize, usize>,
    /// For each pipe, the puts whose message was not received yet.
    unreceived: BTreeMap<PipeId, VecDeque<usize>>,
}

impl<'a> ProtocolMapping<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut counts: BTreeMap<&TaskId, usize> = BTreeMap::new();
        let mut put_numbers = BTreeMap::new();
        let mut unreceived: BTreeMap<PipeId, VecDeque<usize>> = BTreeMap::new();
        for (index, step) in scenario.steps.iter().enumerate() {
            if let Verb::Put { handle, .. } | Verb::Cut { handle, .. } = &step.verb {
                let count = counts.entry(&step.task_id).or_default();
                *count += 1;
                put_numbers.insert(index, *count);
                if let Some(pipe) = scenario.handles.pipe(handle, Side::Writer) {
                    unreceived.entry(pipe).or_default().push_back(index);
                }
            }
        }
        Self { scenario, put_numbers, unreceived }
    }

    /// The command for a step. `None` for `until`, which the harness performs itself.
    pub(super) fn command(&self, step: usize) -> Option<Command> {
        let name = |codec: &str| Some(codec.to_owned());
        Some(match self.scenario.steps[step].verb.clone() {
            Verb::Pipe { reader, writer, codec } => {
                let codec = codec.and_then(|codec| match codec {
                    Codec::Json => name("json"),
                    Codec::Failing => name("failing"),
                });
                Command::Pipe { reader: reader.into(), writer: writer.into(), codec }
            }
            Verb::Duplex { near, far } => Command::Duplex { near: near.into(), far: far.into() },
            Verb::Spawn { child, program: Some(program), in_group, .. } => {
                run_command(child.into(), &program, in_group)
            }
            Verb::Spawn {
                child,
                handles,
                shared,
                listed,
                program: None,
                in_group,
                from_thread,
            } => Command::Spawn {
                child: child.into(),
                handles: texts(handles),
                shared: texts(shared),
                listed: texts(listed),
                in_group,
                from_thread,
            },
            Verb::Put { handle, payload } => {
                Command::Put { handle: handle.into(), payload: self.payload(step, payload) }
            }
            Verb::Get { handle } => Command::Get { handle: handle.into() },
            Verb::GetWithin { handle, limit } => {
                Command::GetWithin { handle: handle.into(), limit: limit.into() }
            }
            Verb::Close { handle, by: Closing::Call } => Command::Close { handle: handle.into() },
            Verb::Close { handle, by: Closing::Drop } => {
                Command::DropHandle { handle: handle.into() }
            }
            Verb::Close { handle, by: Closing::Descriptor } => {
                Command::CloseDescriptor { handle: handle.into() }
            }
            Verb::Join { child } => Command::Join { child: child.into() },
            Verb::Kill { child } => Command::Kill { child: child.into() },
            Verb::Exit { code } => Command::Exit { code },
            Verb::Cancel { task } => Command::Cancel { task: task.task.unwrap_or_default().into() },
            Verb::Pause { ms } => Command::Pause { ms },
            Verb::Until { .. } => return None,
            Verb::Child { act, child } => match act {
                ChildAct::Terminate => Command::Terminate { child: child.into() },
                ChildAct::Alive => Command::Alive { child: child.into() },
                ChildAct::Code => Command::Code { child: child.into() },
                ChildAct::Stall => Command::Stall { child: child.into() },
                ChildAct::Reaped => Command::Reaped { child: child.into() },
                ChildAct::Reap => Command::Reap { child: child.into() },
                ChildAct::Drop => Command::Drop { child: child.into() },
            },
            Verb::Raise => Command::Raise,
            Verb::Exec { ghost } => Command::Exec { ghost: ghost.into() },
            Verb::Cut { handle, payload, at } => Command::Cut {
                handle: handle.into(),
                payload: self.payload(step, payload),
                at: match *at {
                    CutAt::Bytes(bytes) => FramePosition::Bytes(bytes),
                    CutAt::Header(more) => FramePosition::Header(more),
                    CutAt::End(less) => FramePosition::End(less),
                },
            },
            Verb::Rest { handle } => Command::Rest { handle: handle.into() },
            Verb::Announce { handle, size } => Command::Announce { handle: handle.into(), size },
            Verb::Dispose { to, signal } => match to {
                Disposition::Trap => Command::Trap { signal: signal.into() },
                Disposition::Ignore => Command::Ignore { signal: signal.into() },
                Disposition::Block => Command::Block { signal: signal.into() },
            },
            Verb::Signal { child, signal } => {
                Command::Signal { child: child.into(), signal: signal.into() }
            }
            Verb::SignalGroup { child, signal } => {
                Command::SignalGroup { child: child.into(), signal: signal.into() }
            }
            Verb::Limit { free } => Command::Limit { free },
            Verb::Count { what } => Command::Count {
                what: match what {
                    Counted::Handles => "handles".into(),
                    Counted::Trapped => "trapped".into(),
                },
            },
            Verb::Enter { handles } => Command::Enter { handles: texts(handles) },
            Verb::Leave { handles, raising } => Command::Leave { handles: texts(handles), raising },
            Verb::Pass { handle, passed } => {
                Command::Pass { handle: handle.into(), passed: passed.into() }
            }
        })
    }

    fn payload(&self, step: usize, payload: Payload) -> WirePayload {
        match payload {
            Payload::Text(text) => WirePayload::Text { text: text.into() },
            Payload::Size(len) => WirePayload::Noise { seed: self.seed(step), len },
        }
    }

    /// Translates a reported outcome. For a message, also returns the put that it came from: the first put into the pipe
    /// that `was_sent` to its agent, whose message was not received yet, and whose bytes match.
    pub(super) fn outcome(
        &mut self,
        step: usize,
        reported: WireOutcome,
        detail: Option<&str>,
        was_sent: impl Fn(usize) -> bool,
    ) -> (Outcome, Option<usize>) {
        let WireOutcome::Message { len, sha256, text } = reported else {
            return (plain_outcome(reported, detail), None);
        };
        let pipe = match &self.scenario.steps[step].verb {
            Verb::Get { handle } => self.scenario.handles.pipe(handle, Side::Reader),
            _ => None,
        };
        let puts = pipe.and_then(|pipe| self.unreceived.get(&pipe));
        let message = Received { len, sha256: &sha256, text: text.as_deref() };
        let is_sender = |put: &usize| was_sent(*put) && self.is_message_of(*put, &message);
        let place = puts.and_then(|puts| puts.iter().position(is_sender));
        let from = puts.zip(place).map(|(puts, place)| puts[place]);
        let origin = match from {
            Some(_) => String::new(),
            None => self.origin_of_stray(pipe, &message, &was_sent),
        };
        let puts = pipe.and_then(|pipe| self.unreceived.get_mut(&pipe));
        if let Some((puts, place)) = puts.zip(place) {
            puts.remove(place);
        }
        let outcome = match (from.map(|put| &self.scenario.steps[put].verb), text) {
            (Some(Verb::Put { payload, .. } | Verb::Cut { payload, .. }), _) => {
                Outcome::Message(payload.clone())
            }
            // The text can't be written in a scenario, so it matches no expectation.
            (_, Some(text)) => Outcome::Other(eco_format!("{text:?}, {origin}")),
            (_, None) => Outcome::Other(eco_format!("{len} bytes, {origin}")),
        };
        (outcome, from)
    }

    /// Whether a message has the same bytes as that of a put.
    fn is_message_of(&self, put: usize, message: &Received<'_>) -> bool {
        match &self.scenario.steps[put].verb {
            Verb::Put { payload, .. } | Verb::Cut { payload, .. } => match payload {
                Payload::Text(text) => {
                    text.len() as u64 == message.len && digest(text.as_bytes()) == message.sha256
                }
                Payload::Size(size) => {
                    *size == message.len
                        && noise_digest(&self.seed(put), message.len) == message.sha256
                }
            },
            _ => false,
        }
    }

    /// Says where a message comes from that matches no unreceived put into this pipe, as part of a sentence.
    fn origin_of_stray(
        &self,
        pipe: Option<PipeId>,
        message: &Received<'_>,
        was_sent: impl Fn(usize) -> bool,
    ) -> String {
        let puts = || self.put_numbers.keys().copied().filter(|put| was_sent(*put));
        let same = |put: &usize| self.is_message_of(*put, message);
        let is_unreceived = |put: &usize| self.unreceived.values().any(|puts| puts.contains(put));
        let found = puts().filter(same).max_by_key(|put| is_unreceived(put));
        if let Some(put) = found {
            let step = &self.scenario.steps[put];
            let (Verb::Put { handle, .. } | Verb::Cut { handle, .. }) = &step.verb else {
                return NO_STEP.to_owned();
            };
            let task = &step.task_id;
            return match self.scenario.handles.pipe(handle, Side::Writer) == pipe {
                true => format!("which {task} put and a get had received already"),
                false => format!("which {task} put into {handle}"),
            };
        }
        let text = message.text.filter(|text| !text.is_empty());
        let holds = |put: &usize| match &self.scenario.steps[*put].verb {
            Verb::Put { payload: Payload::Text(whole), .. }
            | Verb::Cut { payload: Payload::Text(whole), .. } => {
                text.is_some_and(|part| whole.contains(part))
            }
            _ => false,
        };
        match puts().find(holds) {
            Some(put) => {
                format!("which is a part of what {} put", self.scenario.steps[put].task_id)
            }
            None => NO_STEP.to_owned(),
        }
    }

    /// The seed of the random message of a put: its task and its number among the puts of the task.
    fn seed(&self, put: usize) -> String {
        let number = self.put_numbers.get(&put).unwrap_or(&0);
        format!("{}#{number}", self.scenario.steps[put].task_id)
    }
}

/// The command that starts a program. The program of the harness is this executable in another role.
fn run_command(child: String, program: &ProgramStart, in_group: bool) -> Command {
    let own = || std::env::current_exe().unwrap_or_default().to_string_lossy().into_owned();
    let mut argv = match program.executable {
        Executable::Script => vec![own(), PROGRAM.to_owned(), child.clone()],
        Executable::Missing => vec![MISSING_PROGRAM.to_owned()],
        Executable::NotExecutable => vec![NOT_EXECUTABLE.to_owned()],
    };
    let streams = program.streams.iter();
    argv.extend(streams.map(|stream| format!("{}={}", stream.name.word(), stream.of_child())));
    let stream = |name: StreamName| {
        let stream = program.streams.iter().find(|stream| stream.name == name)?;
        Some(match stream.of_parent() {
            Some(kept) => WireStream::Pipe(kept.to_owned()),
            None => WireStream::Given(stream.of_child().to_owned()),
        })
    };
    let [stdin, stdout, stderr] = StreamName::ALL.map(stream);
    Command::Run { child, argv, stdin, stdout, stderr, in_group }
}

/// Names as the protocol has them.
fn texts(names: impl IntoIterator<Item = EcoString>) -> Vec<String> {
    names.into_iter().map(String::from).collect()
}

/// Translates an outcome that is not a message.
fn plain_outcome(reported: WireOutcome, detail: Option<&str>) -> Outcome {
    match reported {
        WireOutcome::Ok => Outcome::Ok,
        WireOutcome::Exit { code } => Outcome::Exit(code),
        WireOutcome::Signal { name } => Outcome::Signal(name.into()),
        WireOutcome::Os { name } => Outcome::Os(name.into()),
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
            Outcome::Other(detail.unwrap_or("other").into())
        }
    }
}

#[cfg(test)]
mod tests;
