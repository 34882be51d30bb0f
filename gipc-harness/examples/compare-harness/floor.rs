//! The floor: the processes of a scenario, which connect to a socket, move as many bytes and exit, and an echo of lines of
//! JSON.

use crate::{Comparison, Failure, cpu, exe, floor_of_gipc_core, side_by_side};
use gipc_harness::adapter::Adapter;
use gipc_harness::scenario::{Outcome, Payload, Scenario, Step, Verb};
use nix::sys::resource::UsageWho;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
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

/// How many bytes are moved with one call.
pub(crate) const BLOCK: usize = 64 << 10;

/// A process with the processes that it starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTree {
    /// How many bytes of messages it receives.
    bytes: u64,
    children: Vec<ProcessTree>,
}

impl ProcessTree {
    /// The processes that the steps of a scenario start, and the bytes that these move.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut processes: BTreeMap<&str, (u64, Vec<&str>)> = BTreeMap::new();
        for step in scenario.steps.iter() {
            let (bytes, children) = processes.entry(&step.task_id.process).or_default();
            *bytes += received_bytes(step);
            if let (Verb::Spawn { child, .. }, true) =
                (&step.verb, step.expected.contains(&Outcome::Ok))
            {
                children.push(child);
            }
        }
        Self::below("main", &mut processes)
    }

    fn below<'a>(process: &str, processes: &mut BTreeMap<&'a str, (u64, Vec<&'a str>)>) -> Self {
        let (bytes, own) = processes.remove(process).unwrap_or_default();
        let children = own.into_iter().map(|child| Self::below(child, processes)).collect();
        Self { bytes, children }
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> usize {
        1 + self.children.iter().map(Self::processes).sum::<usize>()
    }

    /// The tree as an argument: an array with the number of bytes and an array for each child.
    fn argument(&self) -> Value {
        let children = self.children.iter().map(Self::argument);
        std::iter::once(Value::from(self.bytes)).chain(children).collect()
    }
}

/// The length of the message that a step receives.
fn received_bytes(step: &Step) -> u64 {
    let message = step.expected.iter().find_map(|outcome| match outcome {
        Outcome::Message(payload) => Some(Payload::len(payload)),
        _ => None,
    });
    message.unwrap_or_default()
}

/// Writes bytes into a pipe and reads them.
fn move_bytes(bytes: u64) -> Result<(), Failure> {
    if bytes == 0 {
        return Ok(());
    }
    let (reader, writer) = nix::unistd::pipe()?;
    let mut writer = BufWriter::with_capacity(BLOCK, File::from(writer));
    let write = std::thread::spawn(move || {
        io::copy(&mut io::repeat(1).take(bytes), &mut writer)?;
        writer.flush()
    });
    let (mut reader, mut block) = (File::from(reader), vec![0; BLOCK]);
    while reader.read(&mut block)? > 0 {}
    write.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

/// The first argument of a process of the floor on gipc-core.
pub(crate) const NODE_OF_GIPC_CORE: &str = "node-of-gipc-core";

/// The command of a process of the floor: this program, or for gipc-python the same on gipc.
pub(crate) fn command(adapter: Option<&Adapter>) -> Result<Vec<OsString>, Failure> {
    match adapter {
        None => Ok(vec![exe()?.into(), NODE.into()]),
        Some(adapter) if adapter.manifest.name == "gipc-python" => {
            let script =
                concat!(env!("CARGO_MANIFEST_DIR"), "/examples/compare-harness/floor_of_gipc.py");
            let python = adapter.command.first().ok_or("the adapter has no command")?;
            Ok(vec![python.into(), script.into()])
        }
        Some(adapter) => Err(format!("no floor is known for {}", adapter.manifest.name).into()),
    }
}

/// Starts the processes of all scenarios.
pub(crate) fn run_all(comparison: &Comparison) -> Result<(), Failure> {
    start_all(comparison, &comparison.floor)
}

/// Starts the processes of all scenarios with gipc-core.
pub(crate) fn run_all_on_gipc_core(comparison: &Comparison) -> Result<(), Failure> {
    start_all(comparison, &[exe()?.into(), NODE_OF_GIPC_CORE.into()])
}

fn start_all(comparison: &Comparison, command: &[OsString]) -> Result<(), Failure> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let is_on_gipc_core = arguments.iter().any(|argument| argument == NODE_OF_GIPC_CORE);
    side_by_side(comparison, |subject| {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket)?;
        let mut main = Command::new(program)
            .envs(is_on_gipc_core.then_some((floor_of_gipc_core::VARIABLE, "1")))
            .args(arguments)
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

/// A process of the floor: connects, starts its children, moves its bytes, and waits for its children.
pub(crate) fn node(socket: &str, tree: &str) -> Result<(), Failure> {
    let _connection = UnixStream::connect(socket)?;
    let tree: Vec<Value> = serde_json::from_str(tree)?;
    let exe = exe()?;
    let start =
        |child: &Value| Command::new(&exe).arg(NODE).arg(socket).arg(child.to_string()).spawn();
    let [bytes, children @ ..] = &tree[..] else { return Err("a process without bytes".into()) };
    let children = children.iter().map(start).collect::<io::Result<Vec<_>>>()?;
    move_bytes(bytes.as_u64().unwrap_or_default())?;
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
