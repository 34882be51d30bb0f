//! Performs a scenario by a plan: lets one step go at a time, and waits for what the plan says is then over, or until
//! nothing moves any more.
//!
//! The order is the plan's; the conductor never decides what is right. Without a plan it is `batch`'s. What proves that
//! nothing moves is `stop`'s; how a process is hit, `blow`'s.

use super::Settings;
use super::fault_injection::InjectedFault;
use super::quiescence::QuiescenceDetector;
use super::run_state::RunState;
use super::supervisor::{self, LeakedProcess, SOCKET, Supervisor};
use crate::adapter::Adapter;
use crate::adapter::transport::{self, AgentEvent};
use crate::scenario::{ChildAct, Outcome, Scenario, TaskId, Verb};
use crate::trace::{
    ExecutionMode, InjectionPoint, Moment, Observation, ProcessExit, Release, Schedule,
    StallEvidence,
};
use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use tokio::sync::mpsc;

/// Performs the scenario with real processes.
///
/// An error is the harness's own (no room for a socket, no process for the supervisor). What the adapter does wrong
/// is in [`Observation::fault`]. Afterwards no process of the run is left, whatever it did.
pub async fn perform(
    scenario: &Scenario,
    course: &ExecutionMode,
    adapter: &Adapter,
    settings: &Settings,
) -> io::Result<Observation> {
    let mut command = adapter.command.clone();
    command.push("main".to_owned());
    let (mut supervisor, scratch) =
        Supervisor::start(&command, &adapter.manifest.env, &settings.exe).await?;
    let socket = scratch.join(SOCKET);
    let heard = transport::listen(&socket, supervisor::token(&scratch)).map_err(|error| {
        io::Error::other(format!(
            "cannot listen at {}: {error}; is TMPDIR too long?",
            socket.display()
        ))
    })?;
    supervisor.begin().await?;
    let mut stage = Execution {
        cast: RunState::new(scenario, &adapter.manifest.profiles, settings.capacity),
        scenario,
        settings,
        supervisor,
        heard,
        supervisor_gone: false,
        interrupt: settings.interrupt.clone(),
        stop: None,
    };
    stage.open().await;
    match course {
        ExecutionMode::Stepwise(plan) => stage.play(plan, None).await,
        ExecutionMode::Kill(plan, strike) => {
            stage.play(plan, Some((*strike, InjectedFault::Kill))).await
        }
        ExecutionMode::Pause(plan, strike) => {
            stage.play(plan, Some((*strike, InjectedFault::Pause))).await
        }
        ExecutionMode::Concurrent => stage.batch().await,
    }
    stage.close().await
}

/// To be accepted, read, understood and heard, twice over.
const HOPS: usize = 8;

pub(super) struct Execution<'a> {
    pub(super) cast: RunState<'a>,
    pub(super) scenario: &'a Scenario,
    pub(super) settings: &'a Settings,
    pub(super) supervisor: Supervisor,
    heard: mpsc::UnboundedReceiver<AgentEvent>,
    pub(super) stop: Option<StallEvidence>,
    supervisor_gone: bool,
    interrupt: tokio::sync::watch::Receiver<bool>,
}

impl Execution<'_> {
    /// Waits for main.
    async fn open(&mut self) {
        // Which process is main must be known before it can be heard.
        match self.supervisor.next().await {
            Some(event) => drop(self.cast.supervisor(event)),
            None => self.cast.fault = Some("the supervisor did not start".into()),
        }
        let opening = Release { starts: vec!["main".into()], ..Release::default() };
        self.settle(&opening, &[]).await;
        if !self.cast.is_here("main") && self.cast.fault.is_none() {
            self.cast.fault = Some("main did not dial back".into());
        }
        let mut watch = QuiescenceDetector::new(self.settings);
        while !self.cast.is_over() && self.cast.is_here("main") && !self.cast.is_honest() {
            if self.next(&mut watch).await {
                continue;
            }
            let quiet = watch.look(&mut self.cast, self.supervisor.pid());
            if self.stop(quiet, |_, _| false).await.is_some() && !self.cast.is_honest() {
                self.cast.fault = Some("main does not answer to what it should refuse".into());
            }
        }
    }

    async fn play(&mut self, plan: &Schedule, blow: Option<(InjectionPoint, InjectedFault)>) {
        let mut halted = BTreeSet::new();
        for (index, release) in plan.releases.iter().enumerate() {
            if self.cast.is_over() {
                return;
            }
            let step = &self.scenario.steps[release.step];
            // Its process never came, or is gone, or its task_id is stuck: the line never begins, nor any after it, even
            // if the task_id comes free later.
            if halted.contains(&step.task_id) || !self.cast.is_free(&step.task_id) {
                halted.insert(&step.task_id);
                continue;
            }
            let blow = blow.filter(|(strike, _)| match strike.moment {
                Moment::Begin => release.step == strike.step,
                Moment::End => release.completes.contains(&strike.step),
            });
            if let Some((strike, InjectedFault::Kill)) = blow {
                self.puts_rest(strike).await;
            }
            self.cast.release(release.step);
            // A child that is to be hit before it has said a word is not waited for.
            let next =
                plan.releases.get(index + 1).map(|next| &self.scenario.steps[next.step].verb);
            let hit = match next {
                Some(Verb::Kill { child } | Verb::Signal { child, .. }) => Some(child),
                Some(Verb::Child { act: ChildAct::Terminate, child }) => Some(child),
                _ => None,
            };
            if let Some((strike, blow)) = blow {
                self.strike(strike, blow, release).await;
            }
            let starts = release.starts.iter().filter(|role| Some(*role) != hit).cloned().collect();
            let release = Release { starts, ..release.clone() };
            self.untils(&release).await;
            self.settle(&release, &release.completes).await;
        }
        if !self.cast.is_over() {
            self.last_look().await;
        }
    }

    /// An `until` holds once all that ends before it has ended: this one, or one that was let go before.
    async fn untils(&mut self, release: &Release) {
        for (place, end) in release.completes.iter().copied().enumerate() {
            let Verb::Until { task_id } = &self.scenario.steps[end].verb else { continue };
            let before = Release { step: release.step, ..Release::default() };
            self.settle(&before, &release.completes[..place]).await;
            if self.cast.is_open(end) {
                self.until(end, task_id).await;
            }
        }
    }

    /// Waits until what the plan says is over is over; or until nothing moves, which is written down.
    async fn settle(&mut self, release: &Release, ends: &[usize]) {
        let mut watch = QuiescenceDetector::new(self.settings);
        while !self.cast.is_over() && !self.is_settled(release, ends) {
            if self.next(&mut watch).await {
                continue;
            }
            let quiet = watch.look(&mut self.cast, self.supervisor.pid());
            if let Some(stop) =
                self.stop(quiet, |stage, knot| stage.waits_for(release, ends, knot)).await
            {
                let late =
                    ends.iter().copied().filter(|step| !self.cast.has_ended(*step)).collect();
                self.note_stop(StallEvidence { late, ..stop }).await;
                return;
            }
        }
    }

    fn is_settled(&self, release: &Release, ends: &[usize]) -> bool {
        // A step that was never let go, or whose process is gone, is not waited for.
        let over = |step: &usize| {
            !self.cast.is_open(*step)
                || !self.cast.is_here(&self.scenario.steps[*step].task_id.process)
        };
        let gone = |role: &String| !self.cast.is_here(role);
        let come = |role: &String| {
            self.cast.sessions.contains_key(role)
                || (role == "main" && self.cast.fault.is_some())
                || (role != "main" && !self.was_spawned(release))
        };
        ends.iter().all(over) && release.starts.iter().all(come) && release.exits.iter().all(gone)
    }

    /// Whether the spawn that this release is (or brought to its end) succeeded.
    fn was_spawned(&self, release: &Release) -> bool {
        std::iter::once(&release.step).chain(&release.completes).any(|step| {
            let spawn = matches!(self.scenario.steps[*step].verb, Verb::Spawn { .. });
            spawn && self.cast.taken[*step].is(&Outcome::Ok)
        })
    }

    /// `until X blocks`.
    async fn until(&mut self, step: usize, task_id: &TaskId) {
        if self.rests(task_id).await {
            self.cast.end(step, Outcome::Ok);
            let process = self.scenario.steps[step].task_id.process.clone();
            self.cast.finish(&process);
        }
    }

    /// Waits until this task_id has begun a step that stays open, and its loop has turned twice since, or all its threads
    /// sleep. False if there is none any more, or if patience ends first.
    pub(super) async fn rests(&mut self, task_id: &TaskId) -> bool {
        let mut watch = QuiescenceDetector::new(self.settings);
        let mut silent = false;
        while let Some(current) = self.cast.current(task_id) {
            if self.cast.has_begun(current) {
                match watch.blocks(&mut self.cast, &task_id.process, silent) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => self.cast.cannot("cannot observe blocking here"),
                }
            }
            silent = !self.next(&mut watch).await;
            let in_vain = !self.cast.is_here(&task_id.process);
            if self.cast.is_over() || in_vain || watch.is_out_of_patience() {
                return false;
            }
        }
        false
    }

    /// Takes in the next thing that is heard; false if nothing was for the time of the trigger.
    pub(super) async fn next(&mut self, watch: &mut QuiescenceDetector) -> bool {
        let before = self.cast.events;
        let mut pause = pin!(tokio::time::sleep(watch.pause()));
        let rang = loop {
            tokio::select! {
                biased;
                Some(heard) = self.heard.recv() => self.cast.hear(heard),
                event = self.supervisor.next(), if !self.supervisor_gone => match event {
                    Some(event) => {
                        if !self.cast.supervisor(event) {
                            continue;
                        }
                    }
                    None => {
                        self.supervisor_gone = true;
                        self.cast.fault = Some("the supervisor is gone".into());
                    }
                },
                _ = self.interrupt.wait_for(|stop| *stop), if self.cast.fault.is_none() => {
                    self.cast.fault = Some("interrupted".into());
                }
                () = &mut pause => break true,
            }
            break false;
        };
        if rang {
            match self.what_came().await {
                Some(heard) => self.cast.hear(heard),
                None => return false,
            }
        }
        // An answer to a question of ours is no news.
        if self.cast.events != before {
            watch.heard();
        }
        true
    }

    /// Where this thread was let run too late, the clock has rung and something has come besides: then it is no silence.
    /// From a socket that nobody has dialled yet to here it takes some turns of the loop.
    async fn what_came(&mut self) -> Option<AgentEvent> {
        for _ in 0..HOPS {
            tokio::task::yield_now().await;
            if let Ok(heard) = self.heard.try_recv() {
                return Some(heard);
            }
        }
        None
    }

    /// The plan is at its end: main is gone, or what is still open must be seen to stand still.
    async fn last_look(&mut self) {
        let mut watch = QuiescenceDetector::new(self.settings);
        while !self.cast.is_over() && self.cast.is_here("main") {
            if self.next(&mut watch).await {
                continue;
            }
            let quiet = watch.look(&mut self.cast, self.supervisor.pid());
            let all = |stage: &Self, knot: &BTreeSet<usize>| stage.is_all_open(knot);
            if let Some(stop) = self.stop(quiet, all).await {
                self.note_stop(stop).await;
                return;
            }
        }
    }

    /// Sweeps the run's processes, and says what should not have been there.
    async fn close(mut self) -> io::Result<Observation> {
        while let Ok(heard) = self.heard.try_recv() {
            self.cast.hear(heard);
        }
        let finished = self.cast.ends.contains_key("main") && self.stop.is_none();
        let mut trace = self.cast.trace();
        let swept = self.supervisor.sweep(|| self.cast.kill_all()).await;
        let (left, printed) = swept.unwrap_or_else(|error| {
            self.cast.fault.get_or_insert(error.to_string());
            Default::default()
        });
        if finished {
            let leak = |left: &LeakedProcess| {
                let role = self.cast.role(left.pid);
                (trace.exits.get(&role) != Some(&ProcessExit::Running) || left.state != "Z")
                    .then(|| format!("{role} was left behind ({})", left.command))
            };
            trace.violations.extend(left.iter().filter_map(leak));
        }
        Ok(Observation {
            trace,
            stop: self.stop,
            unsupported: self.cast.unsupported,
            fault: self.cast.fault,
            record: self.cast.record,
            printed,
        })
    }
}
