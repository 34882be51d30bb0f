//! Reads the outcomes after the `=>` of a line.

use super::token_line::TokenLine;
use super::{Outcome, ParseError, common_mistakes};
use ecow::{EcoString, EcoVec};

/// Reads the outcomes from the token `at` to the end of the line: `eof or blocks on child`.
pub(super) fn outcomes(tokens: &TokenLine<'_>, mut at: usize) -> Result<Vec<Outcome>, ParseError> {
    let mut outcomes = Vec::new();
    loop {
        outcomes.push(outcome(tokens, &mut at)?);
        if at >= tokens.len() {
            return Ok(outcomes);
        }
        if tokens.text(at) != "or" {
            return Err(tokens.error(at, "too many words", "outcomes are joined by `or`"));
        }
        at += 1;
    }
}

/// Reads one outcome and moves `at` past it.
fn outcome(tokens: &TokenLine<'_>, at: &mut usize) -> Result<Outcome, ParseError> {
    let first = *at;
    let word = tokens.text(first);
    *at += 1;
    if let Some(outcome) = Outcome::from_word(word) {
        return Ok(outcome);
    }
    match word {
        "exit" => {
            *at += 1;
            Ok(Outcome::Exit(tokens.exit_code(first + 1)?))
        }
        "signal" => {
            *at += 1;
            Ok(Outcome::Signal(tokens.signal(first + 1)?))
        }
        "blocks" => Ok(Outcome::Blocks(awaited_processes(tokens, at)?)),
        _ if word.starts_with("os:E") => Ok(Outcome::Os(word[3..].into())),
        _ if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) => {
            let number =
                word.parse().map_err(|_| tokens.error(first, "not a number", "write less"))?;
            Ok(Outcome::Number(number))
        }
        _ if word.starts_with('"') || word.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok(Outcome::Message(tokens.payload(first)?))
        }
        _ => {
            if word.is_empty() {
                let hint = format!("outcomes are {}", Outcome::usage());
                return Err(tokens.error(first, "an outcome is missing", hint));
            }
            Err(tokens.error(first, "unknown outcome", common_mistakes::outcome(word)))
        }
    }
}

/// Reads the `on a, b` that may follow `blocks`, and moves `at` past it.
fn awaited_processes(
    tokens: &TokenLine<'_>,
    at: &mut usize,
) -> Result<EcoVec<EcoString>, ParseError> {
    let mut processes = EcoVec::new();
    if tokens.text(*at) == "on" {
        loop {
            *at += 1;
            processes.push(tokens.name(*at)?);
            *at += 1;
            if tokens.text(*at) != "," {
                break;
            }
        }
    }
    Ok(processes)
}
