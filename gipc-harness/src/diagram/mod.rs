//! The space-time diagram of a run: a column for each process and task, rows in causal order, arrows for what one task
//! caused in another, and bars where a step waited.
//!
//! [`Diagram`] is the layout, without pixels. [`svg`], [`mermaid`] and [`chrome_trace`] write it in a format. Rows are
//! logical time: the row of an event is the length of the longest chain of causes before it, so runs that differ only in
//! their timing have the same diagram.

mod builder;
mod causality;
pub mod chrome_trace;
mod fold;
mod marks;
mod process_tree;
pub mod mermaid;
pub mod svg;
#[cfg(test)]
mod tests;

pub use builder::Run;

use crate::scenario::{PipeId, TaskId};

/// The number of events above which a diagram shows only what led to the failure.
pub const MAX_EVENTS: usize = 300;

/// What is drawn: lanes, marks on them, and arrows between the marks.
#[derive(Clone, Debug, Default)]
pub struct Diagram {
    /// The id of the scenario.
    pub title: String,
    /// What it ran on, and with which flags.
    pub subtitle: String,
    /// The verdict in one word, or what the model says.
    pub status: String,
    /// Whether the run is as expected, so that the status is not shown as a failure.
    pub is_expected: bool,
    /// The columns, each process before its tasks and its children.
    pub lanes: Vec<Column>,
    /// What is on the lanes, ordered by row and lane.
    pub marks: Vec<Mark>,
    /// The arrows from a mark to the marks that it caused.
    pub arrows: Vec<Arrow>,
    /// Which step waits for which processes, if the run stalled.
    pub waits: Vec<Wait>,
    /// The pipes that a mark uses, with their names, in the order in which they were made.
    pub pipes: Vec<(PipeId, String)>,
    /// The number of rows.
    pub rows: usize,
    /// Sentences below the diagram: wrong outcomes, leaks, why nothing moves.
    pub findings: Vec<String>,
    /// A sentence for each thing that is left out.
    pub omissions: Vec<String>,
    /// The steps that are drawn, in file order.
    pub visible: Vec<usize>,
}

/// The column of a process, or of a task inside a process.
#[derive(Clone, Debug)]
pub struct Column {
    /// The process or task.
    pub task_id: TaskId,
    /// The lane of the process that started this one, or that the task belongs to.
    pub parent: Option<usize>,
    /// How many processes this column stands for, because they did the same.
    pub replicas: usize,
    /// The row in which the lane begins.
    pub first_row: usize,
    /// The row in which the lane ends.
    pub last_row: usize,
    /// Whether the lane ends with the end of its process. Otherwise the process was still running when the run was over.
    pub has_ended: bool,
}

/// One event on a lane.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The lane.
    pub lane: usize,
    /// The row of the label.
    pub row: usize,
    /// The kind of event.
    pub kind: MarkKind,
    /// The label.
    pub text: String,
    /// The step, if the event is one.
    pub step: Option<usize>,
    /// The pipe that the step uses.
    pub pipe: Option<PipeId>,
    /// The rows between which the step waited, and whether it still waited at the end.
    pub bar: Option<Bar>,
    /// The expected outcome, if the outcome is wrong.
    pub expected: Option<String>,
}

/// The time that a step waited, in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The row in which the step began.
    pub from: usize,
    /// The row in which it returned, or the last row.
    pub to: usize,
    /// Whether it never returned.
    pub forever: bool,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A process starts.
    Start,
    /// A message is sent.
    Put,
    /// A message is received.
    Get,
    /// A get that reports the end of the messages.
    Eof,
    /// A handle is closed.
    Close,
    /// A process ends.
    Exit,
    /// A fault is injected.
    Fault,
    /// Any other step.
    Step,
    /// Steps that are not drawn.
    Gap,
}

/// An arrow from a mark to one that it caused, in another lane or in the same one.
#[derive(Clone, Copy, Debug)]
pub struct Arrow {
    /// The mark that is the cause.
    pub from: usize,
    /// The mark that is the effect.
    pub to: usize,
    /// The kind of cause.
    pub kind: ArrowKind,
    /// The pipe between them.
    pub pipe: Option<PipeId>,
}

/// The kind of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArrowKind {
    /// A put, and the get that received its message.
    Message,
    /// A close or an exit, and the step that noticed that the other end is gone.
    End,
    /// A spawn, and the start of the child.
    Spawn,
    /// The end of a process, and the step that waited for it.
    Exit,
    /// A kill, a signal or a cancellation, and what it ended.
    Signal,
}

/// A step that waits where the run stalled.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The lane of the step.
    pub lane: usize,
    /// The lanes of the processes that could let it return, and for each whether this edge is on the cycle.
    pub on: Vec<(usize, bool)>,
    /// The step and the reason, as a line of text.
    pub text: String,
}
