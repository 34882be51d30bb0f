//! Estimates how long the rest of a run of the suite takes: from the times of its scenarios in earlier runs, corrected by
//! how long the finished ones took this time.

use std::time::Duration;

/// How many predicted seconds must have been completed before the estimate is corrected.
const MIN_SAMPLE: f64 = 1.0;
/// The maximum factor by which a machine is assumed to be slower or faster than before.
const MAX_CORRECTION: f64 = 20.0;

/// The runs that have not started, and the sums over those that have ended. All times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct RemainingTime {
    at_once: f64,
    planned: usize,
    /// How many of the planned runs have a remembered time.
    remembered: usize,
    /// The runs that have not started: the sum of the remembered times, and how many have none.
    waiting: f64,
    waiting_unknown: usize,
    /// The runs that have ended: how many, how long they took, and the sum of their remembered times.
    ended: usize,
    took: f64,
    took_of_remembered: f64,
    predicted: f64,
}

impl RemainingTime {
    /// Runs with these remembered times, this many of which are executed at once.
    pub(super) fn new(times: &[Option<f64>], at_once: usize) -> Self {
        let known: Vec<f64> = times.iter().flatten().copied().collect();
        Self {
            at_once: at_once.max(1) as f64,
            planned: times.len(),
            remembered: known.len(),
            waiting: known.iter().sum(),
            waiting_unknown: times.len() - known.len(),
            ..Self::default()
        }
    }

    /// Records that a run with this remembered time starts.
    pub(super) fn start(&mut self, remembered: Option<f64>) {
        match remembered {
            Some(seconds) => self.waiting = (self.waiting - seconds).max(0.0),
            None => self.waiting_unknown = self.waiting_unknown.saturating_sub(1),
        }
    }

    /// Records that a run with this remembered time has ended.
    pub(super) fn end(&mut self, remembered: Option<f64>, took: f64) {
        self.ended += 1;
        self.took += took;
        if let Some(seconds) = remembered {
            self.predicted += seconds;
            self.took_of_remembered += took;
        }
    }

    /// Estimates how long the rest takes while these runs are in progress: the remembered time of each, and how long it has
    /// lasted. `None` while too little is known.
    pub(super) fn estimate(&self, running: &[(Option<f64>, f64)]) -> Option<Duration> {
        let is_known = self.remembered * 2 >= self.planned || self.ended * 4 >= self.planned;
        if !is_known || self.planned == 0 {
            return None;
        }
        let correction = match self.predicted >= MIN_SAMPLE {
            true => (self.took_of_remembered / self.predicted)
                .clamp(1.0 / MAX_CORRECTION, MAX_CORRECTION),
            false => 1.0,
        };
        let mean = match self.ended {
            0 => self.waiting / self.remembered.max(1) as f64,
            ended => self.took / ended as f64,
        };
        let left = running.iter().map(|(remembered, lasted)| {
            let whole = remembered.map_or(mean, |seconds| seconds * correction);
            (whole - lasted).max(0.0)
        });
        let left: Vec<f64> = left.collect();
        let waiting = self.waiting * correction + self.waiting_unknown as f64 * mean;
        let shared = (waiting + left.iter().sum::<f64>()) / self.at_once;
        let longest = left.into_iter().fold(0.0, f64::max);
        Some(Duration::from_secs_f64(shared.max(longest).clamp(0.0, 1e9)))
    }
}

#[cfg(test)]
mod tests {
    use super::RemainingTime;

    fn seconds(time: &RemainingTime, running: &[(Option<f64>, f64)]) -> Option<u64> {
        time.estimate(running).map(|left| left.as_secs_f64().round() as u64)
    }

    #[test]
    fn remembered_times_are_shared_among_the_runs_at_once() {
        let mut time = RemainingTime::new(&[Some(100.0), Some(20.0), Some(80.0)], 2);
        assert_eq!(seconds(&time, &[]), Some(100));
        time.start(Some(20.0));
        time.start(Some(80.0));
        assert_eq!(seconds(&time, &[(Some(20.0), 10.0), (Some(80.0), 10.0)]), Some(90));
    }

    #[test]
    fn the_longest_run_limits_the_estimate_from_below() {
        let mut time = RemainingTime::new(&[Some(60.0), Some(2.0)], 2);
        time.start(Some(60.0));
        time.start(Some(2.0));
        time.end(Some(2.0), 2.0);
        assert_eq!(seconds(&time, &[(Some(60.0), 2.0)]), Some(58));
    }

    #[test]
    fn a_slower_machine_corrects_the_estimate() {
        let mut time = RemainingTime::new(&[Some(10.0), Some(10.0)], 1);
        time.start(Some(10.0));
        time.end(Some(10.0), 30.0);
        assert_eq!(seconds(&time, &[]), Some(30));
    }

    #[test]
    fn a_first_run_is_estimated_once_a_quarter_has_ended() {
        let mut time = RemainingTime::new(&[None; 8], 1);
        assert_eq!(seconds(&time, &[]), None);
        for _ in 0..2 {
            time.start(None);
            time.end(None, 3.0);
        }
        assert_eq!(seconds(&time, &[]), Some(18));
    }

    #[test]
    fn an_overdue_run_needs_no_negative_time() {
        let mut time = RemainingTime::new(&[Some(1.0)], 1);
        time.start(Some(1.0));
        assert_eq!(seconds(&time, &[(Some(1.0), 50.0)]), Some(0));
    }
}
