//! Chooses what is drawn of a large run: one of many repetitions that did the same, and what led to the failure.

use super::MAX_EVENTS;
use super::causality::{Causality, Node};
use crate::scenario::{Outcome, Scenario};
use crate::trace::{StepState, Trace};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write;

/// Up to this many repetitions, all are drawn.
const MAX_REPETITIONS: usize = 8;

/// The steps that are drawn.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The steps that began and are drawn.
    pub(super) visible: BTreeSet<usize>,
    /// The steps that are left out because another repetition did the same.
    pub(super) repeated: BTreeSet<usize>,
    /// How many repetitions a step stands for, if there are several.
    pub(super) times: BTreeMap<usize, usize>,
    /// A sentence for each thing that is left out.
    pub(super) omissions: Vec<String>,
}

impl Fold {
    /// Chooses the steps to draw. `wrong` are the steps with an outcome that is not allowed.
    pub(super) fn new(
        scenario: &Scenario,
        trace: &Trace,
        causality: &Causality<'_>,
        wrong: &BTreeSet<usize>,
        full: bool,
    ) -> Self {
        let mut fold = Self::default();
        if !full {
            fold.fold_repetitions(scenario, trace, wrong);
        }
        let has_begun =
            |step: &usize| trace.steps[*step] != StepState::NotStarted || wrong.contains(step);
        let begun = (0..scenario.steps.len()).filter(has_begun);
        fold.visible = begun.filter(|step| !fold.repeated.contains(step)).collect();
        if !full && fold.visible.len() > MAX_EVENTS {
            fold.keep_causes(trace, causality, wrong);
        }
        fold
    }

    /// Keeps only the first of the repetitions of an `each` that did the same.
    fn fold_repetitions(&mut self, scenario: &Scenario, trace: &Trace, wrong: &BTreeSet<usize>) {
        /// The steps of one repetition, and their outcomes.
        #[derive(Default)]
        struct Repetition {
            steps: Vec<usize>,
            signature: String,
        }
        let mut repetitions: BTreeMap<(&str, u64), Repetition> = BTreeMap::new();
        for (index, step) in scenario.steps.iter().enumerate() {
            let Some((name, value)) = step.indices.first() else { continue };
            let repetition = repetitions.entry((name, value)).or_default();
            repetition.steps.push(index);
            let outcome = match &trace.steps[index] {
                StepState::Completed { outcome: Outcome::Message(_), .. } => "message".to_owned(),
                state => state.as_outcome().to_string(),
            };
            let (line, is_wrong) = (step.position.line, wrong.contains(&index));
            let _ = writeln!(repetition.signature, "{line} {outcome} {is_wrong}");
        }
        let mut alike: BTreeMap<(&str, &str), Vec<(u64, &Repetition)>> = BTreeMap::new();
        for ((name, value), repetition) in &repetitions {
            let key = (*name, repetition.signature.as_str());
            alike.entry(key).or_default().push((*value, repetition));
        }
        for ((name, _), group) in alike {
            if group.len() <= MAX_REPETITIONS {
                continue;
            }
            let (first, kept) = group[0];
            self.times.extend(kept.steps.iter().map(|step| (*step, group.len())));
            self.repeated.extend(group[1..].iter().flat_map(|(_, other)| &other.steps));
            self.omissions.push(format!(
                "of {} repetitions that did the same, {name} = {first} is drawn",
                group.len()
            ));
        }
    }

    /// If there are too many steps, keeps those that led to the failure, beginning with the last ones. Without a failure,
    /// keeps those that led to the end of the run.
    fn keep_causes(&mut self, trace: &Trace, causality: &Causality<'_>, wrong: &BTreeSet<usize>) {
        let pending = |step: &usize| trace.steps[*step] == StepState::Pending;
        let is_failure = |step: &usize| wrong.contains(step) || pending(step);
        let row = |node: Node| causality.rows.get(&node).copied().unwrap_or(0);
        let mut heap: BinaryHeap<(usize, Node)> = self
            .visible
            .iter()
            .filter(|step| is_failure(step))
            .map(|step| {
                (usize::MAX, if pending(step) { Node::Begin(*step) } else { Node::End(*step) })
            })
            .collect();
        let has_failed = !heap.is_empty();
        if !has_failed {
            heap.extend(
                causality.rows.iter().max_by_key(|(_, row)| **row).map(|(node, row)| (*row, *node)),
            );
        }
        let (mut seen, mut kept) = (BTreeSet::new(), BTreeSet::new());
        while let Some((_, node)) = heap.pop() {
            if kept.len() >= MAX_EVENTS {
                break;
            }
            if !seen.insert(node) {
                continue;
            }
            if let Node::Begin(step) | Node::End(step) = node {
                kept.extend(self.visible.get(&step));
            }
            heap.extend(causality.before(node).map(|before| (row(before), before)));
        }
        let omitted = self.visible.len() - kept.len();
        let led = if has_failed { "the failure" } else { "the end of the run" };
        self.omissions.push(format!(
            "{omitted} steps are left out, which did not lead to {led} or came long before it"
        ));
        self.visible = kept;
    }
}
