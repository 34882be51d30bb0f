//! Before the first step, main is asked for what it cannot have: a verb that there is not, and one of a profile that it
//! does not declare. An agent that does not refuse both would also say yes where it matters.

use super::run_state::RunState;
use gipc_agent::Command;
use gipc_agent::ToAgent;

/// Classified question, and whether it was refused.
#[derive(Debug)]
pub(super) struct Probe {
    what: &'static str,
    refused: bool,
}

/// For each profile an order that does no harm where it is followed all the same.
fn order_of(profile: &str) -> Option<(&'static str, Command)> {
    let nobody = || "nobody".to_owned();
    Some(match profile {
        "tasks" => ("pause, of the profile tasks", Command::Pause { ms: 0 }),
        "process" => ("alive, of the profile process", Command::Alive { child: nobody() }),
        "frames" => ("rest, of the profile frames", Command::Rest { handle: nobody() }),
        "signals" => {
            ("count trapped, of the profile signals", Command::Count { what: "trapped".into() })
        }
        "limits" => ("limit, of the profile limits", Command::Limit { free: None }),
        "scope" => ("enter, of the profile scope", Command::Enter { handles: Vec::new() }),
        "counts" => {
            ("count handles, of the profile counts", Command::Count { what: "handles".into() })
        }
        "oddities" => {
            ("pass, of the profile oddities", Command::Pass { handle: nobody(), passed: nobody() })
        }
        _ => return None,
    })
}

const PROFILES: [&str; 8] =
    ["tasks", "process", "frames", "signals", "limits", "scope", "counts", "oddities"];

impl RunState<'_> {
    /// Asks main, who has just come, and says it of these profiles.
    pub(super) fn ask_for_nonsense(&mut self, profiles: &[String]) {
        let lacking = PROFILES.iter().find(|one| !profiles.iter().any(|has| has == *one));
        let undeclared = lacking.and_then(|profile| order_of(profile));
        let all = [Some(("a verb that there is not", Command::UnknownVerb)), undeclared];
        for (what, order) in all.into_iter().flatten() {
            // Its numbers are those behind the scenario's own steps.
            let id = self.scenario.steps.len() + self.questions.len();
            self.questions.push(Probe { what, refused: false });
            self.tell("main", ToAgent::Step { id, task: None, order, within_ms: None });
        }
    }

    /// Whether main has refused all that it had to.
    pub(super) fn is_honest(&self) -> bool {
        self.questions.iter().all(|question| question.refused)
    }

    /// Main has refused a question of this number; false if it is none.
    pub(super) fn refuses(&mut self, role: &str, id: usize) -> bool {
        let index = id.checked_sub(self.scenario.steps.len());
        let question = index.and_then(|index| self.questions.get_mut(index));
        match question.filter(|question| role == "main" && !question.refused) {
            Some(question) => {
                question.refused = true;
                true
            }
            None => false,
        }
    }

    /// What main did that nobody has, if this number is that of a question.
    pub(super) fn pretends(&self, role: &str, id: usize) -> Option<String> {
        let index = id.checked_sub(self.scenario.steps.len())?;
        let question = self.questions.get(index).filter(|_| role == "main")?;
        Some(format!(
            "{role} did not refuse {}: what an agent does not know, or its manifest does not declare, is unsupported",
            question.what
        ))
    }
}
