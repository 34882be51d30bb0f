//! Writes a diagram as a Chrome trace, which Perfetto and speedscope open: a slice for each step, a flow for each cause.
//!
//! Times are those at which the harness saw the events, in microseconds. A prediction has no times, so a row
//! of the diagram takes a millisecond.

use super::{Diagram, Mark, MarkKind};
use crate::runner::{EventKind, Events};
use crate::scenario::TaskId;
use gipc_agent::FromAgent;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The time of a row in microseconds, if there are no real times.
const ROW: u64 = 1000;

/// A slice: its first and its last microsecond.
#[derive(Clone, Copy)]
struct Slice {
    from: u64,
    to: u64,
}

/// The trace as JSON. `events` are those of the record, or empty if the run was predicted.
#[must_use]
pub fn chrome_trace(diagram: &Diagram, events: &Events) -> String {
    let slices = slices(diagram, &StepTimes::of(events));
    let ids = ids(diagram);
    let mut entries: Vec<Value> = Vec::new();
    for (lane, entry) in diagram.lanes.iter().enumerate() {
        let (pid, tid) = ids[lane];
        let name = entry.task_id.to_string();
        if entry.task_id.task.is_none() {
            entries.push(metadata("process_name", pid, tid, json!({ "name": name })));
            entries.push(metadata("process_sort_index", pid, tid, json!({ "sort_index": pid })));
        }
        entries.push(metadata("thread_name", pid, tid, json!({ "name": name })));
        entries.push(metadata("thread_sort_index", pid, tid, json!({ "sort_index": tid })));
    }
    for (mark, slice) in diagram.marks.iter().zip(&slices) {
        let Some(Slice { from, to }) = slice else { continue };
        let (pid, tid) = ids[mark.lane];
        let mut slice = json!({
            "ph": "X", "name": mark.text, "cat": category(mark.kind), "pid": pid, "tid": tid,
            "ts": from, "dur": to - from,
        });
        // speedscope shows the arguments beside the name, even empty ones.
        if let Some(step) = mark.step {
            slice["args"] = json!({ "step": step });
        }
        if let Some(expected) = &mark.expected {
            slice["args"]["expected"] = expected.as_str().into();
        }
        if mark.expected.is_some() || mark.bar.is_some_and(|bar| bar.forever) {
            slice["cname"] = "terrible".into();
        }
        entries.push(slice);
    }
    let mut id = 0;
    for arrow in &diagram.arrows {
        let (Some(from), Some(to)) = (slices[arrow.from], slices[arrow.to]) else { continue };
        let is_start = diagram.marks[arrow.to].kind == MarkKind::Start;
        // A process is caused at its start, a step at its end.
        let end = if is_start { to.from } else { to.to };
        let is_exit = diagram.marks[arrow.from].kind == MarkKind::Exit;
        let start = end.min(if is_exit { from.to } else { from.from });
        if !is_exit && start < from.from {
            continue;
        }
        id += 1;
        let flow = |phase: &str, mark: &Mark, ts: u64| {
            let (pid, tid) = ids[mark.lane];
            json!({ "ph": phase, "bp": "e", "name": format!("{:?}", arrow.kind), "cat": "cause", "id": id, "pid": pid, "tid": tid, "ts": ts })
        };
        entries.push(flow("s", &diagram.marks[arrow.from], start));
        entries.push(flow("f", &diagram.marks[arrow.to], end));
    }
    let title = format!("{} {} {}", diagram.title, diagram.subtitle, diagram.status);
    let trace = json!({ "traceEvents": entries, "displayTimeUnit": "ms", "otherData": { "title": title.trim() } });
    format!("{trace}\n")
}

fn metadata(name: &str, pid: usize, tid: usize, args: Value) -> Value {
    json!({ "ph": "M", "name": name, "pid": pid, "tid": tid, "args": args })
}

fn category(kind: MarkKind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// The process and thread numbers of each lane, from 1.
fn ids(diagram: &Diagram) -> Vec<(usize, usize)> {
    let mut processes: BTreeMap<&str, usize> = BTreeMap::new();
    let lanes = diagram.lanes.iter().enumerate();
    lanes
        .map(|(lane, entry)| {
            let next = processes.len() + 1;
            (*processes.entry(&entry.task_id.process).or_insert(next), lane + 1)
        })
        .collect()
}

/// When each step began and returned, as far as the events show it.
#[derive(Default)]
struct StepTimes {
    begun: BTreeMap<usize, u64>,
    returned: BTreeMap<usize, u64>,
    connected: BTreeMap<String, u64>,
    exited: BTreeMap<String, u64>,
    last: u64,
}

impl StepTimes {
    fn of(events: &Events) -> Self {
        let mut times = Self::default();
        for event in events.iter() {
            times.last = times.last.max(event.us);
            match &event.kind {
                EventKind::Released { step, .. } => {
                    times.begun.entry(*step).or_insert(event.us);
                }
                EventKind::Received { is: FromAgent::Begin { id, .. }, .. } => {
                    times.begun.insert(*id, event.us);
                }
                EventKind::Received { is: FromAgent::End { id, .. }, .. } => {
                    times.returned.insert(*id, event.us);
                }
                EventKind::Received { from, .. } => {
                    times.connected.entry(from.clone()).or_insert(event.us);
                }
                EventKind::Sent { to, .. } => {
                    times.connected.entry(to.clone()).or_insert(event.us);
                }
                EventKind::Exited { process, .. } => {
                    times.exited.entry(process.clone()).or_insert(event.us);
                }
                EventKind::Hello { .. }
                | EventKind::HungUp { .. }
                | EventKind::Signalled { .. } => {}
            }
        }
        times
    }
}

/// The slice of each mark. The slice of a start is the whole life of its process, and that of an end is its last
/// microseconds.
fn slices(diagram: &Diagram, times: &StepTimes) -> Vec<Option<Slice>> {
    let is_real = times.last > 0;
    let end_of_all = if is_real { times.last + 1 } else { diagram.rows as u64 * ROW };
    let mut slices: Vec<Option<Slice>> = diagram
        .marks
        .iter()
        .map(|mark| {
            let step = mark.step?;
            if !is_real {
                let bar = mark.bar.map_or((mark.row, mark.row), |bar| (bar.from, bar.to));
                let (from, to) = (bar.0 as u64 * ROW + 100, bar.1 as u64 * ROW + 900);
                return Some(Slice { from, to });
            }
            let from = *times.begun.get(&step)?;
            let to = times.returned.get(&step).copied().unwrap_or_else(|| {
                let process = &diagram.lanes[mark.lane].task_id.process;
                times.exited.get(process.as_str()).copied().unwrap_or(end_of_all)
            });
            Some(Slice { from, to: to.max(from + 1) })
        })
        .collect();
    // The life of a process contains its steps and what it causes.
    for (lane, entry) in diagram.lanes.iter().enumerate() {
        if entry.task_id.task.is_some() {
            continue;
        }
        let life = life(
            diagram,
            times,
            &slices,
            &entry.task_id,
            (entry.first_row, entry.last_row),
            end_of_all,
        );
        for (index, mark) in diagram.marks.iter().enumerate().filter(|(_, mark)| mark.lane == lane)
        {
            match mark.kind {
                MarkKind::Start => slices[index] = Some(life),
                MarkKind::Exit => {
                    slices[index] =
                        Some(Slice { from: life.to.saturating_sub(1).max(life.from), to: life.to });
                }
                _ => {}
            }
        }
    }
    slices
}

/// From when to when a process lived.
fn life(
    diagram: &Diagram,
    times: &StepTimes,
    slices: &[Option<Slice>],
    process: &TaskId,
    rows: (usize, usize),
    end_of_all: u64,
) -> Slice {
    let is_of = |mark: &Mark| diagram.lanes[mark.lane].task_id.process == process.process;
    let steps: Vec<Slice> = diagram
        .marks
        .iter()
        .zip(slices)
        .filter(|(mark, _)| is_of(mark))
        .filter_map(|(_, slice)| *slice)
        .collect();
    let (first, last) =
        (steps.iter().map(|slice| slice.from).min(), steps.iter().map(|slice| slice.to).max());
    let (from, to) = if times.last > 0 {
        let from = times.connected.get(process.process.as_str()).copied().unwrap_or(0);
        (from, times.exited.get(process.process.as_str()).copied().unwrap_or(end_of_all))
    } else {
        (rows.0 as u64 * ROW, rows.1 as u64 * ROW + 950)
    };
    let from = first.map_or(from, |first| from.min(first.saturating_sub(1)));
    Slice { from, to: last.map_or(to, |last| to.max(last + 2)).max(from + 2) }
}
