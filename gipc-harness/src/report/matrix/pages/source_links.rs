//! Links from the reason of a known failure to the lines of source code that it names, such as `gipc.py:1063`.

use crate::report::matrix::Column;
use maud::{Markup, html};

/// A part of a text: plain text, or a place in a source file with its address.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Plain(&'a str),
    Place(&'a str, String),
}

/// The text with a link for each place in a file that the manifest of the adapter names in `sources`.
pub(super) fn with_source_links(column: &Column, text: &str) -> Markup {
    html! {
        @for part in parts(column, text) {
            @match part {
                Part::Plain(text) => (super::prose(text)),
                Part::Place(text, address) => a.source href=(address) { (text) },
            }
        }
    }
}

/// Splits a text at the places that it names. `:610` alone is another line of the last file that was named.
fn parts<'a>(column: &Column, text: &'a str) -> Vec<Part<'a>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c);
    let mut parts = Vec::new();
    let (mut plain, mut at) = (0, 0);
    let mut last_file: Option<&str> = None;
    // A version before a file in the same parentheses, as in `(0.3.2, gipc.py:626)`.
    let mut version: Option<&str> = None;
    while at < text.len() {
        let rest = &text[at..];
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length == 0 {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            version = version.filter(|_| !rest.starts_with(['(', ')']));
            at += next;
            continue;
        }
        let word = rest[..length].trim_end_matches(['.', ':', '-']);
        match word.rsplit_once(':').filter(|(_, lines)| line_range(lines).is_some()) {
            Some((file, lines)) => {
                let file = if file.is_empty() { last_file } else { Some(file) };
                last_file = file;
                let address = file.and_then(|file| address(column, file, lines, version));
                if let Some(address) = address {
                    parts.push(Part::Plain(&text[plain..at]));
                    parts.push(Part::Place(word, address));
                    plain = at + word.len();
                }
            }
            None if is_version(word) => version = Some(word),
            None => {}
        }
        at += length;
    }
    parts.push(Part::Plain(&text[plain..]));
    parts.retain(|part| *part != Part::Plain(""));
    parts
}

/// The address of lines of a file: that of the file, or of the longest folder in `sources`.
fn address(column: &Column, file: &str, lines: &str, version: Option<&str>) -> Option<String> {
    let own = column.implementation.rsplit(' ').next().unwrap_or_default();
    let folder = || {
        let folders = column.sources.iter().filter(|(name, _)| name.ends_with('/'));
        let inside = folders.filter_map(|(name, address)| {
            Some((name.len(), format!("{address}{}", file.strip_prefix(name.as_str())?)))
        });
        inside.max().map(|(_, address)| address)
    };
    let base = column.sources.get(file).cloned().or_else(folder)?;
    let base = base.replace("{version}", version.unwrap_or(own));
    Some(format!("{base}#{}", line_range(lines)?))
}

/// The fragment for `610` or `70-82`, as GitHub and GitLab understand it.
fn line_range(lines: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match lines.split_once('-') {
        None => is_number(lines).then(|| format!("L{lines}")),
        Some((first, last)) => {
            (is_number(first) && is_number(last)).then(|| format!("L{first}-L{last}"))
        }
    }
}

fn is_version(word: &str) -> bool {
    word.contains('.')
        && word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::a_line("closes it (lib.py:12).", &["lib.py:12 of/1.8.0/lib.py#L12"])]
    #[case::a_range("(lib.py:12-14)", &["lib.py:12-14 of/1.8.0/lib.py#L12-L14"])]
    #[case::another_line_of_the_same_file(
        "(lib.py:5 and :610)", &["lib.py:5 of/1.8.0/lib.py#L5", ":610 of/1.8.0/lib.py#L610"]
    )]
    #[case::another_version("(0.3.2, lib.py:5)", &["lib.py:5 of/0.3.2/lib.py#L5"])]
    #[case::a_version_in_a_sentence_is_not_that_of_the_file(
        "Since 0.3.2 it waits (lib.py:5)", &["lib.py:5 of/1.8.0/lib.py#L5"]
    )]
    #[case::a_file_below_a_folder("os/exec/exec.go:204", &["os/exec/exec.go:204 go/exec/exec.go#L204"])]
    #[case::a_file_that_is_not_declared("(other.py:12)", &[])]
    #[case::no_line("lib.py: it forgets, at 12:30", &[])]
    fn a_reason_links_to_the_lines_that_it_names(#[case] text: &str, #[case] expected: &[&str]) {
        let sources = [("lib.py", "of/{version}/lib.py"), ("os/", "go/")];
        let sources = sources.map(|(name, address)| (name.to_owned(), address.to_owned()));
        let column = Column {
            implementation: "lib 1.8.0".into(),
            sources: sources.into(),
            ..Column::default()
        };
        let parts = parts(&column, text);
        let links: Vec<String> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Place(text, address) => Some(format!("{text} {address}")),
                Part::Plain(_) => None,
            })
            .collect();
        assert_eq!(links, expected);
        let all: String = parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) | Part::Place(text, _) => *text,
            })
            .collect();
        assert_eq!(all, text);
    }
}
