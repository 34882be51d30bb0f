//! Checks the first comment of a scenario file: what `# covers`, `# heavy:`, `# order:` and `# outlives:` name must exist.

use crate::model::{self, Choices};
use crate::program;
use crate::requirements;
use crate::scenario::{ParseError, Scenario};
use crate::similar::closest;
use crate::trace::ProcessExit;

/// The words that begin a line with a meaning.
const DIRECTIVES: [&str; 4] = ["covers", "heavy:", "order:", "outlives:"];

/// The requirements that do not exist, and the words that look like a misspelled directive.
pub(super) fn mistakes(text: &str) -> Vec<ParseError> {
    let mut mistakes = Vec::new();
    for (number, line) in lines(text) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        match words.split_first() {
            Some((&"covers", ids)) => {
                let unknown = ids.iter().filter(|id| requirements::requirement(id).is_none());
                mistakes.extend(unknown.map(|id| unknown_requirement(number, line, id)));
            }
            Some((first, _)) if !DIRECTIVES.contains(first) => {
                if let Some(directive) = misspelled(first) {
                    let message = format!("{first} is no word with a meaning here");
                    let hint = format!("is it {directive}?");
                    mistakes.push(ParseError::at(position(number, line, first), message, hint));
                }
            }
            _ => {}
        }
    }
    mistakes
}

/// The first word of `# order:` that is not a task of the scenario.
pub(super) fn unknown_task_in_order(scenario: &Scenario) -> Option<ParseError> {
    let Some(Err(word)) = scenario.order() else { return None };
    let (number, line) = lines(&scenario.text).find(|(_, line)| line.starts_with("# order: "))?;
    let tasks: Vec<String> = scenario.steps.iter().map(|step| step.task_id.to_string()).collect();
    let name = word.split('*').next().unwrap_or_default();
    let hint = match closest(name, tasks.iter().map(String::as_str)) {
        Some(task) if task != name => format!("is it {task}?"),
        _ => "name those that have lines, child*3 for three in turn".to_owned(),
    };
    let message = format!("{word} is no process or task of this scenario");
    Some(ParseError::at(position(number, line, &word), message, hint))
}

/// The first name in `# outlives:` that is not a process of the scenario, or whose process ends and so outlives no other.
pub(super) fn wrong_orphan(scenario: &Scenario) -> Option<ParseError> {
    let trace = model::predict(scenario, Choices::default());
    let wrong = |name: &&str| trace.exits.get(*name) != Some(&ProcessExit::Running);
    let name = scenario.outlives().find(wrong)?;
    let (number, line) =
        lines(&scenario.text).find(|(_, line)| line.starts_with("# outlives: "))?;
    let (message, hint) = match trace.exits.get(name) {
        Some(exit) => (
            format!("{name} does not outlive the others: it ends with {exit}"),
            "name a process whose last step blocks",
        ),
        None => (format!("{name} is no process of this scenario"), "name one that is started"),
    };
    Some(ParseError::at(position(number, line, name), message, hint))
}

fn unknown_requirement(number: usize, line: &str, id: &str) -> ParseError {
    let known = requirements::requirements().iter().map(|one| one.id.as_str());
    let is_prose = !id.contains(|c: char| c.is_ascii_digit());
    let hint = match closest(id, known) {
        _ if is_prose => {
            "`# covers` lists requirements such as EOF-4; begin a sentence in another way"
                .to_owned()
        }
        Some(known) if known.eq_ignore_ascii_case(id) => format!("is it {known}?"),
        _ => format!("`{}` lists all", program::command("spec")),
    };
    ParseError::at(position(number, line, id), format!("no requirement is called {id}"), hint)
}

/// The directive that was probably meant by a word with a colon, or by a misspelled `covers`.
fn misspelled(word: &str) -> Option<&'static str> {
    let name = word.strip_suffix(':')?;
    closest(name, DIRECTIVES.map(|directive| directive.trim_end_matches(':')))
        .and_then(|name| DIRECTIVES.into_iter().find(|directive| directive.starts_with(name)))
}

/// The lines of the first comment with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).take_while(|(_, line)| line.starts_with('#'))
}

fn position(number: usize, line: &str, word: &str) -> (usize, usize, usize) {
    let at = line.find(&format!(" {word}")).map_or(0, |at| at + 1);
    (number, line[..at].chars().count() + 1, word.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use rstest::rstest;

    #[rstest]
    #[case::that_blocks("child", "child get r => blocks", None)]
    #[case::that_returns("child", "child exit 0", Some("does not outlive the others"))]
    #[case::that_is_not_there("other", "child exit 0", Some("is no process of this scenario"))]
    fn a_process_outlives_the_others_only_if_its_last_step_blocks(
        #[case] named: &str,
        #[case] line: &str,
        #[case] says: Option<&str>,
    ) {
        let text = format!(
            "# outlives: {named}\n\nmain spawn child\nchild pipe r w\n{line}\nmain alive child => yes or no\n"
        );
        let mistake = wrong_orphan(&parse("a.scenario", &text).unwrap());
        match (mistake, says) {
            (None, None) => {}
            (Some(mistake), Some(says)) => assert!(mistake.message.contains(says), "{mistake:?}"),
            (mistake, _) => panic!("{mistake:?}"),
        }
    }
}
