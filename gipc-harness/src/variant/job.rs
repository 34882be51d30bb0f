//! Jobs: a job is a scenario with a variant, and what the model derives from both.

use super::{
    ChoiceExemption, Edits, InjectionSelector, Order, OrderOption, Variant, VariantRequest,
    can_run_concurrently, fd_exhaustion,
};
use crate::model::{self, Choices};
use crate::scenario::{Scenario, TaskId, order_line};
use crate::trace::{Allowed, ExecutionMode, InjectionPoint, Schedule, disagreement};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A scenario with a variant, and what the model derives from both.
#[derive(Clone, Debug)]
pub struct Job {
    /// The scenario with the edits of the variant.
    pub scenario: Scenario,
    /// The file of the scenario.
    pub path: PathBuf,
    /// The choices of the implementation, as the model was given them.
    pub choices: Choices,
    /// The way of execution.
    pub variant: Variant,
    /// What the variant changes in the scenario of the file.
    pub edits: Edits,
    /// The correct traces.
    pub allowed: Allowed,
    /// The schedule, and where a fault is injected.
    pub mode: ExecutionMode,
    /// Why a line of the scenario does not apply to the implementation.
    pub exemption: Option<ChoiceExemption>,
    /// Whether the outcomes in the file are taken as right, whatever the model says (`--unchecked`).
    pub unchecked: bool,
    /// Whether the model contradicts the file and is ignored: schedule and verdict follow the file alone.
    pub follows_file: bool,
    /// Whether the scenario is not one of the suite, so that the folder of the adapter says nothing about it.
    pub is_foreign: bool,
    /// The comment line that gives the file this order of releases, if the order is not that of the file.
    pub order_comment: Option<String>,
    /// Whether it has what the model derives: see [`Job::complete`].
    is_complete: bool,
}

/// All jobs of one scenario.
#[derive(Debug, Default)]
pub struct JobSet {
    /// The jobs, which may be incomplete: see [`Job::complete`].
    pub jobs: Vec<Job>,
    /// What could not be done as requested; completes the sentence "N scenarios: …".
    pub note: Option<&'static str>,
    /// At how many moments each process can be killed or paused, if that is requested.
    pub moments: BTreeMap<String, usize>,
}

impl JobSet {
    pub(super) const TOO_LONG_FOR_EXHAUSTION: &str =
        "too long for --exhaust-fds all; name a process and a number";
    pub(super) const TOO_MANY_FOR_EXHAUSTION: &str =
        "only the first 20 pipes and children of each process failed";
    const STEPWISE_ONLY: &str = "left out, since they go step by step only: a step says when something happens, expects `broken`, or may end a process before it reports";
    const FILE_ORDER_ONLY: &str =
        "only in the order of the file, because of time limits or of too many orders";

    /// The jobs that a request asks for.
    #[must_use]
    pub fn for_request(
        scenario: &Scenario,
        path: &Path,
        choices: Choices,
        request: &VariantRequest,
    ) -> Self {
        let mut moments = BTreeMap::new();
        let (variants, note) = match request {
            VariantRequest::Order(OrderOption::File) => (vec![Variant::default()], None),
            VariantRequest::Order(OrderOption::Random(seed)) => {
                (vec![Variant::Stepwise(Order::Random(*seed))], None)
            }
            VariantRequest::Order(OrderOption::All) => all_orders(scenario, choices),
            VariantRequest::Concurrent if can_run_concurrently(scenario) => {
                (vec![Variant::Concurrent], None)
            }
            VariantRequest::Concurrent => (Vec::new(), Some(Self::STEPWISE_ONLY)),
            VariantRequest::Kill(selector) => {
                let kill = |role, number, at| Variant::Kill { role, number, at };
                (injections(scenario, choices, selector, kill, &mut moments), None)
            }
            VariantRequest::Pause(selector) => {
                let pause = |role, number, at| Variant::Pause { role, number, at };
                (injections(scenario, choices, selector, pause, &mut moments), None)
            }
            VariantRequest::ExhaustFds(selector) => fd_exhaustion::variants(scenario, selector),
        };
        let job = |variant| match &variant {
            // There may be thousands of them, each with traces of the whole scenario.
            Variant::Kill { .. } | Variant::Pause { .. } => {
                Some(Job::incomplete(scenario, path, choices, variant))
            }
            _ => Job::new(scenario, path, choices, variant).ok(),
        };
        Self { jobs: variants.into_iter().filter_map(job).collect(), note, moments }
    }
}

fn all_orders(scenario: &Scenario, choices: Choices) -> (Vec<Variant>, Option<&'static str>) {
    match model::orders(scenario, choices).filter(|_| !is_timed(scenario)) {
        Some(orders) => {
            let variant = |order: Vec<TaskId>| Variant::Stepwise(Order::Tasks(order));
            (orders.into_iter().map(variant).collect(), None)
        }
        None => (vec![Variant::default()], Some(JobSet::FILE_ORDER_ONLY)),
    }
}

fn injections(
    scenario: &Scenario,
    choices: Choices,
    selector: &InjectionSelector,
    variant: impl Fn(String, usize, InjectionPoint) -> Variant,
    moments: &mut BTreeMap<String, usize>,
) -> Vec<Variant> {
    let mut variants = Vec::new();
    for at in model::injection_points(scenario, choices) {
        let role = scenario.steps[at.step].task_id.process.to_string();
        let count = moments.entry(role.clone()).or_insert(0);
        *count += 1;
        if selector.selects(&role, *count) {
            variants.push(variant(role, *count, at));
        }
    }
    variants
}

fn is_timed(scenario: &Scenario) -> bool {
    scenario.steps.iter().any(|step| step.within_ms.is_some())
}

impl Job {
    /// Derives a job from a scenario and a variant. The error says which part of the variant does not fit the scenario: a
    /// variant that was read from a file may belong to another scenario.
    pub fn new(
        scenario: &Scenario,
        path: &Path,
        choices: Choices,
        variant: Variant,
    ) -> Result<Self, String> {
        let mut job =
            Self { is_complete: true, ..Self::incomplete(scenario, path, choices, variant) };
        match job.variant.clone() {
            Variant::Stepwise(order) => {
                job.allow_by_file();
                job.schedule(&order);
            }
            Variant::Concurrent => job.allow_by_file(),
            Variant::Kill { at, .. } => {
                job.require(at)?;
                let (allowed, schedule) = model::allowed_if_killed(scenario, choices, at);
                job.edit(Edits::expect(scenario, &allowed));
                (job.allowed, job.mode) = (allowed, ExecutionMode::Kill(schedule, at));
            }
            Variant::Pause { at, .. } => {
                job.require(at)?;
                job.allowed = model::allowed(scenario, choices);
                job.mode = ExecutionMode::Pause(model::schedule(scenario, choices), at);
            }
            Variant::ExhaustFds { step, .. } => {
                let edits = fd_exhaustion::edits(scenario, step)
                    .ok_or("it names a step that makes nothing in this scenario")?;
                job.edit(edits);
                job.allowed = model::allowed(&job.scenario, choices);
                job.mode = ExecutionMode::Stepwise(model::schedule(&job.scenario, choices));
                if !job.allowed.is_known() {
                    return Err(
                        "the scenario has more outcomes than the model can enumerate".into()
                    );
                }
            }
        }
        Ok(job)
    }

    /// A job without what the model derives, which takes little memory. [`Job::complete`] adds the rest.
    fn incomplete(scenario: &Scenario, path: &Path, choices: Choices, variant: Variant) -> Self {
        Self {
            scenario: scenario.clone(),
            path: path.to_owned(),
            choices,
            variant,
            edits: Edits::default(),
            allowed: Allowed { traces: Vec::new(), complete: false, races: Vec::new() },
            mode: ExecutionMode::Concurrent,
            exemption: None,
            unchecked: false,
            follows_file: false,
            is_foreign: false,
            order_comment: None,
            is_complete: false,
        }
    }

    /// The job with what the model derives from the scenario and the variant. A job must be complete to be executed or judged.
    #[must_use]
    pub fn complete(self: Arc<Self>) -> Arc<Self> {
        if self.is_complete {
            return self;
        }
        match Self::new(&self.scenario, &self.path, self.choices, self.variant.clone()) {
            Ok(complete) => {
                let (unchecked, is_foreign) = (self.unchecked, self.is_foreign);
                Arc::new(Self { unchecked, is_foreign, ..complete })
            }
            // This cannot happen: the variant of an incomplete job was derived from its scenario.
            Err(_) => self,
        }
    }

    fn edit(&mut self, edits: Edits) {
        self.scenario = edits.apply(&self.scenario);
        self.edits = edits;
    }

    fn require(&self, at: InjectionPoint) -> Result<(), String> {
        let exists = at.step < self.scenario.steps.len();
        exists.then_some(()).ok_or("it names a step that the scenario does not have".into())
    }

    fn allow_by_file(&mut self) {
        self.allowed = model::allowed(&self.scenario, self.choices);
        self.exemption = ChoiceExemption::find(&self.scenario, self.choices, &self.allowed);
    }

    fn schedule(&mut self, order: &Order) {
        let order = order.release_order(&self.scenario);
        let (trace, schedule) = model::in_order(&self.scenario, self.choices, &order);
        // Time limits may make another order wrong. In that case the order of the file is used.
        let schedule = match self.allowed.traces.contains(&trace) || !is_timed(&self.scenario) {
            true => schedule,
            false => model::schedule(&self.scenario, self.choices),
        };
        if order != model::ReleaseOrder::File {
            self.order_comment = Some(order_comment(&self.scenario, &schedule));
        }
        self.mode = ExecutionMode::Stepwise(schedule);
    }

    /// Takes the outcomes in the file as right, or not. If the model contradicts them, the run follows the file alone.
    #[must_use]
    pub fn with_unchecked(mut self, unchecked: bool) -> Self {
        self.unchecked = unchecked;
        let is_plain = matches!(self.variant, Variant::Stepwise(_) | Variant::Concurrent);
        let contradicts = |trace| disagreement(&self.scenario, trace).is_some();
        if unchecked
            && is_plain
            && self.allowed.is_known()
            && self.allowed.traces.iter().any(contradicts)
        {
            self.follows_file = true;
            let (trace, schedule) = model::follow_file(&self.scenario, self.choices);
            self.allowed = Allowed::one(trace);
            if let Variant::Stepwise(_) = self.variant {
                self.mode = ExecutionMode::Stepwise(schedule);
            }
        }
        self
    }

    /// The flags of `run` that execute this job again.
    #[must_use]
    pub fn flags(&self) -> String {
        let unchecked = if self.unchecked { "--unchecked" } else { "" };
        format!("{} {unchecked}", self.variant.flags()).trim().to_owned()
    }
}

fn order_comment(scenario: &Scenario, schedule: &Schedule) -> String {
    let task = |step: usize| TaskId::clone(&scenario.steps[step].task_id);
    let tasks: Vec<TaskId> = schedule.releases.iter().map(|release| task(release.step)).collect();
    format!("# {}", order_line(&tasks))
}
