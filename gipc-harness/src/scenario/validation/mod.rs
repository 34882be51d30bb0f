//! Checks that a scenario is well-formed: names exist, processes use only handles that they own, and some step is tested.
//!
//! The rules need no model. They find the author's mistakes before any process starts. Each file holds the rules about one
//! kind of thing together with the state that they need.

mod closing_rules;
mod frame_rules;
mod handle_rules;
mod process_rules;

use super::mistake_list::MistakeList;
use super::{
    ChildAct, Closing, Outcome, ParseError, Payload, PipeEnd, ProgramStart, Scenario, Side, Step,
    StreamSource, TaskId, Verb,
};
use closing_rules::ClosingRules;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use frame_rules::FrameRules;
use handle_rules::HandleRules;
use process_rules::ProcessRules;
use std::collections::BTreeSet;

/// Checks the steps in file order, and then, if no mistake was found, the scenario as a whole.
pub(super) fn validate(scenario: &Scenario, mistakes: &mut MistakeList<'_>) {
    let mut validator = Validator {
        scenario,
        processes: ProcessRules::new(&scenario.steps),
        handles: HandleRules::new(&scenario.handles),
        closing: ClosingRules::new(&scenario.steps, &scenario.handles),
        frames: FrameRules::new(scenario),
    };
    for step in scenario.steps.iter() {
        if let Err(mistake) = validator.check_step(step) {
            mistakes.add_unless_doubtful(mistake);
        }
    }
    if mistakes.is_empty() {
        let checks = [
            check_that_something_is_tested(scenario),
            validator.processes.check_tasks(&scenario.steps),
            check_that_senders_differ(scenario),
            frame_rules::check_shared_writers(scenario),
        ];
        checks.into_iter().filter_map(Result::err).for_each(|mistake| mistakes.add(mistake));
    }
}

struct Validator<'a> {
    scenario: &'a Scenario,
    processes: ProcessRules<'a>,
    handles: HandleRules<'a>,
    closing: ClosingRules<'a>,
    frames: FrameRules<'a>,
}

impl<'a> Validator<'a> {
    fn check_step(&mut self, step: &'a Step) -> Result<(), ParseError> {
        self.processes.check_actor(step)?;
        self.processes.check_program(step)?;
        self.closing.check(step)?;
        match &step.verb {
            // A step that is expected to be refused makes nothing.
            Verb::Pipe { .. } | Verb::Duplex { .. } if step.expects_refusal() => {}
            Verb::Pipe { reader, writer, codec } => {
                self.handles.make(step, reader)?;
                self.handles.make(step, writer)?;
                if codec.is_some() {
                    self.frames.add_codec(writer);
                }
            }
            Verb::Duplex { near, far } => {
                self.handles.make(step, near)?;
                self.handles.make(step, far)?;
            }
            Verb::Spawn { child, program, in_group, .. } => {
                match program {
                    Some(program) => self.run(step, child, program)?,
                    None => self.spawn(step, child)?,
                }
                if *in_group {
                    self.processes.add_group(child);
                }
            }
            Verb::Put { handle, payload } => {
                self.handles.check_use(step, handle, Some(Side::Writer))?;
                self.frames.check_message(step, handle, payload)?;
            }
            Verb::Get { handle } => self.handles.check_use(step, handle, Some(Side::Reader))?,
            Verb::GetWithin { handle, .. } => {
                self.handles.check_use(step, handle, Some(Side::Reader))?;
            }
            Verb::Close { handle, by } => {
                self.handles.check_use(step, handle, None)?;
                if *by != Closing::Call && self.handles.is_stream(handle) {
                    let message = format!("{handle} is a stream of a program");
                    return Err(ParseError::at_action(
                        step,
                        message,
                        format!("write `close {handle}`"),
                    ));
                }
                if step.expected[..] == [Outcome::Ok] {
                    self.handles.close(step, handle);
                }
            }
            Verb::Cut { handle, payload, at } => {
                self.frames.check_sole_writer(step, handle)?;
                self.handles.check_use(step, handle, Some(Side::Writer))?;
                self.frames.cut(step, handle, payload, **at)?;
            }
            Verb::Announce { handle, .. } => {
                self.frames.check_sole_writer(step, handle)?;
                self.handles.check_use(step, handle, Some(Side::Writer))?;
                self.frames.announce(step, handle)?;
            }
            Verb::Rest { handle } => {
                self.handles.check_use(step, handle, Some(Side::Writer))?;
                self.frames.rest(step, handle)?;
            }
            Verb::Enter { handles } => {
                handles.iter().try_for_each(|handle| self.handles.check_exists(step, handle))?;
            }
            Verb::Leave { handles, .. } => {
                for handle in handles {
                    self.handles.check_exists(step, handle)?;
                    if !step.expects_refusal() {
                        self.handles.close(step, handle);
                    }
                }
            }
            Verb::Pass { handle, passed } => {
                self.handles.check_use(step, handle, Some(Side::Writer))?;
                self.handles.check_use(step, passed, None)?;
            }
            Verb::Exec { ghost } => self.processes.exec(step, ghost)?,
            Verb::Join { child }
            | Verb::Kill { child }
            | Verb::Signal { child, .. }
            | Verb::Child { child, .. } => {
                self.processes.check_child(step, child)?;
                if let Verb::Child { act: ChildAct::Drop, .. } = step.verb {
                    self.processes.drop_child(step, child);
                }
            }
            Verb::SignalGroup { child, .. } => {
                self.processes.check_child(step, child)?;
                self.processes.check_group(step, child)?;
            }
            Verb::Until { task_id } => self.processes.until(step, task_id)?,
            Verb::Cancel { task } => self.processes.check_cancel(step, task)?,
            Verb::Exit { .. } | Verb::Raise => self.processes.exit(step),
            Verb::Pause { .. } => self.check_pause(step)?,
            Verb::Dispose { .. } | Verb::Limit { .. } | Verb::Count { .. } => {}
        }
        if !matches!(step.verb, Verb::Until { .. }) {
            self.processes.end_until(&step.task_id);
        }
        Ok(())
    }

    fn spawn(&mut self, step: &'a Step, child: &'a str) -> Result<(), ParseError> {
        let Verb::Spawn { handles, shared, listed, .. } = &step.verb else { return Ok(()) };
        for handle in listed {
            self.handles.check_use(step, handle, None)?;
        }
        self.processes.check_new_name(step, child)?;
        for handle in handles {
            self.handles.check_use(step, handle, None)?;
            self.handles.check_no_stream(step, handle)?;
        }
        self.handles.check_shared(step, shared)?;
        if step.expects_refusal() {
            self.processes.refuse_spawn(child);
        } else {
            self.handles.give(step, child, handles, shared)?;
            self.processes.spawn(step, child);
        }
        Ok(())
    }

    fn run(
        &mut self,
        step: &'a Step,
        child: &'a str,
        program: &'a ProgramStart,
    ) -> Result<(), ParseError> {
        self.processes.check_new_name(step, child)?;
        for stream in &program.streams {
            if let StreamSource::Given { handle } = &stream.source {
                self.handles.check_use(step, handle, Some(stream.name.side()))?;
                self.handles.check_stream(step, handle)?;
            }
        }
        if step.expects_refusal() {
            self.processes.refuse_spawn(child);
            return Ok(());
        }
        for (reader, writer) in program.pipes() {
            self.handles.make(step, reader)?;
            self.handles.make(step, writer)?;
        }
        for handle in program.given_to_child() {
            self.handles.give(step, child, &[handle.into()], &[])?;
        }
        for stream in &program.streams {
            self.handles.add_streams([stream.of_child()].into_iter().chain(stream.of_parent()));
        }
        self.processes.spawn(step, child);
        self.processes.add_program(child);
        Ok(())
    }

    fn check_pause(&self, step: &Step) -> Result<(), ParseError> {
        if self.scenario.steps.iter().any(|step| step.within_ms.is_some()) {
            return Ok(());
        }
        let hint = "use `until WHO blocks`, a message or a join; a pause is only for a scenario with a `within`";
        Err(ParseError::at_action(step, "a pause orders nothing", hint))
    }
}

/// Checks that some step has an outcome other than `ok`.
fn check_that_something_is_tested(scenario: &Scenario) -> Result<(), ParseError> {
    if scenario.steps.is_empty() {
        let hint = "write a line such as `main        pipe r w`";
        return Err(ParseError::at((1, 1, 1), "nothing happens here", hint));
    }
    if scenario.steps.iter().any(|step| step.expected[..] != [Outcome::Ok]) {
        return Ok(());
    }
    // The step that most probably needs an outcome: one that returns something.
    let returns = |step: &&Step| matches!(step.verb, Verb::Get { .. } | Verb::Join { .. });
    let last = scenario.steps.iter().rfind(returns).or(scenario.steps.last());
    let Some(step) = last else { return Ok(()) };
    let example = match &step.verb {
        Verb::Get { handle } => format!("`get {handle} => \"a\"`"),
        Verb::Join { child } => format!("`join {child} => exit 0`"),
        _ => "`main get r => eof` or `main join child => exit 0`".to_owned(),
    };
    let hint = format!("write what must come of a step after `=>`, such as {example}");
    Err(ParseError::at_action(step, "this scenario asks nothing: no line has an outcome", hint))
}

/// Checks that where several tasks write to a pipe, each message shows which of them sent it.
fn check_that_senders_differ(scenario: &Scenario) -> Result<(), ParseError> {
    let writer = |handle: &str| scenario.handles.end(handle, Side::Writer);
    let mut first_senders: HashMap<PipeEnd, &TaskId> = HashMap::new();
    let mut contended: HashSet<PipeEnd> = HashSet::new();
    for step in scenario.steps.iter() {
        if let Verb::Put { handle, .. } | Verb::Cut { handle, .. } = &step.verb {
            let Some(end) = writer(handle) else { continue };
            if **first_senders.entry(end).or_insert(&step.task_id) != *step.task_id {
                contended.insert(end);
            }
        }
    }
    if contended.is_empty() {
        return Ok(());
    }
    let mut texts: BTreeSet<(PipeEnd, &Payload)> = BTreeSet::new();
    for step in scenario.steps.iter() {
        let Verb::Put { handle, payload } = &step.verb else { continue };
        let Some(end) = writer(handle).filter(|end| contended.contains(end)) else { continue };
        let is_ambiguous = match payload {
            Payload::Text(_) => !texts.insert((end, payload)),
            Payload::Size(bytes) => *bytes < 16,
        };
        if is_ambiguous {
            let message = "this message does not show which task sent it";
            let hint =
                "several tasks put here: write different texts, or sizes of at least 16 bytes";
            return Err(ParseError::at_action(step, message, hint));
        }
    }
    Ok(())
}
