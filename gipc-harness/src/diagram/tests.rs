//! Tests of diagrams: the order of rows, the causes, what is folded, and the formats.

use super::chrome_trace::chrome_trace;
use super::mermaid::mermaid;
use super::svg::svg;
use super::{ArrowKind, Diagram, MAX_EVENTS, MarkKind, Run};
use crate::environment::Environment;
use crate::model::{self, Choices};
use crate::runner::Events;
use crate::scenario::{Scenario, parse};
use crate::trace::Observation;
use crate::variant::{InjectionSelector, JobSet, VariantRequest};
use crate::verdict::{Baseline, judge};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn scenario(text: &str) -> Scenario {
    parse("any/thing", text).expect("it parses")
}

fn drawn(text: &str, full: bool) -> Diagram {
    let scenario = scenario(text);
    let trace = model::predict(&scenario, Choices::default());
    Run::predicted(&scenario, &trace, Choices::default()).diagram(full)
}

const TALK: &str = "main pipe r w\nmain spawn child r\nmain put w \"hello\"\nchild get r => \"hello\"\nmain close w\nchild get r => eof\nmain join child => exit 0\n";

const DEADLOCK: &str = "main duplex near far\nmain spawn child far\nchild get far => blocks on main\nmain get near => blocks on child\n";

/// The arrows as texts: `put w "hello" ▶ get r → "hello"`.
fn arrows(diagram: &Diagram, kind: ArrowKind) -> Vec<String> {
    let arrows = diagram.arrows.iter().filter(|arrow| arrow.kind == kind);
    let text = |mark: usize| diagram.marks[mark].text.as_str();
    arrows.map(|arrow| format!("{} ▶ {}", text(arrow.from), text(arrow.to))).collect()
}

#[test]
fn each_cause_is_an_arrow() {
    let diagram = drawn(TALK, false);
    assert_eq!(arrows(&diagram, ArrowKind::Spawn), ["spawn child r ▶ child"]);
    assert_eq!(arrows(&diagram, ArrowKind::Message), ["put w \"hello\" ▶ get r → \"hello\""]);
    assert_eq!(arrows(&diagram, ArrowKind::End), ["close w ▶ get r → eof"]);
    assert_eq!(arrows(&diagram, ArrowKind::Exit), ["exit 0 ▶ join child → exit 0"]);
}

#[test]
fn every_cause_is_above_its_effect() {
    for text in [TALK, DEADLOCK] {
        let diagram = drawn(text, false);
        for arrow in &diagram.arrows {
            let (from, to) = (&diagram.marks[arrow.from], &diagram.marks[arrow.to]);
            assert!(from.row < to.row, "{} is not above {}", from.text, to.text);
        }
    }
}

#[test]
fn a_child_is_right_of_its_parent_and_a_task_right_of_its_process() {
    let text = "main pipe r w\nmain/reader get r => \"x\"\nmain spawn child\nmain spawn other\nchild spawn grandchild\nmain put w \"x\"\n";
    let diagram = drawn(text, false);
    let names: Vec<String> = diagram.lanes.iter().map(|lane| lane.task_id.to_string()).collect();
    assert_eq!(names, ["main", "main/reader", "child", "grandchild", "other"]);
    assert_eq!(diagram.lanes[3].parent, Some(2));
}

#[test]
fn a_get_that_had_to_wait_has_a_bar_up_to_its_message() {
    let diagram =
        drawn("main pipe r w\nmain spawn child r\nchild get r => \"x\"\nmain put w \"x\"\n", false);
    let get = diagram.marks.iter().find(|mark| mark.kind == MarkKind::Get).expect("a get");
    let put = diagram.marks.iter().find(|mark| mark.kind == MarkKind::Put).expect("a put");
    let bar = get.bar.expect("a bar");
    assert!(bar.from < put.row && put.row < bar.to && bar.to == get.row, "{bar:?}");
    assert!(!bar.forever);
}

#[test]
fn the_steps_of_a_deadlock_have_bars_to_the_end_and_arcs_on_the_cycle() {
    let diagram = drawn(DEADLOCK, false);
    assert_eq!(diagram.status, "DEADLOCK");
    let bars: Vec<_> = diagram.marks.iter().filter_map(|mark| mark.bar).collect();
    assert!(bars.len() == 2 && bars.iter().all(|bar| bar.forever), "{bars:?}");
    assert!(bars.iter().all(|bar| bar.to == diagram.rows - 1), "{bars:?}");
    let arcs: Vec<bool> =
        diagram.waits.iter().flat_map(|wait| wait.on.iter().map(|on| on.1)).collect();
    assert_eq!(arcs, [true, true]);
}

/// A scenario with this many children that all do the same.
fn children(count: usize) -> String {
    format!(
        "each i in 1..{count}\nmain pipe r[i] w[i]\nmain spawn child[i] r[i]\n\neach i in 1..{count}\nmain put w[i] \"x\"\nchild[i] get r[i] => \"x\"\n\neach i in 1..{count}\nmain join child[i] => exit 0\n"
    )
}

#[test]
fn many_children_that_do_the_same_are_drawn_once_unless_all_are_asked_for() {
    let text = children(50);
    let folded = drawn(&text, false);
    assert_eq!(folded.lanes.len(), 2);
    assert_eq!(folded.lanes[1].replicas, 50);
    assert!(folded.omissions[0].contains("of 50 repetitions"), "{:?}", folded.omissions);
    let full = drawn(&text, true);
    assert_eq!(full.lanes.len(), 51);
    assert!(full.omissions.is_empty());
    assert_eq!(drawn(&children(5), false).lanes.len(), 6);
}

#[test]
fn a_long_run_shows_what_led_to_its_end_and_says_what_it_leaves_out() {
    let mut text = "main pipe r w\nmain spawn child r\n".to_owned();
    for number in 0..400 {
        text += &format!("main put w \"{number}\"\nchild get r => \"{number}\"\n");
    }
    text +=
        "child get r => blocks on main\nmain get r => closed\nmain join child => blocks on child\n";
    let diagram = drawn(&text, false);
    assert!(diagram.visible.len() <= MAX_EVENTS, "{} steps", diagram.visible.len());
    assert!(diagram.visible.contains(&802), "the step that never returns is drawn");
    assert!(diagram.marks.iter().any(|mark| mark.kind == MarkKind::Gap));
    assert!(diagram.omissions[0].contains("steps are left out"), "{:?}", diagram.omissions);
    assert_eq!(drawn(&text, true).visible.len(), 805);
}

#[test]
fn an_svg_is_balanced_and_contains_its_text_twice_for_eyes_and_ears() {
    let picture = svg(&drawn(DEADLOCK, false));
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    for part in ["<title>any/thing", "<desc>", "prefers-color-scheme: dark", "Who waits for whom"] {
        assert!(picture.contains(part), "{part} is missing");
    }
    for name in ["svg", "g", "text", "rect", "path", "line", "circle", "title", "desc"] {
        let opened = picture.matches(&format!("<{name} ")).count()
            + picture.matches(&format!("<{name}>")).count();
        assert_eq!(opened, picture.matches(&format!("</{name}>")).count(), "{name}");
    }
    assert!(!picture.contains("http://www.w3.org/1999") && !picture.contains("url("));
}

#[test]
fn mermaid_has_no_character_that_ends_a_statement() {
    let text = mermaid(&drawn(
        "main pipe r w\nmain put w \"a;b#c end\"\nmain get r => \"a;b#c end\"\n",
        false,
    ));
    assert!(text.starts_with("sequenceDiagram\n"));
    assert!(text.contains("a#59;b#35;c"), "{text}");
}

/// Asserts that each flow of a trace has one start and one end, in this order, each inside a slice of its thread.
fn check_flows(trace: &str) -> usize {
    let trace: Value = serde_json::from_str(trace).expect("JSON");
    let entries = trace["traceEvents"].as_array().expect("events");
    let number = |entry: &Value, key: &str| entry[key].as_u64().expect("a number");
    let mut flows: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["ph"] == "s" || entry["ph"] == "f") {
        flows.entry(number(entry, "id")).or_default().push(entry);
        let is_around = |slice: &&Value| {
            slice["ph"] == "X"
                && (slice["pid"] == entry["pid"] && slice["tid"] == entry["tid"])
                && number(slice, "ts") <= number(entry, "ts")
                && number(entry, "ts") <= number(slice, "ts") + number(slice, "dur")
        };
        assert!(entries.iter().any(|slice| is_around(&slice)), "outside of all slices: {entry}");
    }
    for (id, ends) in &flows {
        assert_eq!(ends.len(), 2, "flow {id}");
        assert!(ends[0]["ph"] == "s" && ends[1]["ph"] == "f", "flow {id}");
        assert!(number(ends[0], "ts") <= number(ends[1], "ts"), "flow {id} goes back");
    }
    flows.len()
}

#[test]
fn each_flow_of_a_trace_has_one_start_and_one_end_inside_slices() {
    assert_eq!(check_flows(&chrome_trace(&drawn(TALK, true), &Events::default())), 4);
    assert_eq!(check_flows(&chrome_trace(&drawn(DEADLOCK, true), &Events::default())), 1);
    assert_eq!(check_flows(&chrome_trace(&drawn(&children(20), true), &Events::default())), 60);
}

#[test]
fn no_two_marks_of_a_lane_stand_in_one_row_also_if_a_fault_is_injected() {
    let scenario = scenario(TALK);
    let request = VariantRequest::Kill(InjectionSelector::All);
    let path = Path::new("any.scenario");
    let jobs = JobSet::for_request(&scenario, path, Choices::default(), &request).jobs;
    assert!(!jobs.is_empty());
    for job in jobs.into_iter().map(|job| Arc::new(job).complete()) {
        let observation = Observation::of(job.allowed.in_file_order().clone());
        let environment = Environment { facts: Vec::new(), slow_factor: 1 };
        let verdict = judge(&job, &observation, &Baseline::default(), &environment);
        let diagram = Run::observed(&job, &observation, &verdict, "own").diagram(false);
        let faults = diagram.marks.iter().filter(|mark| mark.kind == MarkKind::Fault).count();
        assert_eq!(faults, 1, "{}", job.flags());
        let mut places: Vec<_> = diagram.marks.iter().map(|mark| (mark.lane, mark.row)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), diagram.marks.len(), "{}: {:?}", job.flags(), diagram.marks);
    }
}
