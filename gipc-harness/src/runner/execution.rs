//! One execution of a scenario: its state, its inbox, and its first stall. The execution modes drive it.

use super::agent_conversation::AgentConversation;
use super::inbox::{Inbox, Incoming};
use super::output::RunOutput;
use super::quiescence::{self, Quiescence, QuiescenceDetector};
use super::run_state::RunState;
use super::settings::Settings;
use super::silence::SilenceWatch;
use super::stall;
use super::supervisor::{LeakedProcess, SOCKET, Supervisor, token};
use super::timings::{Phase, PhaseClock};
use crate::adapter::{Adapter, transport};
use crate::scenario::{Scenario, TaskId};
use crate::trace::{
    BlockedIn, EvidenceTier, Leftover, Observation, Occurrence, ProcessExit, StallEvidence,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause while waiting for the processes that a ping has woken to go to sleep.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

pub(super) struct Execution<'a> {
    pub(super) state: RunState<'a>,
    scenario: &'a Scenario,
    settings: &'a Settings,
    agents: AgentConversation<'a>,
    inbox: Inbox,
    /// The first stall. Later ones follow from it.
    stall: Option<StallEvidence>,
    silence: SilenceWatch,
    clock: PhaseClock,
}

impl<'a> Execution<'a> {
    /// Starts the supervisor, which starts `main`, and listens for connections.
    pub(super) async fn start(
        scenario: &'a Scenario,
        adapter: &'a Adapter,
        settings: &'a Settings,
    ) -> io::Result<Self> {
        let mut clock = PhaseClock::start();
        let mut command = adapter.command.clone();
        command.push("main".to_owned());
        let env = &adapter.manifest.env;
        let supervisor = Supervisor::start(&command, env, &settings.supervisors).await?;
        let socket = supervisor.scratch().join(SOCKET);
        let agents = transport::listen(&socket, token(supervisor.scratch())).map_err(|error| {
            let socket = socket.display();
            io::Error::other(format!("cannot listen at {socket}: {error}; is TMPDIR too long?"))
        })?;
        let mut supervisor = supervisor.start_main().await?;
        let mut state = RunState::new(scenario, &adapter.manifest.keeps);
        // The pid of main must be known before its agent connects.
        match supervisor.next().await {
            Some(event) => drop(state.handle_supervisor_event(event)),
            None => state.fail("the supervisor did not start"),
        }
        let profiles = &adapter.manifest.profiles;
        clock.charge(Phase::ProcessStart);
        Ok(Self {
            state,
            scenario,
            settings,
            agents: AgentConversation::new(scenario, profiles, settings),
            inbox: Inbox::new(agents, supervisor, settings.interrupt.clone()),
            stall: None,
            silence: SilenceWatch::new(settings.notices.clone()),
            clock,
        })
    }

    /// Waits until `main` has connected and has refused what it must refuse.
    pub(super) async fn await_main(&mut self) {
        let mut detector = self.new_detector();
        while !self.state.is_over() && !self.state.sessions.has_connected("main") {
            if self.state.sessions.exit_of_unconnected_main().is_some() {
                // What `main` sent before its end may arrive after the report of its end, but not after a silence.
                if !self.next(&mut detector).await {
                    break;
                }
            } else if let Some(stall) = self.next_or_stall(&mut detector, |_, _| false).await {
                self.record_stall(stall).await;
                break;
            }
        }
        if let Some(exit) = self.state.sessions.exit_of_unconnected_main() {
            self.state.fail(format!("main ended before it said hello ({exit})"));
        }
        if !self.state.sessions.has_connected("main") {
            self.state.fail("main did not connect");
        }
        let mut detector = self.new_detector();
        while !self.state.is_over()
            && self.state.sessions.is_alive("main")
            && !self.agents.is_probe_passed()
        {
            let stall = self.next_or_stall(&mut detector, |_, _| false).await;
            if stall.is_some() && !self.agents.is_probe_passed() {
                self.state.fail("main does not answer to what it should refuse");
            }
        }
    }

    pub(super) fn new_detector(&self) -> QuiescenceDetector {
        QuiescenceDetector::new(self.settings)
    }

    pub(super) fn release(&mut self, step: usize) {
        self.agents.release(&mut self.state, step);
    }

    pub(super) fn hand_over(&mut self, step: usize) {
        self.agents.hand_over(&mut self.state, step);
    }

    /// Handles the next thing that arrives. Returns false if nothing arrives within the delay of the detector.
    pub(super) async fn next(&mut self, detector: &mut QuiescenceDetector) -> bool {
        let processes = self.state.sessions.connected().len();
        let deadline = Instant::now() + detector.delay(processes);
        self.next_until(detector, deadline).await
    }

    async fn next_until(&mut self, detector: &mut QuiescenceDetector, deadline: Instant) -> bool {
        let state = &self.state;
        self.silence.notice(|| {
            (state.steps.open_steps().iter().copied().collect(), state.expected_processes())
        });
        let before = self.state.activity();
        loop {
            let incoming = self.inbox.next(deadline).await;
            self.clock.charge_wait(&incoming);
            match incoming {
                Incoming::Agent(event) => self.agents.handle(&mut self.state, event),
                Incoming::Supervisor(event) => {
                    if !self.state.handle_supervisor_event(event) {
                        continue;
                    }
                }
                Incoming::SupervisorGone => self.state.fail("the supervisor is gone"),
                Incoming::Interrupted => self.interrupt(),
                Incoming::Silence => {
                    self.state.watch_limits();
                    if self.state.settle_censuses() {
                        break;
                    }
                    return false;
                }
            }
            break;
        }
        self.clock.charge(Phase::Protocol);
        // An answer to a ping is not activity.
        if self.state.activity() != before {
            detector.reset();
            self.silence.reset();
        }
        true
    }

    /// Gives up the run, and records what it was waiting for.
    fn interrupt(&mut self) {
        if !self.state.has_failed() {
            let evidence =
                StallEvidence { tier: EvidenceTier::Interrupted, ..StallEvidence::default() };
            let supervisor = self.inbox.supervisor_pid();
            self.stall = Some(stall::collect(&self.state, supervisor, evidence));
        }
        self.state.fail("interrupted");
    }

    /// Handles the next thing that arrives. If nothing arrives, returns the evidence for a stall, if there is any.
    ///
    /// If only some processes are quiet, `is_enough` says whether nothing but the deadlocked steps is waited for.
    pub(super) async fn next_or_stall(
        &mut self,
        detector: &mut QuiescenceDetector,
        is_enough: impl Fn(&RunState<'_>, &BTreeSet<usize>) -> bool,
    ) -> Option<StallEvidence> {
        if self.next(detector).await {
            detector.continue_rounds(&mut self.state);
            return None;
        }
        let partial = match detector.examine(&mut self.state, self.inbox.supervisor_pid()) {
            Quiescence::None => return None,
            // All processes slept at one instant. Everything that they had sent before has arrived, and must be handled
            // first.
            Quiescence::All(tier @ EvidenceTier::Kernel) => {
                let is_proven = self.has_handled_all().await;
                return is_proven.then(|| StallEvidence { tier, ..Default::default() });
            }
            // Everything that had been sent before must be handled first.
            _ if !self.is_silent().await => return None,
            Quiescence::All(tier) => return Some(StallEvidence { tier, ..Default::default() }),
            Quiescence::Partial(partial) => partial,
        };
        let tier = EvidenceTier::KernelPartial;
        let still_running = partial.still_running().clone();
        let stall = StallEvidence { tier, still_running, ..Default::default() };
        let evidence = stall::collect(&self.state, self.inbox.supervisor_pid(), stall.clone());
        let deadlocked = (self.settings.find_deadlocked)(self.scenario, &evidence);
        let is_proven = is_enough(&self.state, &deadlocked)
            && partial.still_holds(&self.state, self.inbox.supervisor_pid())
            && self.is_silent().await;
        is_proven.then_some(stall)
    }

    /// Waits until nothing arrives any more. Returns whether nothing had happened until then.
    async fn is_silent(&mut self) -> bool {
        let before = self.state.activity();
        self.handle_until_silent().await;
        self.state.activity() == before
    }

    async fn handle_until_silent(&mut self) {
        let mut detector = self.new_detector();
        let quiet_period = self.settings.quiet_period;
        while !self.state.is_over()
            && self.next_until(&mut detector, Instant::now() + quiet_period).await
        {}
    }

    /// Handles what has arrived. Returns true if there was nothing but answers to pings.
    async fn has_handled_all(&mut self) -> bool {
        let before = self.state.activity();
        let mut detector = self.new_detector();
        self.handle_arrived(&mut detector).await;
        self.state.activity() == before
    }

    /// Handles what arrives until all processes sleep and nothing is left to handle. Where the kernel does not show whether
    /// they sleep, until nothing arrives for the quiet period.
    async fn handle_until_asleep(&mut self) {
        let mut detector = self.new_detector();
        let mut pause = FIRST_PAUSE;
        self.handle_arrived(&mut detector).await;
        while !self.state.is_over() && pause <= self.settings.quiet_period {
            if quiescence::are_all_asleep(self.inbox.supervisor_pid()) {
                if self.has_handled_all().await {
                    return;
                }
            } else if !self.next_until(&mut detector, Instant::now() + pause).await {
                pause *= 2;
            }
        }
        self.handle_until_silent().await;
    }

    /// Handles what has arrived, without waiting for more.
    async fn handle_arrived(&mut self, detector: &mut QuiescenceDetector) {
        while !self.state.is_over() && self.next_until(detector, Instant::now()).await {}
    }

    /// Waits until a task is blocked: it has begun a step that stays open, and since then its loop has turned twice or all
    /// its threads sleep. Returns false if the task has no open step any more, or if the timeout expires first.
    pub(super) async fn await_blocked(&mut self, task: &TaskId) -> bool {
        let mut detector = self.new_detector();
        let mut was_silent = false;
        while let Some(step) = self.state.steps.open_step_of(task) {
            if self.state.steps.has_begun(step) {
                match detector.is_blocked(&mut self.state, &task.process, was_silent) {
                    // The agent may have sent the end of the step after the inbox was read and before the task slept.
                    Some(true) => {
                        self.handle_arrived(&mut detector).await;
                        if self.state.steps.is_open(step) {
                            return true;
                        }
                        detector = self.new_detector();
                        continue;
                    }
                    Some(false) => {}
                    None => self.state.stop_as_unsupported(None, "cannot observe blocking here"),
                }
            }
            was_silent = !self.next(&mut detector).await;
            let is_alive = self.state.sessions.is_alive(&task.process);
            if self.state.is_over() || !is_alive || detector.has_timed_out() {
                return false;
            }
        }
        false
    }

    /// Records a stall. Only the first one is kept. While it lasts, its evidence is collected again at each later stall,
    /// because only then all processes that wait for each other are in it.
    pub(super) async fn record_stall(&mut self, stall: StallEvidence) {
        self.stall = Some(match self.stall.take() {
            Some(first) => self.update(first, stall),
            None => {
                self.state.steps.note(Occurrence::Stalled);
                self.examine_stall(stall).await
            }
        });
        self.clock.charge(Phase::Quiescence);
    }

    fn update(&self, first: StallEvidence, later: StallEvidence) -> StallEvidence {
        if !first.overdue.iter().all(|step| self.state.steps.is_open(*step)) {
            return first;
        }
        let evidence = match later.tier {
            // A process that was still running at the first stall may be quiet now, and is then shown with the others.
            EvidenceTier::Kernel => {
                StallEvidence { tier: later.tier, still_running: later.still_running, ..first }
            }
            _ => first,
        };
        stall::collect(&self.state, self.inbox.supervisor_pid(), evidence)
    }

    async fn examine_stall(&mut self, stall: StallEvidence) -> StallEvidence {
        let mut evidence = stall::collect(&self.state, self.inbox.supervisor_pid(), stall);
        let hung_up = self.state.sessions.disconnected_but_asleep(&evidence.blocked_in);
        if let Some(fault) =
            hung_up.map(|process| format!("{process} closed its connection and is still running"))
        {
            self.state.fail(fault);
        }
        // Ping the loops only after the evidence is collected: a ping wakes a loop, and could end the stall.
        let open = self.state.steps.open_steps().clone();
        evidence.loops_turning = self.ping_loops(&evidence.blocked_in).await;
        let state = &self.state;
        evidence.woken_by_ping =
            open.into_iter().filter(|step| state.steps.has_completed(*step)).collect();
        evidence
    }

    /// Pings all loops, and returns for each whether it turned: true if it has answered, false if it still sleeps although
    /// the ping has reached it. If the ping wakes a sleeping process, waits until the process does either. A process that
    /// did not sleep and does not answer is left out, since it may only lack processor time.
    async fn ping_loops(&mut self, slept: &BTreeMap<String, BlockedIn>) -> BTreeMap<String, bool> {
        let ping = self.state.ping_all();
        let detector = self.new_detector();
        let mut turning = BTreeMap::new();
        while !self.state.is_over() {
            self.handle_until_asleep().await;
            let asleep = self.state.sleeping_loops();
            // What a process sent before it went to sleep has arrived. It must be handled before the sleep counts.
            self.has_handled_all().await;
            let state = &self.state;
            let mut are_all_known = true;
            for process in state.sessions.alive_loops() {
                if state.pings.last_answer(process) >= ping {
                    turning.insert(process.to_owned(), true);
                } else if asleep.contains(process) {
                    turning.insert(process.to_owned(), false);
                } else {
                    turning.remove(process);
                    are_all_known &= !slept.contains_key(process);
                }
            }
            if are_all_known || detector.has_timed_out() {
                break;
            }
        }
        turning
    }

    /// Ends the run: kills and reaps the processes that are left, and returns what was observed.
    pub(super) async fn finish(mut self) -> RunOutput {
        // The report of the end of a process may arrive after that of `main` although the process ended first, especially
        // where the harness polls for ends.
        let mut unreported = self.state.sessions.ended_but_not_drained();
        while let Some(event) = match unreported.is_empty() {
            true => self.inbox.try_next_agent_event(),
            false => self.inbox.next_agent_event().await,
        } {
            self.agents.handle(&mut self.state, event);
            unreported.retain(|process| !self.state.sessions.is_drained(process));
        }
        let has_finished = self.state.sessions.exits().contains_key("main") && self.stall.is_none();
        self.state.sessions.complete_exits();
        let supervisor = self.inbox.into_supervisor();
        let sessions = &self.state.sessions;
        let connected: Vec<i32> = sessions.pids().into_values().collect();
        let finished = supervisor.finish(has_finished, &connected, || sessions.kill_all()).await;
        let (leaked, printed) = finished.unwrap_or_else(|error| {
            self.state.fail(error.to_string());
            Default::default()
        });
        let leftovers = leaked.iter().filter_map(|one| report_leak(&mut self.state, one)).collect();
        let result = self.state.into_result();
        let observation = Observation {
            trace: result.trace,
            stall: self.stall,
            unsupported: result.unsupported,
            fault: result.fault,
            censuses: result.censuses,
            limit_times: result.limit_times,
            printed,
            history: result.history,
            pids: result.pids,
            leftovers,
        };
        self.clock.charge(Phase::ProcessEnd);
        RunOutput { observation, events: result.events, timings: self.clock.timings() }
    }
}

/// Records a violation for a process that was left behind, unless it is known to be a zombie of the scenario, or the
/// scenario says that it outlives the others.
fn report_leak(state: &mut RunState<'_>, leaked: &LeakedProcess) -> Option<Leftover> {
    let LeakedProcess { pid, parent, .. } = *leaked;
    let process = state.display_name(pid);
    let is_running = state.sessions.exits().get(&process) == Some(&ProcessExit::Running);
    let is_zombie = leaked.state == "Z";
    let is_meant = state.scenario.outlives().any(|name| name == process);
    if is_running && (is_zombie || is_meant) {
        return None;
    }
    state.add_violation(format!("{process} was left behind ({})", leaked.command));
    let parent = state.sessions.name_of(parent).map(str::to_owned);
    Some(Leftover { process, pid, parent, is_zombie, command: leaked.command.clone() })
}
