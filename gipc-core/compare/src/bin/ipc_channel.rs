//! The ipc-channel crate, with its channels of bytes, which its documentation names the efficient ones. The same
//! contract as `bench`.

#[path = "../../../examples/support/mod.rs"]
mod support;

use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};
use std::process::{Child, Command};
use support::{Own, Task, Watch, cpu_seconds, peak_rss_kb};

type Failure = Box<dyn std::error::Error>;

/// What a child sends first: the ways to it and from it.
type Ways = (IpcBytesSender, IpcBytesReceiver);

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("child") => child(&words[1..]),
        _ => run(&Task::from_args().ok_or("usage: ipc_channel WORKLOAD SIZE COUNT")?),
    }
}

struct Peer {
    process: Child,
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
}

fn start(kind: &str, count: usize) -> Result<(IpcOneShotServer<Ways>, Child), Failure> {
    let (server, name) = IpcOneShotServer::new()?;
    let count = count.to_string();
    let process = Command::new("/proc/self/exe").args(["child", kind, &count, &name]).spawn()?;
    Ok((server, process))
}

fn meet((server, process): (IpcOneShotServer<Ways>, Child)) -> Result<Peer, Failure> {
    let (_, (sender, receiver)) = server.accept()?;
    let peer = Peer { process, sender, receiver };
    peer.receiver.recv()?;
    Ok(peer)
}

fn child(words: &[String]) -> Result<(), Failure> {
    let [kind, count, name] = words else { return Err("a child is told three words".into()) };
    let (theirs, receiver) = bytes_channel()?;
    let (sender, there) = bytes_channel()?;
    IpcSender::connect(name.clone())?.send((theirs, there))?;
    sender.send(b"ready")?;
    match kind.as_str() {
        "word" => {}
        "stay" => drop(receiver.recv()),
        kind => {
            let cpu = cpu_seconds();
            for _ in 0..count.parse().unwrap_or(0) {
                let message = receiver.recv()?;
                if kind == "pingpong" {
                    sender.send(&message)?;
                }
            }
            sender.send(format!("{} {}", cpu_seconds() - cpu, peak_rss_kb()).as_bytes())?;
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
            watch.report(task, Own::default());
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
            watch.report(task, Own::default());
        }
        "oneway" | "pingpong" => talk(task)?,
        other => return Err(format!("no workload is called {other}").into()),
    }
    Ok(())
}

fn talk(task: &Task) -> Result<(), Failure> {
    let mut peer = meet(start(&task.workload, task.count)?)?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    for _ in 0..task.count {
        peer.sender.send(&message)?;
        if task.workload == "pingpong" {
            peer.receiver.recv()?;
        }
    }
    watch.report(task, Own::from(&peer.receiver.recv()?[..]));
    peer.process.wait()?;
    Ok(())
}
