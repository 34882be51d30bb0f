//! Which variants of a scenario are requested: an order of releases, concurrent execution, or an injected fault.

use std::fmt;
use std::str::FromStr;

/// A request for variants, as the command line states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantRequest {
    /// One step at a time, in this order.
    Order(OrderOption),
    /// Every task gets all of its steps at once.
    Concurrent,
    /// A process is killed.
    Kill(InjectionSelector),
    /// A process is stopped and continued.
    Pause(InjectionSelector),
    /// A process has no free descriptor when it makes something.
    ExhaustFds(InjectionSelector),
}

impl Default for VariantRequest {
    fn default() -> Self {
        Self::Order(OrderOption::File)
    }
}

/// The requested orders of releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderOption {
    /// The order of the file, or that of its `# order:` line.
    File,
    /// A random order with this seed.
    Random(u64),
    /// Every order that differs in more than the sequence of steps that commute.
    All,
}

impl FromStr for OrderOption {
    type Err = String;

    /// Reads `file`, `all` or `random:SEED`.
    fn from_str(word: &str) -> Result<Self, String> {
        let seed = word.strip_prefix("random:").and_then(|seed| seed.parse().ok());
        match (word, seed) {
            ("file" | "story", _) => Ok(Self::File),
            ("all", _) => Ok(Self::All),
            (_, Some(seed)) => Ok(Self::Random(seed)),
            _ => Err("write file, all, or random: and a number".into()),
        }
    }
}

/// The places at which a fault is injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InjectionSelector {
    /// Every place in turn, each in its own run.
    All,
    /// The place of this process with this number, counted from 1.
    One(String, usize),
}

impl InjectionSelector {
    /// Whether the place of this process with this number is requested.
    #[must_use]
    pub fn selects(&self, role: &str, number: usize) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted, k) => wanted == role && *k == number,
        }
    }
}

impl FromStr for InjectionSelector {
    type Err = String;

    /// Reads `all` or `ROLE@K`.
    fn from_str(word: &str) -> Result<Self, String> {
        let one = word.split_once('@').and_then(|(role, k)| Some((role, k.parse().ok()?)));
        match (word, one) {
            ("all", _) => Ok(Self::All),
            (_, Some((role, k))) if k > 0 => Ok(Self::One(role.to_owned(), k)),
            _ => Err("write all, or a process and a number: child@3 is its third moment".into()),
        }
    }
}

impl fmt::Display for InjectionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(role, k) => write!(f, "{role}@{k}"),
        }
    }
}
