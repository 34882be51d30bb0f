//! A line that is no message: what it shows, and who may have written it.

use crate::protocol::{FromAgent, PROTOCOL};
use serde_json::Value;

/// How many bytes are shown of a line that is no text.
const SHOWN_BYTES: usize = 16;

/// How many characters are shown of a line that is text.
const SHOWN_CHARS: usize = 120;

/// What is wrong with a line, and a guess at the cause, as half a sentence.
pub(crate) fn describe(line: &[u8], error: &serde_json::Error) -> String {
    let line = line.trim_ascii_end();
    let next = message_behind(line);
    let foreign = &line[..next.unwrap_or(line.len())];
    let shown: String = String::from_utf8_lossy(line).chars().take(SHOWN_CHARS).collect();
    let text =
        format!("sent a line that is no message of protocol {PROTOCOL}: {shown:?} ({error})");
    let is_broken_message = is_broken_message(foreign);
    match next {
        Some(_) if is_broken_message => format!(
            "{text}; it has parts of several messages, so more than one thread or process writes to this connection"
        ),
        _ if is_broken_message => text,
        _ if is_printable(foreign) => format!(
            "{text}; was it meant for stdout, or for another file with the number of this descriptor?"
        ),
        _ => format!(
            "sent {} bytes that are neither text nor a message of protocol {PROTOCOL}: {}; something else writes to this \
             descriptor: a library that uses the number of a descriptor after it was closed, or a second process that \
             has this connection",
            foreign.len(),
            in_hex(foreign)
        ),
    }
}

/// Where a message begins that follows other bytes in the same line, for those need not end with the line.
fn message_behind(line: &[u8]) -> Option<usize> {
    let begins = |at: &usize| line[*at..].starts_with(b"{\"");
    (1..line.len())
        .filter(begins)
        .find(|at| serde_json::from_slice::<FromAgent>(&line[*at..]).is_ok())
}

/// Whether bytes are a message with a mistake, or the first part of one: an object that has a type, or no end.
fn is_broken_message(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"")
        && match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => value.get("type").is_some(),
            Err(_) => true,
        }
}

/// Whether bytes are text that a program may print, with colors and tabs.
fn is_printable(bytes: &[u8]) -> bool {
    let is_shown = |char: char| !char.is_control() || matches!(char, '\t' | '\r' | '\x1b');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_shown))
}

/// The first bytes in hexadecimal: `00 00 00 05 …`.
fn in_hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}"));
    let mut words: Vec<String> = shown.collect();
    words.extend((bytes.len() > SHOWN_BYTES).then(|| "…".to_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FromAgent;

    fn described(line: &[u8]) -> String {
        describe(line, &serde_json::from_slice::<FromAgent>(line).expect_err("it is no message"))
    }

    fn check(line: &[u8], beginning: &str, end: &str) {
        let text = described(line);
        assert!(text.starts_with(beginning) && text.ends_with(end), "{text}");
    }

    const MEANT_FOR_STDOUT: &str =
        "was it meant for stdout, or for another file with the number of this descriptor?";

    #[test]
    fn text_was_perhaps_meant_for_stdout() {
        check(
            b"Segmentation fault\n",
            "sent a line that is no message of protocol 2: \"Segmentation fault\" (expected value at line 1 column 1); ",
            MEANT_FOR_STDOUT,
        );
        check(b"{\"level\": \"info\"}\n", "sent a line that", MEANT_FOR_STDOUT);
        check("\x1b[1mgrün\x1b[0m\n".as_bytes(), "sent a line that", MEANT_FOR_STDOUT);
        check(b"no end{\"type\":\"pong\",\"n\":1}\n", "sent a line that", MEANT_FOR_STDOUT);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hexadecimal_up_to_the_next_message() {
        let writers = "a library that uses the number of a descriptor after it was closed, or a second process that has this connection";
        check(
            b"\x00\x00\x00\x05first{\"type\":\"pong\",\"n\":1}\n",
            "sent 9 bytes that are neither text nor a message of protocol 2: 00 00 00 05 66 69 72 73 74; something else ",
            writers,
        );
        check(
            &[b"\x80\x04\x95".as_slice(), &[b'x'; 30], b"\n"].concat(),
            "sent 33 bytes that are neither text nor a message of protocol 2: 80 04 95 78 78 78 78 78 78 78 78 78 78 78 78 78 …; ",
            writers,
        );
    }

    #[test]
    fn a_message_in_the_middle_of_another_comes_from_two_writers() {
        check(
            b"{\"type\":\"beg{\"type\":\"pong\",\"n\":1}\n",
            "sent a line that is no message of protocol 2: ",
            "it has parts of several messages, so more than one thread or process writes to this connection",
        );
    }

    #[test]
    fn a_message_with_a_mistake_has_no_other_writer() {
        check(b"{\"type\":\"hurry\"}\n", "sent a line that is no message of protocol 2: ", ")");
        check(b"{\"type\":\"end\",\n", "sent a line that is no message of protocol 2: ", ")");
    }
}
