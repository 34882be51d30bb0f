//! Mistakes that many authors make, each with the hint that fits it: another arrow, a comment behind a step, a missing
//! `=>`, capitals, a size without a unit.

use super::grammar::{first_words, usages};
use super::token_line::TokenLine;
use super::{Outcome, ParseError, lexer, outcome_parser};
use crate::similar::closest;

/// What authors write instead of `=>`.
const OTHER_ARROWS: [&str; 10] = ["->", "-->", "==>", "=", "==", ">", ">>", "→", "⇒", "⟶"];

/// Refuses a line with a mistake that an error about the verb and its arguments would only hide.
pub(super) fn in_line(tokens: &TokenLine<'_>) -> Result<(), ParseError> {
    for at in 1..tokens.len() {
        let text = tokens.text(at);
        let (message, hint) = match text {
            _ if text.starts_with('#') => (
                "a comment behind a step",
                "a comment needs a line of its own above the step".to_owned(),
            ),
            _ if OTHER_ARROWS.contains(&text) => {
                ("this is not the arrow", "write `=>` before the outcome".to_owned())
            }
            _ if text.len() > 2 && text.starts_with("=>") => {
                ("a blank is missing", format!("write `=> {}`", &text[2..]))
            }
            _ if !text.starts_with('"') && (text.contains(';') || text == "&&") => {
                ("two steps in one line", "write each step in a line of its own".to_owned())
            }
            "=>" => return Ok(()),
            "," if tokens.text(1).contains('(') => return Ok(()),
            "," => ("a comma between arguments", "separate the arguments by blanks".to_owned()),
            _ => continue,
        };
        return Err(tokens.error(at, message, hint));
    }
    Ok(())
}

/// The words of a line, one space between them.
fn all_words(tokens: &TokenLine<'_>) -> String {
    (0..tokens.len()).map(|at| tokens.text(at)).collect::<Vec<_>>().join(" ")
}

/// The error for a verb that does not exist.
pub(super) fn unknown_verb(tokens: &TokenLine<'_>) -> ParseError {
    let (first, word) = (tokens.text(0), tokens.text(1));
    let verbs = first_words();
    let is_verb = |word: &str| verbs.split(", ").any(|verb| verb == word);
    let letters = word.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let (at, message, hint) = if is_verb(first) {
        (
            0,
            "the process is missing",
            format!("write the process first: `main        {}`", all_words(tokens)),
        )
    } else if letters != word && is_verb(letters) {
        (1, "unknown verb", format!("separate the words by blanks: {}", usages(letters)))
    } else if let Some(verb) = closest(word, verbs.split(", ")) {
        (1, "unknown verb", format!("is it {verb}? Write {}", usages(verb)))
    } else {
        (1, "unknown verb", format!("verbs are {verbs}"))
    };
    tokens.error(at, message, hint)
}

/// The error for words after the last argument of a verb, the first of them at the token `at`.
pub(super) fn too_many_words(tokens: &TokenLine<'_>, at: usize, verb: &str) -> ParseError {
    let is_verb = |word: &str| first_words().split(", ").any(|verb| verb == word);
    let rest: Vec<&str> = (at..tokens.len()).map(|at| tokens.text(at)).collect();
    let has_arrow = tokens.find("=>").is_some();
    if !has_arrow && outcome_parser::outcomes(tokens, at).is_ok() {
        let hint = format!("write `=> {}`", rest.join(" "));
        return tokens.error(at, "`=>` is missing", hint);
    }
    if rest.iter().take(2).any(|word| is_verb(word)) {
        let hint = "write each step in a line of its own, and its process first";
        return tokens.error(at, "two steps in one line", hint);
    }
    tokens.error(at, "too many words", format!("write {} and no more", usages(verb)))
}

/// The hint for a word that is not a name: the name in it if there is one, or else the form of names.
pub(super) fn name_hint(word: &str, form: &str) -> String {
    let trimmed = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != ']');
    let candidate = trimmed.to_lowercase().replace('_', "-");
    let is_name = lexer::task_id(&candidate).is_some();
    if is_name && candidate != word {
        format!("is it {candidate}? ({form})")
    } else {
        form.to_owned()
    }
}

/// The message and the hint for a word that is not a payload.
pub(super) fn payload(word: &str) -> (&'static str, String) {
    let number_length = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (number, unit) = word.split_at(number_length);
    let is_meant = |unit: &str| format!("is it {number}{unit}? Units are B, KiB, MiB and GiB");
    let inner = word.trim_matches('\'');
    if let Some(inside) = word.strip_prefix('"') {
        let is_closed = inside.ends_with('"') && !inside.ends_with("\\\"");
        return match is_closed {
            true => ("unknown escape", "write \\n, \\\\ or \\\" for a special character".into()),
            false => ("the text does not end", "write a `\"` at its end".into()),
        };
    }
    if word.is_empty() {
        return (
            "the message is missing",
            "write a text such as \"a\", or a size such as 64KiB".into(),
        );
    }
    match (number, unit.to_ascii_lowercase().as_str()) {
        ("", _) => {
            let hint = format!("texts are in double quotes: is it \"{inner}\"?");
            ("expected a message", hint)
        }
        (_, "") => ("a size without a unit", is_meant("B")),
        (_, "k" | "kb" | "kib") => ("unknown unit", is_meant("KiB")),
        (_, "m" | "mb" | "mib") => ("unknown unit", is_meant("MiB")),
        (_, "g" | "gb" | "gib") => ("unknown unit", is_meant("GiB")),
        (_, "b" | "byte" | "bytes") => ("unknown unit", is_meant("B")),
        _ => {
            let hint = "write a text such as \"a\", or a size such as 17B, 64KiB or 1MiB+1";
            ("expected a message", hint.into())
        }
    }
}

/// The hint for a word that is not a time: `50`, `1s`.
pub(super) fn milliseconds(word: &str, form: &str) -> String {
    let seconds = word.strip_suffix('s').and_then(|number| number.parse::<u64>().ok());
    match (word.parse::<u64>(), seconds) {
        (Ok(number), _) => format!("is it {number}ms?"),
        (_, Some(seconds)) if seconds <= 60 => format!("is it {}ms?", seconds * 1_000),
        _ => form.to_owned(),
    }
}

/// The hint for a word that is not an outcome.
pub(super) fn outcome(word: &str) -> String {
    let words = Outcome::words().chain(["exit", "signal", "blocks", "or"]);
    let is_upper =
        !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if let Some(closest) = closest(word, words) {
        return format!("is it {closest}?");
    }
    match word.trim_start_matches("os:") {
        "EPIPE" => return "is it broken? No reader is left".to_owned(),
        "ETIMEDOUT" => return "is it timeout?".to_owned(),
        "EBADF" => return "is it closed?".to_owned(),
        "EMSGSIZE" => return "is it too-large?".to_owned(),
        _ => {}
    }
    match word {
        _ if is_upper && word.starts_with("SIG") => format!("is it signal {word}?"),
        _ if is_upper && word.starts_with('E') => format!("is it os:{word}?"),
        _ if word.starts_with('\'') => {
            format!("texts are in double quotes: is it \"{}\"?", word.trim_matches('\''))
        }
        _ => {
            format!("a text needs double quotes, as \"{word}\"; outcomes are {}", Outcome::usage())
        }
    }
}

/// The message and the hint for a word that is not a range of numbers.
pub(super) fn range(word: &str) -> (&'static str, String) {
    let form = "write `each i in 1..1000`, or `each i in 1..10, j in 1..3`";
    let trimmed = word.trim_end_matches([':', ';', '.']);
    let bounds = trimmed.split_once("..").and_then(|(first, last)| {
        Some((first.parse::<u64>().ok()?, last.trim_start_matches(['.', '=']).parse::<u64>().ok()?))
    });
    match bounds {
        Some((first, last)) if first > last => {
            ("the range runs backwards", format!("write {last}..{first}"))
        }
        Some((first, last)) if format!("{first}..{last}") != word => {
            ("not a range", format!("write {first}..{last}, both included"))
        }
        Some(_) => ("the range is too large", "a scenario has at most 250000 steps".into()),
        None => ("not a range", form.into()),
    }
}
