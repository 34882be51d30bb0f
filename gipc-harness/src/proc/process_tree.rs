//! The processes below a process, from `/proc`. Where there is none, nothing is known.

use std::collections::BTreeMap;
use std::fs;

/// A process as its `stat` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcStat {
    /// Its number.
    pub pid: i32,
    /// The process that must reap it.
    pub parent: i32,
    /// Classified letter: `R`, `S`, `Z`, …
    pub state: char,
    /// When it started, in ticks since boot: with the number it names the process for good.
    pub since: u64,
}

/// Reads one process; `None` if there is none, or no `/proc`.
#[must_use]
pub fn member(pid: i32) -> Option<ProcStat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether the system shows processes at all: it must know at least the one that asks.
#[must_use]
pub fn is_shown() -> bool {
    i32::try_from(std::process::id()).is_ok_and(|own| member(own).is_some())
}

/// Every process below `root`, without it. `None` where the system does not show them.
#[must_use]
pub fn below(root: i32) -> Option<Vec<ProcStat>> {
    let mut children: BTreeMap<i32, Vec<ProcStat>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(member) = pid.and_then(member) {
            children.entry(member.parent).or_default().push(member);
        }
    }
    member(root)?;
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            open.push(child.pid);
            found.push(child);
        }
    }
    Some(found)
}

/// The command line of a process, in one line.
#[must_use]
pub fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

fn parse(stat: &str) -> Option<ProcStat> {
    // The name may contain anything, closing brackets too: what follows the last one is numbers.
    let (front, rest) = stat.rsplit_once(')')?;
    let pid = front.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    Some(ProcStat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state,
        since: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_no_trouble() {
        let stat = "42 (a) (b c) S 7 42 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 9876 1 2 3";
        assert_eq!(parse(stat), Some(ProcStat { pid: 42, parent: 7, state: 'S', since: 9876 }));
    }
}
