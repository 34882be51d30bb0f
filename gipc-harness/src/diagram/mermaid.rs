//! Writes a diagram as a Mermaid sequence diagram, which GitHub and many editors draw.

use super::{ArrowKind, Diagram, Mark, MarkKind};
use std::fmt::Write;

/// The longest text of a message or note, in characters.
const MAX_TEXT: usize = 60;

/// The text of the diagram, without a fence around it.
#[must_use]
pub fn mermaid(diagram: &Diagram) -> String {
    let mut out = "sequenceDiagram\n".to_owned();
    let head = [&diagram.title, &diagram.status].map(String::as_str).join(" ");
    let _ = writeln!(out, "    accTitle: {}", escaped(head.trim()));
    for (lane, entry) in diagram.lanes.iter().enumerate() {
        let replicas =
            if entry.replicas > 1 { format!(" ×{}", entry.replicas) } else { String::new() };
        let _ = writeln!(
            out,
            "    participant p{lane} as {}{replicas}",
            escaped(&entry.task_id.to_string())
        );
    }
    for index in in_order(diagram) {
        write_mark(&mut out, diagram, index, &diagram.marks[index]);
    }
    if !diagram.waits.is_empty() {
        out.push_str("    rect rgba(220, 60, 60, 0.2)\n");
        for wait in &diagram.waits {
            let text = escaped(&wait.text);
            let first = wait.on.first().map_or(wait.lane, |(on, _)| *on);
            let _ = writeln!(out, "    p{}--xp{first}: {text}", wait.lane);
        }
        out.push_str("    end\n");
    }
    for sentence in diagram.findings.iter().chain(&diagram.omissions) {
        let _ = writeln!(out, "    %% {}", sentence.replace('\n', " "));
    }
    out
}

/// The marks by row, each after its causes: a step that began before the event that ended it is drawn at its end.
fn in_order(diagram: &Diagram) -> Vec<usize> {
    let mut rows: Vec<(usize, usize)> = diagram.marks.iter().map(|mark| (mark.row, 0)).collect();
    for arrow in &diagram.arrows {
        rows[arrow.to] = rows[arrow.to].max((diagram.marks[arrow.from].row, 1));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|mark| rows[*mark]);
    order
}

fn write_mark(out: &mut String, diagram: &Diagram, index: usize, mark: &Mark) {
    let mut text = mark.text.clone();
    if let Some(expected) = &mark.expected {
        let _ = write!(text, " ✗ expected {expected}");
    }
    let is_start = mark.kind == MarkKind::Start;
    if is_start {
        text = "spawn".to_owned();
    }
    let mut is_drawn = false;
    for arrow in diagram.arrows.iter().filter(|arrow| arrow.to == index) {
        let from = diagram.marks[arrow.from].lane;
        let line = match arrow.kind {
            ArrowKind::Message => "->>",
            ArrowKind::Spawn => "-)",
            ArrowKind::End | ArrowKind::Exit => "-->>",
            ArrowKind::Signal => "-x",
        };
        let _ = writeln!(out, "    p{from}{line}p{}: {}", mark.lane, escaped(&text));
        is_drawn = true;
    }
    // The message of a put is drawn where it arrives, and a spawn where the child starts.
    let is_drawn_later = mark.expected.is_none()
        && diagram.arrows.iter().any(|arrow| {
            arrow.from == index && matches!(arrow.kind, ArrowKind::Message | ArrowKind::Spawn)
        });
    if !is_drawn && !is_start && !is_drawn_later {
        let text = if mark.kind == MarkKind::Gap { format!("{text} left out") } else { text };
        let _ = writeln!(out, "    Note over p{}: {}", mark.lane, escaped(&text));
    }
}

/// The text with entities for what has a meaning in Mermaid: `;` and `#` end a statement, and `end` a block.
fn escaped(text: &str) -> String {
    let text: String = match text.chars().count() > MAX_TEXT {
        true => text.chars().take(MAX_TEXT - 1).chain(['…']).collect(),
        false => text.to_owned(),
    };
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '#' | ';' | '<' | '>' | '"' | '%' | '{' | '}' | '\\' | '`' | '&' => {
                let _ = write!(out, "#{};", c as u32);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    let word = |word: &str| if word == "end" { "#101;nd".to_owned() } else { word.to_owned() };
    out.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
