//! Names and messages with indices in them, split once and filled in for each repetition of their paragraph.

use super::{Index, Indices};
use ecow::EcoString;
use std::fmt::Write;

/// A text as written in a line, split at the places where values of indices are filled in.
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// Whether it has an index that does not exist, such as `[k]` below `each i in 1..3`.
    has_unknown: bool,
}

enum Piece {
    Text(EcoString),
    /// The value of the index with this number, in brackets if it stands in a name.
    Value {
        index: usize,
        change: Change,
        is_name: bool,
    },
}

/// What is added to the value of an index: `[i]`, `[i+1]`, `[i-1]`.
#[derive(Clone, Copy)]
enum Change {
    None,
    Next,
    Previous,
}

impl Template {
    /// A name with `[i]`, `[i+1]` or `[i-1]` in it; `None` if it has no brackets.
    pub(super) fn of_name(name: &str, indices: &[Index]) -> Option<Self> {
        let (base, _) = name.split_once('[')?;
        let mut template = Self { pieces: vec![Piece::Text(base.into())], has_unknown: false };
        for part in name[base.len()..].split_inclusive(']') {
            let inside = part.trim_start_matches('[').trim_end_matches(']');
            let (variable, change) = match (inside.strip_suffix("+1"), inside.strip_suffix("-1")) {
                (Some(variable), _) => (variable, Change::Next),
                (_, Some(variable)) => (variable, Change::Previous),
                _ => (inside, Change::None),
            };
            let is_bracket = part.starts_with('[') && part.ends_with(']');
            match indices.iter().position(|index| is_bracket && index.name == variable) {
                Some(index) => template.pieces.push(Piece::Value { index, change, is_name: true }),
                None => {
                    let is_number = inside.starts_with(|c: char| c.is_ascii_digit());
                    template.has_unknown |= part.starts_with('[') && !is_number;
                    template.pieces.push(Piece::Text(part.into()));
                }
            }
        }
        Some(template)
    }

    /// A message with `{i}` in it; `None` if it contains no index.
    pub(super) fn of_message(text: &str, indices: &[Index]) -> Option<Self> {
        let mut template = Self { pieces: Vec::new(), has_unknown: false };
        let (mut rest, mut from) = (text, 0);
        while let Some(at) = rest[from..].find('{').map(|at| at + from) {
            let inside = rest[at + 1..].split_once('}').map(|(inside, _)| inside);
            let index = indices.iter().position(|index| Some(index.name.as_str()) == inside);
            from = match (index, inside) {
                (Some(index), Some(inside)) => {
                    template.pieces.push(Piece::Text(rest[..at].into()));
                    let change = Change::None;
                    template.pieces.push(Piece::Value { index, change, is_name: false });
                    rest = &rest[at + inside.len() + 2..];
                    0
                }
                _ => at + 1,
            };
        }
        if template.pieces.is_empty() {
            return None;
        }
        template.pieces.push(Piece::Text(rest.into()));
        Some(template)
    }

    /// Fills in the text for one repetition. The error is the text with the index that has no value.
    pub(super) fn fill(&self, indices: &Indices) -> Result<EcoString, EcoString> {
        let mut text = EcoString::new();
        let mut is_complete = !self.has_unknown;
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Value { index, change, is_name } => {
                    let Some((name, value)) = indices.iter().nth(*index) else { continue };
                    let value = match change {
                        Change::None => Some(value),
                        Change::Next => Some(value + 1),
                        Change::Previous => value.checked_sub(1),
                    };
                    // Writing to a string does not fail.
                    let _ = match value {
                        Some(value) if *is_name => write!(text, "[{value}]"),
                        Some(value) => write!(text, "{value}"),
                        None => {
                            is_complete = false;
                            write!(text, "[{name}-1]")
                        }
                    };
                }
            }
        }
        if is_complete { Ok(text) } else { Err(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::Arc;

    /// Fills in a template for the second of the repetitions `each i in 0..1, j in 7..8`.
    fn filled(template: impl Fn(&[Index]) -> Option<Template>) -> Option<Result<String, String>> {
        let index = |name: &str, first| Index { name: name.to_owned(), first, last: first + 1 };
        let head = vec![index("i", 0), index("j", 7)];
        let template = template(&head)?;
        let indices = Indices::of_repetitions(&Arc::new(head)).nth(1)?;
        Some(template.fill(&indices).map(String::from).map_err(String::from))
    }

    #[rstest]
    #[case::two_indices("leaf[i][j]", Ok("leaf[0][8]"))]
    #[case::the_next("w[j+1]", Ok("w[9]"))]
    #[case::the_previous("w[j-1].r", Ok("w[7].r"))]
    #[case::a_number("w[3][i]", Ok("w[3][0]"))]
    #[case::one_below_zero("w[i-1][j]", Err("w[i-1][8]"))]
    #[case::one_that_the_head_does_not_name("w[i][k]", Err("w[0][k]"))]
    fn a_name_has_the_values_of_its_indices(
        #[case] name: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let text = filled(|head| Template::of_name(name, head)).expect("it has an index");
        let text = text.as_ref().map(String::as_str).map_err(String::as_str);
        assert_eq!(text, expected);
    }

    #[rstest]
    #[case::two_indices("{i} and {j}", Some("0 and 8"))]
    #[case::two_brackets("{{j}}", Some("{8}"))]
    #[case::another_name_beside_it("{k}{j}{", Some("{k}8{"))]
    #[case::no_index("{k} {", None)]
    fn a_message_has_the_values_of_its_indices(
        #[case] message: &str,
        #[case] expected: Option<&str>,
    ) {
        let text = filled(|head| Template::of_message(message, head));
        assert_eq!(text, expected.map(|text| Ok(text.to_owned())));
    }
}
