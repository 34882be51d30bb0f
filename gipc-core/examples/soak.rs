//! A long run that must leave nothing: `soak CHILDREN MESSAGES`. Children in bursts of 200, then messages to a child
//! with puts and gets cancelled at random on both sides. It says what is left over, and fails if anything is.

#[expect(dead_code, reason = "shared with programs that need more of it")]
mod support;

use gipc_core::{Command, Exit, Reader, Start, entry, init, pipe};
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::{Pin, pin};
use std::task::Poll;

type Failure = Box<dyn std::error::Error>;

/// As many children are alive at once.
const BURST: usize = 200;

/// The length of the longest messages, in bytes.
const LARGE: usize = 3 << 20;

entry! {
    async fn brief(start: Start<u32>) -> u32 {
        start.args
    }
}

entry! {
    /// Takes messages, giving up one get in four. Returns how many came, and whether each was whole and after the one
    /// before it.
    async fn sink(start: Start<(), Reader>) -> (u64, bool) {
        let r = start.handles;
        let (mut came, mut right, mut last, mut dice) = (0, true, None, Dice(1));
        loop {
            if dice.roll(4) == 0 {
                // What it would have got must come with the next get.
                match once(pin!(r.get())).await {
                    Some(Ok(Some(message))) => (came, right) = (came + 1, right && follows(&mut last, &message)),
                    Some(_) => return (came, right),
                    None => {}
                }
            }
            match r.get().await {
                Ok(Some(message)) => (came, right) = (came + 1, right && follows(&mut last, &message)),
                Ok(None) => return (came, right),
                Err(_) => return (came, false),
            }
        }
    }
}

/// A message is its number, and as many bytes as that says, each telling its place: up to 200, one in 1,000 has 100,000, and one
/// in 100,000 has 3 MiB.
fn message(number: u64) -> Vec<u8> {
    let len = match number {
        // Large enough for huge pages, and for a pipe that is raised.
        _ if number % 100_000 == 13 => LARGE,
        _ if number % 1000 == 7 => 100_000,
        _ => number as usize * 37 % 200,
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|i| (i as u64 + number) as u8));
    bytes
}

fn follows(last: &mut Option<u64>, got: &[u8]) -> bool {
    let Some(number) = got.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return false;
    };
    let after = last.is_none_or(|last| number > last);
    *last = Some(number);
    after && got == message(number)
}

/// Random enough, and the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn main() -> Result<(), Failure> {
    init!(brief, sink);
    let words: Vec<u64> =
        std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [children, messages] = words[..] else {
        return Err("usage: soak CHILDREN MESSAGES".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        bursts(BURST as u64).await?; // what is needed once is not left over
        talk(1000).await?;
        let before = state();
        bursts(children).await?;
        talk(messages).await?;
        tokio::task::yield_now().await;
        let after = state();
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let mut out = std::io::stdout();
        writeln!(out, "{children} children, {messages} messages")?;
        writeln!(out, "before: {before:?}\nafter:  {after:?}, {alive} tasks")?;
        writeln!(out, "peak: {} KiB", support::peak_rss_kb())?;
        let left = (before.descriptors, 0, 0) != (after.descriptors, after.children, alive);
        // glibc keeps up to twice the largest block that was given back.
        let kept = 4096 + 2 * (LARGE as u64 >> 10);
        if left || after.rss_kb > before.rss_kb + kept {
            Err("something is left over".into())
        } else {
            Ok(())
        }
    })
}

async fn bursts(count: u64) -> Result<(), Failure> {
    for first in (0..count).step_by(BURST) {
        let burst = first..count.min(first + BURST as u64);
        let spawn =
            |n: u64| Ok::<_, Failure>((n as u32, Command::new(brief())?.spawn(&(n as u32))?));
        let children: Vec<_> = burst.map(spawn).collect::<Result<_, _>>()?;
        for (n, child) in children {
            if child.join().await? != Exit::Returned(n) {
                return Err(format!("child {n} did not return its number").into());
            }
        }
    }
    Ok(())
}

async fn talk(count: u64) -> Result<(), Failure> {
    let (r, w) = pipe()?;
    let child = Command::new(sink())?.handles(r).spawn(&())?;
    let (mut sent, mut dice) = (0, Dice(2));
    for number in 0..count {
        let message = message(number);
        if dice.roll(4) == 0 {
            sent += u64::from(matches!(once(pin!(w.put(&message))).await, Some(Ok(()))));
        } else {
            w.put(&message).await?;
            sent += 1;
        }
    }
    // The last one may still be finished.
    w.put(&message(count)).await?;
    w.close()?;
    match child.join().await? {
        // One that was given up in its middle arrived all the same.
        Exit::Returned((came, true)) if came > sent && came <= count + 1 => Ok(()),
        other => Err(format!("{sent} of {count} were put, and the child says {other:?}").into()),
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    descriptors: usize,
    children: usize,
    rss_kb: u64,
}

fn state() -> State {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let own = std::process::id();
    let children =
        std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    State {
        descriptors: std::fs::read_dir("/dev/fd").map_or(0, Iterator::count),
        children: children.split_whitespace().count(),
        rss_kb: pages * 4,
    }
}
