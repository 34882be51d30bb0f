//! How long the agent of an adapter takes to connect and to perform a step.

use crate::runner::{Event, EventKind, Events};
use gipc_agent::{FromAgent, ToAgent};

/// Durations in the runs so far, in microseconds.
#[derive(Default)]
pub(super) struct Times {
    /// From the start of a run to the hello of main.
    hello: Vec<u64>,
    /// From the release of a step to its end.
    step: Vec<u64>,
}

impl Times {
    pub(super) fn add(&mut self, events: &Events) {
        let mut last_sent: Option<(u64, usize)> = None;
        for Event { us, kind } in events.iter() {
            match kind {
                EventKind::Hello { is } if is.role == "main" => self.hello.push(us),
                EventKind::Sent { is: ToAgent::Step { id, .. }, .. } => {
                    last_sent = Some((us, id));
                }
                EventKind::Received { is: FromAgent::End { id, .. }, .. } => {
                    let sent = last_sent.take().filter(|(_, sent)| *sent == id);
                    self.step.extend(sent.map(|(before, _)| us.saturating_sub(before)));
                }
                _ => {}
            }
        }
    }

    /// The median times that main took to connect and a step took to complete, as a sentence.
    pub(super) fn sentence(&self) -> String {
        let median = |times: &[u64]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
                .get(times.len() / 2)
                .map_or("–".to_owned(), |us| format!("{:.1} ms", *us as f64 / 1000.0))
        };
        format!(
            "main says hello after {}; a step takes {}",
            median(&self.hello),
            median(&self.step)
        )
    }
}
