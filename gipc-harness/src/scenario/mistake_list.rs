//! Collects the mistakes of a file, and leaves out those that probably follow from another one.
//!
//! A name in a line with a mistake is doubtful: `spwan child w` makes no child, so the later lines of `child` are wrong as
//! well, and errors about them would say nothing new.

use super::grammar::first_words;
use super::{ParseError, lexer};
use std::collections::BTreeSet;

/// Words of the language that can be in the places of names.
const KEYWORDS: [&str; 15] = [
    "main",
    "within",
    "blocks",
    "is",
    "reaped",
    "until",
    "ends",
    "handle",
    "handles",
    "with",
    "json",
    "failing",
    "at",
    "free",
    "descriptors",
];

/// The mistakes of a file so far.
pub(super) struct MistakeList<'a> {
    lines: Vec<&'a str>,
    mistakes: Vec<ParseError>,
    /// The lines that have a mistake.
    wrong_lines: BTreeSet<usize>,
    /// The names, without indices, in lines with a mistake.
    doubtful_names: BTreeSet<&'a str>,
}

impl<'a> MistakeList<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let lines = text.lines().collect();
        let (mistakes, wrong_lines, doubtful_names) = Default::default();
        Self { lines, mistakes, wrong_lines, doubtful_names }
    }

    /// Whether there are no mistakes.
    pub(super) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Adds a mistake, unless its line has one already.
    pub(super) fn add(&mut self, mut mistake: ParseError) {
        mistake.limit_to(self.line(mistake.line));
        if !self.wrong_lines.insert(mistake.line) {
            return;
        }
        self.doubt(mistake.line);
        self.mistakes.push(mistake);
    }

    /// Adds a mistake, unless its line has one already or has a doubtful name.
    pub(super) fn add_unless_doubtful(&mut self, mistake: ParseError) {
        if self.wrong_lines.contains(&mistake.line) {
            return;
        }
        let names = names(self.line(mistake.line));
        if names.iter().any(|name| self.doubtful_names.contains(name)) {
            self.doubt(mistake.line);
        } else {
            // An error about the first word of a line is about the process itself, which may be `main`.
            if mistake.column == 1 && self.line(mistake.line).starts_with("main") {
                self.doubtful_names.insert("main");
            }
            self.add(mistake);
        }
    }

    /// Makes the names in a line doubtful.
    pub(super) fn doubt(&mut self, line: usize) {
        self.wrong_lines.insert(line);
        let names = names(self.line(line));
        self.doubtful_names.extend(names.into_iter().filter(|name| *name != "main"));
    }

    /// Whether a line directly below this one, before the next empty line, has a mistake.
    pub(super) fn is_wrong_below(&self, line: usize) -> bool {
        let below = self.lines.iter().skip(line).take_while(|text| !text.trim().is_empty());
        let numbers = below.zip(line + 1..).map(|(_, number)| number);
        numbers.into_iter().any(|number| self.wrong_lines.contains(&number))
    }

    /// All mistakes in the order of their lines.
    pub(super) fn into_sorted(mut self) -> Vec<ParseError> {
        self.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        self.mistakes
    }

    fn line(&self, number: usize) -> &'a str {
        self.lines.get(number.wrapping_sub(1)).copied().unwrap_or_default()
    }
}

/// The names in a line before its `=>`, without indices. `main` is included only if the line begins with it.
fn names(line: &str) -> Vec<&str> {
    let verbs = first_words();
    let is_verb = |word: &str| verbs.split(", ").any(|verb| verb == word);
    let tokens = lexer::tokens(line);
    let mut names: Vec<&str> = tokens
        .iter()
        .map(|token| token.text)
        .take_while(|text| *text != "=>")
        .flat_map(|text| text.split(['/', '(', ')', ':']))
        .map(|text| text.split(['[', '.']).next().unwrap_or_default())
        .filter(|name| lexer::is_name(name) && !KEYWORDS.contains(name) && !is_verb(name))
        .collect();
    if line.starts_with("main") {
        names.push("main");
    }
    names
}
