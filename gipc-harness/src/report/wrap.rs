//! Wraps lines at the width of a terminal, between words. Continuation lines are aligned with their column or mark.
//!
//! Text that a user types or compares is not broken: commands of this program, and quoted lines of a file.

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// Narrower terminals are treated like one of this width.
const MIN_WIDTH: usize = 40;
/// The minimum width of a column that is wrapped within itself. A narrower one gets lines of its own.
const MIN_COLUMN: usize = 30;
/// Stands for a space at which a line is not broken while it is wrapped. No report contains it.
const UNBROKEN: char = '\u{e000}';

/// Wraps a text to lines of at most `width` columns, as far as its words allow. `program` is how commands of this program
/// begin.
pub(super) fn wrap(text: &str, width: usize, program: &str) -> String {
    let width = width.max(MIN_WIDTH);
    let wrap_line = |line: &str| {
        let (content, end) = match line.strip_suffix('\n') {
            Some(content) => (content, "\n"),
            None => (line, ""),
        };
        if display_width(content) <= width {
            return line.to_owned();
        }
        let wrapped = match Gutter::of(content) {
            Some(gutter) => gutter.wrap(content, width),
            None => wrap_columns(&protect_command(content, program), width),
        };
        wrapped.replace(UNBROKEN, " ") + end
    };
    text.split_inclusive('\n').map(wrap_line).collect()
}

/// Wraps a line whose last column begins after two or more spaces. A line without columns is wrapped as a whole.
fn wrap_columns(line: &str, width: usize) -> String {
    let indent = line.len() - line.trim_start().len();
    let last_column = line[indent..].rfind("  ").map(|gap| indent + gap + 2);
    let Some(begin) = last_column.filter(|begin| *begin < line.len()) else {
        return fill(&line[indent..], width, &line[..indent], &" ".repeat(indent + 2));
    };
    let (head, cell) = line.split_at(begin);
    if !cell.contains(' ') {
        return line.to_owned();
    }
    let head_width = display_width(head);
    if width >= head_width + MIN_COLUMN {
        return fill(cell, width, head, &" ".repeat(head_width));
    }
    let below = " ".repeat(indent + 4);
    format!("{}\n{}", wrap_columns(head.trim_end(), width), fill(cell, width, &below, &below))
}

fn fill(text: &str, width: usize, first: &str, further: &str) -> String {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(further)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// The line with unbreakable spaces in the command that it contains, up to a backtick or the end.
fn protect_command(line: &str, program: &str) -> String {
    let Some(begin) = line.find(program) else { return line.to_owned() };
    let end = line[begin..].find('`').map_or(line.len(), |length| begin + length);
    let command = line[begin..end].replace(' ', &UNBROKEN.to_string());
    format!("{}{command}{}", &line[..begin], &line[end..])
}

/// The text before a quoted line of a file, or before carets and their message: `4 | `, `  | `, `    4 │ `.
struct Gutter {
    /// The length in bytes.
    length: usize,
}

impl Gutter {
    fn of(line: &str) -> Option<Self> {
        let rest = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let bar = rest.chars().next().filter(|first| ['|', '│'].contains(first))?;
        Some(Self { length: line.len() - rest.len() + bar.len_utf8() })
    }

    /// Wraps the message after carets. A quoted line stays as it is.
    fn wrap(&self, line: &str, width: usize) -> String {
        let (gutter, marked) = line.split_at(self.length);
        let quotes = gutter.contains(|c: char| c.is_ascii_digit());
        // The color of the carets ends after them.
        let end = marked.find('^').and_then(|first| Some(first + marked[first..].find(' ')?));
        let Some(end) = end.filter(|_| !quotes) else { return line.to_owned() };
        let (carets, says) = marked.split_at(end);
        let head = format!("{gutter}{carets} ");
        let beside = display_width(&head);
        if width >= beside + MIN_COLUMN {
            let further = format!("{gutter}{}", " ".repeat(beside - display_width(gutter)));
            return fill(says.trim_start(), width, &head, &further);
        }
        let below = format!("{gutter} ");
        format!("{gutter}{carets}\n{}", fill(says.trim_start(), width, &below, &below))
    }
}

#[cfg(test)]
mod tests {
    use super::wrap;
    use rstest::rstest;

    #[rstest]
    #[case::what_fits_stays("  short, with  two  spaces\n", "  short, with  two  spaces\n")]
    #[case::a_sentence_is_wrapped_between_words(
        "  a sentence that is longer than the terminal is wide\n\n",
        "  a sentence that is longer than the\n    terminal is wide\n\n"
    )]
    #[case::a_word_with_hyphens_stays_whole(
        "it asks for --heavy scenarios of close/eof-after-close",
        "it asks for --heavy scenarios of\n  close/eof-after-close"
    )]
    #[case::the_last_column_is_wrapped_in_itself(
        "  a/b   what it asks of the implementation",
        "  a/b   what it asks of the\n        implementation"
    )]
    #[case::a_narrow_column_gets_lines_of_its_own(
        "close/eof-after-close  A reader sees the end of the file once.",
        "close/eof-after-close\n    A reader sees the end of the file\n    once."
    )]
    #[case::a_quoted_line_stays(
        "4 | main        put w \"a message that is long\"",
        "4 | main        put w \"a message that is long\""
    )]
    #[case::a_hint_stands_beside_its_carets(
        "  | ^^^ write what comes, such as `=> eof`\n",
        "  | ^^^ write what comes, such as `=>\n  |     eof`\n"
    )]
    #[case::a_hint_without_room_stands_below_its_carets(
        "  |             ^^^ write what comes of it\n",
        "  |             ^^^\n  | write what comes of it\n"
    )]
    #[case::a_command_stays_in_one_piece(
        "  again    tool run close/twice --adapter multiprocessing",
        "  again    tool run close/twice --adapter multiprocessing"
    )]
    #[case::a_command_in_backticks_stays_in_one_piece(
        "nothing is set up; run `tool adapter setup posix` and go on with it",
        "nothing is set up; run\n  `tool adapter setup posix` and go on\n  with it"
    )]
    fn a_line_is_at_most_as_wide_as_the_terminal(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(wrap(line, 40, "tool "), expected);
    }

    #[test]
    fn colors_take_no_room() {
        let line = "  \u{1b}[33mSKIP\u{1b}[39m  close/twice, which is at its limit";
        assert_eq!(wrap(line, 44, "tool "), line);
    }
}
