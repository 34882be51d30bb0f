//! The ipc-channel crate, with its channels of bytes, which its documentation names the efficient ones, or by shared memory
//! (`ipc_channel shared WORKLOAD SIZE COUNT`): a new block for each message, of which the receiver reads a byte of each page.
//! The same contract as `bench`.

#[path = "../../../examples/support/mod.rs"]
mod support;

use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, IpcSharedMemory, bytes_channel,
    channel,
};
use std::process::{Child, Command};
use support::{Task, Usage, Watch};

type Failure = Box<dyn std::error::Error>;

/// The size of a page on the systems where this runs.
const PAGE: usize = 4096;

/// What a child sends first: the ways to it and from it, and the way for blocks of shared memory.
type Ways = (IpcBytesSender, IpcBytesReceiver, IpcSender<IpcSharedMemory>);

const USAGE: &str = "usage: ipc_channel [shared] WORKLOAD SIZE COUNT";

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("child") => child(&words[1..]),
        Some("shared") => share(&Task::parse(&words[1..]).ok_or(USAGE)?),
        _ => run(&Task::parse(&words).ok_or(USAGE)?),
    }
}

struct Peer {
    process: Child,
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
    blocks: IpcSender<IpcSharedMemory>,
}

fn start(kind: &str, count: usize) -> Result<(IpcOneShotServer<Ways>, Child), Failure> {
    let (server, name) = IpcOneShotServer::new()?;
    let count = count.to_string();
    let process = Command::new("/proc/self/exe").args(["child", kind, &count, &name]).spawn()?;
    Ok((server, process))
}

fn meet((server, process): (IpcOneShotServer<Ways>, Child)) -> Result<Peer, Failure> {
    let (_, (sender, receiver, blocks)) = server.accept()?;
    let peer = Peer { process, sender, receiver, blocks };
    peer.receiver.recv()?;
    Ok(peer)
}

fn child(words: &[String]) -> Result<(), Failure> {
    let [kind, count, name] = words else { return Err("a child is told three words".into()) };
    let (theirs, receiver) = bytes_channel()?;
    let (sender, there) = bytes_channel()?;
    let (block_sender, blocks) = channel::<IpcSharedMemory>()?;
    IpcSender::connect(name.clone())?.send((theirs, there, block_sender))?;
    sender.send(b"ready")?;
    match kind.as_str() {
        "word" => {}
        "stay" => drop(receiver.recv()),
        kind => {
            let began = Usage::now();
            for _ in 0..count.parse().unwrap_or(0) {
                match kind {
                    "shared" => touch(&blocks.recv()?),
                    "pingpong" => sender.send(&receiver.recv()?)?,
                    _ => drop(receiver.recv()?),
                }
            }
            sender.send(began.words_since().as_bytes())?;
        }
    }
    Ok(())
}

fn run(task: &Task) -> Result<(), Failure> {
    let watch = Watch::start();
    match task.workload.as_str() {
        "spawnseq" => {
            for _ in 0..task.count {
                meet(start("word", 0)?)?.process.wait()?;
            }
            watch.report(task, b"");
        }
        "spawnconc" | "alive" => {
            let kind = if task.workload == "alive" { "stay" } else { "word" };
            let started: Vec<_> =
                (0..task.count).map(|_| start(kind, 0)).collect::<Result<_, _>>()?;
            let peers: Vec<_> = started.into_iter().map(meet).collect::<Result<_, _>>()?;
            for mut peer in peers {
                drop(peer.sender);
                peer.process.wait()?;
            }
            watch.report(task, b"");
        }
        "oneway" | "fresh" | "pingpong" => talk(task)?,
        other => return Err(format!("no workload is called {other}").into()),
    }
    Ok(())
}

fn talk(task: &Task) -> Result<(), Failure> {
    let mut peer = meet(start(&task.workload, task.count)?)?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    for _ in 0..task.count {
        match task.workload.as_str() {
            "fresh" => peer.sender.send(&vec![7; task.size])?,
            _ => peer.sender.send(&message)?,
        }
        if task.workload == "pingpong" {
            peer.receiver.recv()?;
        }
    }
    watch.report(task, &peer.receiver.recv()?);
    peer.process.wait()?;
    Ok(())
}

/// Sends each message as a block of shared memory, into which it is copied.
fn share(task: &Task) -> Result<(), Failure> {
    let mut peer = meet(start("shared", task.count)?)?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    for _ in 0..task.count {
        let block = match task.workload.as_str() {
            "fresh" => IpcSharedMemory::from_bytes(&vec![7; task.size]),
            "oneway" => IpcSharedMemory::from_bytes(&message),
            other => return Err(format!("no workload is called {other}").into()),
        };
        peer.blocks.send(block)?;
    }
    watch.report(task, &peer.receiver.recv()?);
    peer.process.wait()?;
    Ok(())
}

/// Reads a byte of each page, so that the block is in the memory of this process as a message of other contenders is.
fn touch(block: &[u8]) {
    let sum = block.iter().step_by(PAGE).fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    std::hint::black_box(sum);
}
