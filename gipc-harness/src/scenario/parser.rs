//! Reads the text of a scenario. Every error has a line, a column, a caret and a hint; no input makes the parser panic.

use super::mistake_list::MistakeList;
use super::token_line::TokenLine;
use super::{
    Index, Item, Line, ParseError, Scenario, Script, SourcePosition, Verb, common_mistakes,
    expansion, outcome_parser, validation, verb_parser,
};

/// Reads a scenario: parses its layout, expands every `each`, and checks that the steps are well-formed. Returns the
/// first mistake.
pub fn parse(id: &str, text: &str) -> Result<Scenario, ParseError> {
    // A list of mistakes is never empty.
    parse_all(id, text).map_err(|mut mistakes| mistakes.swap_remove(0))
}

/// Reads a scenario like [`parse`]. The error is all mistakes in the order of their lines, without those that may only
/// follow from others; it is not empty.
pub fn parse_all(id: &str, text: &str) -> Result<Scenario, Vec<ParseError>> {
    let mut mistakes = MistakeList::new(text);
    let (script, positions) = script(text, &mut mistakes);
    let steps = expansion::expand(&script, &positions, &mut mistakes);
    let scenario = Scenario::new(id, text, script, steps);
    validation::validate(&scenario, &mut mistakes);
    match mistakes.is_empty() {
        true => Ok(scenario),
        false => Err(mistakes.into_sorted()),
    }
}

/// Reads only the layout: checks the spelling, but not whether the steps are well-formed. Returns a position for each item.
/// A line that cannot be read is left out. If an `each` cannot be read, its whole paragraph is left out.
pub(super) fn script(text: &str, mistakes: &mut MistakeList<'_>) -> (Script, Vec<SourcePosition>) {
    let mut items = Vec::new();
    let mut positions = Vec::new();
    let mut is_below_wrong_each = false;
    for (number, line) in (1..).zip(text.lines()) {
        match item(number, line) {
            Ok((Item::Line(_), _)) if is_below_wrong_each => mistakes.doubt(number),
            Ok((item, position)) => {
                is_below_wrong_each &= item != Item::Blank;
                items.push(item);
                positions.push(position);
            }
            Err(mistake) => {
                is_below_wrong_each |= line.trim_start().starts_with("each ");
                mistakes.add(mistake);
            }
        }
    }
    while items.last() == Some(&Item::Blank) {
        items.pop();
    }
    (Script { items }, positions)
}

fn item(number: usize, text: &str) -> Result<(Item, SourcePosition), ParseError> {
    let start_of_line = SourcePosition { line: number, what: 1, outcome: None };
    if let Some(at) = text.chars().position(|c| c == char::REPLACEMENT_CHARACTER) {
        let hint = "save the file as text in UTF-8";
        return Err(ParseError::at((number, at + 1, 1), "this is not text", hint));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok((Item::Blank, start_of_line));
    }
    if let Some(comment) = trimmed.strip_prefix('#') {
        let comment = comment.strip_prefix(' ').unwrap_or(comment);
        return Ok((Item::Comment(comment.trim_end().to_owned()), start_of_line));
    }
    let tokens = TokenLine::new(number, text);
    if tokens.text(0) == "each" {
        return Ok((Item::Each(each(&tokens)?), start_of_line));
    }
    let (line, position) = line(&tokens, number)?;
    Ok((Item::Line(line), position))
}

/// Reads `TASK ACTION [within LIMIT] [=> OUTCOMES]`.
fn line(tokens: &TokenLine<'_>, number: usize) -> Result<(Line, SourcePosition), ParseError> {
    let task_id = tokens.task_id(0, "names are like main, child[i] or main/reader")?;
    common_mistakes::in_line(tokens)?;
    let arrow = tokens.find("=>");
    let mut end = arrow.unwrap_or(tokens.len());
    let mut within_ms = None;
    let is_limited = end >= 4 && tokens.text(end - 2) == "within";
    // For `get`, a text after `within` is a limit that must be refused. It is part of the verb.
    let is_text = tokens.text(1) == "get" && tokens.quoted(end.wrapping_sub(1)).is_some();
    if is_limited && !is_text {
        let hint = "write up to 60000 milliseconds, such as 50ms";
        within_ms = Some(tokens.milliseconds(end - 1, "not a time limit", hint)?);
        end -= 2;
    }
    let verb = verb_parser::verb(tokens, end)?;
    let takes_limit = matches!(verb, Verb::Put { .. } | Verb::Get { .. } | Verb::Join { .. });
    if within_ms.is_some() && !takes_limit {
        return Err(tokens.error(end, "this verb takes no time limit", "put, get and join do"));
    }
    let mut position = SourcePosition { line: number, what: tokens.column(1), outcome: None };
    let mut expected = Vec::new();
    if let Some(arrow) = arrow {
        let end = tokens.end_column();
        let first = if arrow + 1 < tokens.len() { tokens.column(arrow + 1) } else { end };
        position.outcome = Some((first, end.saturating_sub(first)));
        expected = outcome_parser::outcomes(tokens, arrow + 1)?;
    }
    Ok((Line { task_id, verb, within_ms, expected }, position))
}

/// Reads `each i in 1..1000, j in 1..10`.
fn each(tokens: &TokenLine<'_>) -> Result<Vec<Index>, ParseError> {
    let hint = "write `each i in 1..1000`, or `each i in 1..10, j in 1..3`";
    let mut indices: Vec<Index> = Vec::new();
    let mut at = 1;
    loop {
        let name = tokens.text(at).to_owned();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
        if !is_name || indices.iter().any(|index| index.name == name) {
            return Err(tokens.error(at, "not a new index", hint));
        }
        if tokens.text(at + 1) != "in" {
            return Err(tokens.error(at + 1, "`in` is missing", hint));
        }
        let Some((first, last)) = range(tokens.text(at + 2)) else {
            let (message, hint) = common_mistakes::range(tokens.text(at + 2));
            return Err(tokens.error(at + 2, message, hint));
        };
        indices.push(Index { name, first, last });
        at += 3;
        match tokens.text(at) {
            "" => return Ok(indices),
            "," => at += 1,
            _ => return Err(tokens.error(at, "too many words", hint)),
        }
    }
}

/// Reads `1..1000`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once("..")?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < 1 << 32).then_some((first, last))
}
