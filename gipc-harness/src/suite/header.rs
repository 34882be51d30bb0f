//! The first comment of a scenario file: `# covers`, `# heavy:` and `# order:` must say something that exists.

use crate::program;
use crate::requirements;
use crate::scenario::{ParseError, Scenario};
use crate::similar::closest;

/// The words that begin a line with a meaning.
const DIRECTIVES: [&str; 3] = ["covers", "heavy:", "order:"];

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

/// The first word of `# order:` that is no task of the scenario.
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

/// The directive that a word with a colon, or a misspelled `covers`, may stand for.
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
