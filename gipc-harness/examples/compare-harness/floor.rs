//! The floor: the processes of a scenario, which connect to a socket and exit, and an echo of lines of JSON.

use crate::{Failure, Subject, cpu, exe, side_by_side};
use gipc_harness::scenario::{Outcome, Scenario, Verb};
use nix::sys::resource::UsageWho;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

/// The first argument of a process of the floor.
pub(crate) const NODE: &str = "node";
/// The first argument of the process that echoes lines.
pub(crate) const ECHO: &str = "echo";
/// How many lines are echoed.
const ECHOES: u32 = 20_000;
/// A line as long as that of a step.
const LINE: &str =
    r#"{"type":"end","id":12,"pid":12345,"outcome":{"kind":"message","size":5,"text":"hello"}}"#;

/// A process with the processes that it starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTree {
    children: Vec<ProcessTree>,
}

impl ProcessTree {
    /// The processes that the steps of a scenario start.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for step in scenario.steps.iter().filter(|step| step.expected.contains(&Outcome::Ok)) {
            if let Verb::Spawn { child, .. } = &step.verb {
                children.entry(&step.task_id.process).or_default().push(child);
            }
        }
        Self::below("main", &mut children)
    }

    fn below<'a>(process: &str, children: &mut BTreeMap<&'a str, Vec<&'a str>>) -> Self {
        let own = children.remove(process).unwrap_or_default();
        Self { children: own.into_iter().map(|child| Self::below(child, children)).collect() }
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> usize {
        1 + self.children.iter().map(Self::processes).sum::<usize>()
    }

    /// The tree as an argument: an array with an array for each child.
    fn argument(&self) -> Value {
        self.children.iter().map(Self::argument).collect()
    }
}

/// Starts the processes of all scenarios.
pub(crate) fn run_all(subjects: &[Subject], at_once: usize) -> Result<(), Failure> {
    let exe = exe()?;
    side_by_side(subjects, at_once, |subject| {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket)?;
        let mut main = Command::new(&exe)
            .arg(NODE)
            .arg(&socket)
            .arg(subject.tree.argument().to_string())
            .spawn()?;
        let count = subject.tree.processes();
        let connected = (0..count).map(|_| listener.accept()).collect::<io::Result<Vec<_>>>()?;
        main.wait()?;
        drop(connected);
        Ok(())
    })
}

/// A process of the floor: connects, starts its children, and waits for them.
pub(crate) fn node(socket: &str, tree: &str) -> Result<(), Failure> {
    let _connection = UnixStream::connect(socket)?;
    let tree: Vec<Value> = serde_json::from_str(tree)?;
    let exe = exe()?;
    let start =
        |child: &Value| Command::new(&exe).arg(NODE).arg(socket).arg(child.to_string()).spawn();
    let children = tree.iter().map(start).collect::<io::Result<Vec<_>>>()?;
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// Returns each line of JSON that comes on the standard input, which is a socket.
pub(crate) fn echo() -> Result<(), Failure> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut out = socket.try_clone()?;
    for line in BufReader::new(socket).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        out.write_all(format!("{message}\n").as_bytes())?;
    }
    Ok(())
}

/// The processor time that this side of an echo of a line takes, in seconds.
pub(crate) fn echo_cpu() -> Result<f64, Failure> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(exe()?).arg(ECHO).stdin(OwnedFd::from(theirs)).spawn()?;
    let mut lines = BufReader::new(ours.try_clone()?).lines();
    let message: Value = serde_json::from_str(LINE)?;
    let before = cpu(UsageWho::RUSAGE_SELF)?;
    for _ in 0..ECHOES {
        ours.write_all(format!("{message}\n").as_bytes())?;
        let line = lines.next().ok_or("the echo has ended")??;
        serde_json::from_str::<Value>(&line)?;
    }
    let used = cpu(UsageWho::RUSAGE_SELF)? - before;
    ours.shutdown(std::net::Shutdown::Both)?;
    child.wait()?;
    Ok(used / f64::from(ECHOES))
}
