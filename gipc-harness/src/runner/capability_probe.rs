//! The capability probe: whether the agent of `main` refuses what it cannot do.
//!
//! Before the first step `main` gets a command with an unknown verb, and one of each profile that it does not declare. An
//! agent that does not refuse them all would also accept such commands in a scenario.

use gipc_agent::Command;
use gipc_agent::ToAgent;

pub(super) struct CapabilityProbe<'a> {
    /// The profiles that the manifest declares; empty if it says nothing.
    declared: &'a [String],
    /// The id of the first question. The smaller ids are the steps of the scenario.
    first_id: usize,
    questions: Vec<Question>,
}

struct Question {
    about: &'static str,
    was_refused: bool,
}

/// For each profile, a command that does no harm if the agent accepts it, and a description of the command.
fn commands() -> [(&'static str, &'static str, Command); 13] {
    let nobody = || "nobody".to_owned();
    let count = |what: &str| Command::Count { what: what.into() };
    let run = Command::Run {
        child: nobody(),
        argv: vec!["/nonexistent/program".into()],
        stdin: None,
        stdout: None,
        stderr: None,
        in_group: false,
    };
    let signal = Command::SignalGroup { child: nobody(), signal: "SIGTERM".into() };
    let pass = Command::Pass { handle: nobody(), passed: nobody() };
    let pipe = Command::Pipe { reader: "r".into(), writer: "w".into(), codec: Some("json".into()) };
    [
        ("tasks", "pause, of the profile tasks", Command::Pause { ms: 0 }),
        ("process", "alive, of the profile process", Command::Alive { child: nobody() }),
        ("frames", "rest, of the profile frames", Command::Rest { handle: nobody() }),
        ("signals", "count trapped, of the profile signals", count("trapped")),
        ("limits", "limit, of the profile limits", Command::Limit { free: None }),
        ("scope", "enter, of the profile scope", Command::Enter { handles: Vec::new() }),
        ("counts", "count handles, of the profile counts", count("handles")),
        ("oddities", "pass, of the profile oddities", pass),
        ("stdio", "run, of the profile stdio", run),
        ("drop", "drop, of the profile drop", Command::Drop { child: nobody() }),
        (
            "drop-handle",
            "drop-handle, of the profile drop-handle",
            Command::DropHandle { handle: nobody() },
        ),
        ("groups", "signal-group, of the profile groups", signal),
        ("codec", "a pipe with a codec, of the profile codec", pipe),
    ]
}

impl<'a> CapabilityProbe<'a> {
    /// Creates the probe of an adapter whose manifest declares these profiles, for a scenario with so many steps.
    pub(super) fn new(declared: &'a [String], steps: usize) -> Self {
        Self { declared, first_id: steps, questions: Vec::new() }
    }

    /// Compares the profiles that an agent names with those of the manifest. Returns the difference as part of a sentence.
    pub(super) fn misdeclared(&self, named: &[String]) -> Option<String> {
        if self.declared.is_empty() {
            return None;
        }
        let added = named.iter().find(|profile| !self.declared.contains(profile));
        let missing = self.declared.iter().find(|profile| !named.contains(profile));
        match (added, missing) {
            (Some(added), _) => Some(format!(
                "says that it has the profile {added}, which its manifest does not declare"
            )),
            (None, Some(missing)) => Some(format!(
                "does not say that it has the profile {missing}, which its manifest declares"
            )),
            (None, None) => None,
        }
    }

    /// The messages that ask `main` these questions. `profiles` are the profiles that its agent names.
    pub(super) fn start(&mut self, profiles: &[String]) -> Vec<ToAgent> {
        let lacks = |profile: &str| !profiles.iter().any(|one| one == profile);
        let undeclared = commands().into_iter().filter(|(profile, ..)| lacks(profile));
        let undeclared = undeclared.map(|(_, about, command)| (about, command));
        [("a verb that does not exist", Command::UnknownVerb)]
            .into_iter()
            .chain(undeclared)
            .map(|(about, order)| {
                let id = self.first_id + self.questions.len();
                self.questions.push(Question { about, was_refused: false });
                ToAgent::Step { id, task: None, command: order, within_ms: None }
            })
            .collect()
    }

    /// Whether `main` has refused everything that it was asked.
    pub(super) fn is_passed(&self) -> bool {
        self.questions.iter().all(|question| question.was_refused)
    }

    /// Whether an id in a message from a process is that of a question.
    pub(super) fn is_question(&self, process: &str, id: usize) -> bool {
        self.index(process, id).is_some()
    }

    /// Records that `main` refused. Returns false if the id is not that of an open question.
    pub(super) fn refuse(&mut self, process: &str, id: usize) -> bool {
        let question = self.index(process, id).map(|index| &mut self.questions[index]);
        question.is_some_and(|question| !std::mem::replace(&mut question.was_refused, true))
    }

    /// Says what is wrong with an agent that did not refuse a question.
    pub(super) fn accepted(&self, process: &str, id: usize) -> Option<String> {
        let question = &self.questions[self.index(process, id)?];
        Some(format!(
            "{process} did not refuse {}: an agent answers `unsupported` to what it does not know and to what its manifest does not declare",
            question.about
        ))
    }

    fn index(&self, process: &str, id: usize) -> Option<usize> {
        let index = id.checked_sub(self.first_id).filter(|_| process == "main")?;
        (index < self.questions.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ALL: [&str; 14] = [
        "core",
        "tasks",
        "process",
        "frames",
        "signals",
        "limits",
        "scope",
        "counts",
        "oddities",
        "codec",
        "stdio",
        "drop",
        "groups",
        "drop-handle",
    ];

    #[test]
    fn an_agent_with_all_profiles_is_asked_only_for_an_unknown_verb() {
        let mut probe = CapabilityProbe::new(&[], 3);
        assert_eq!(probe.start(&ALL.map(str::to_owned)).len(), 1);
        assert!(!probe.is_passed() && probe.refuse("main", 3) && probe.is_passed());
        assert!(!probe.refuse("main", 3), "a question is refused once");
    }

    #[rstest]
    #[case("tasks")]
    #[case("process")]
    #[case("frames")]
    #[case("signals")]
    #[case("limits")]
    #[case("scope")]
    #[case("counts")]
    #[case("oddities")]
    #[case("codec")]
    #[case("stdio")]
    #[case("drop")]
    #[case("groups")]
    #[case("drop-handle")]
    fn an_agent_that_lacks_one_profile_is_asked_for_it(#[case] lacking: &str) {
        let profiles = ALL.into_iter().filter(|one| *one != lacking).map(str::to_owned);
        let mut probe = CapabilityProbe::new(&[], 0);
        assert_eq!(probe.start(&profiles.collect::<Vec<_>>()).len(), 2);
        let fault = probe.accepted("main", 1).expect("the second question");
        assert!(fault.contains(&format!("of the profile {lacking}")), "{fault}");
        assert!(!probe.is_question("child", 1) && !probe.is_question("main", 2));
    }
}
