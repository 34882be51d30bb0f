//! tokio as most people begin: one write for the length, one for the message, a buffer zeroed before it is filled. The
//! same contract as `bench`.

#[path = "../../../examples/support/mod.rs"]
mod support;

use std::io;
use std::os::fd::AsFd;
use std::process::Stdio;
use support::{Task, Usage, Watch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match words.first().map(String::as_str) {
            Some("child") => child(&words[1..]).await,
            _ => {
                let task = Task::parse(&words)
                    .ok_or_else(|| io::Error::other("usage: naive WORKLOAD SIZE COUNT"))?;
                run(&task).await
            }
        }
    })
}

async fn put(writer: &mut (impl AsyncWriteExt + Unpin), message: &[u8]) -> io::Result<()> {
    writer.write_u32(message.len() as u32).await?;
    writer.write_all(message).await
}

async fn get(reader: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let len = reader.read_u32().await? as usize;
    let mut message = vec![0; len];
    reader.read_exact(&mut message).await?;
    Ok(message)
}

async fn get_into(
    reader: &mut (impl AsyncReadExt + Unpin),
    message: &mut Vec<u8>,
) -> io::Result<()> {
    let len = reader.read_u32().await? as usize;
    message.resize(len, 0);
    reader.read_exact(message).await.map(drop)
}

struct Peer {
    process: Child,
    writer: ChildStdin,
    reader: ChildStdout,
}

fn start(words: &[String]) -> io::Result<Peer> {
    let mut process = Command::new("/proc/self/exe")
        .arg("child")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let missing = || io::Error::other("it is piped");
    let writer = process.stdin.take().ok_or_else(missing)?;
    let reader = process.stdout.take().ok_or_else(missing)?;
    Ok(Peer { process, writer, reader })
}

async fn child(words: &[String]) -> io::Result<()> {
    let mut reader = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut writer = Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    put(&mut writer, b"ready").await?;
    let count = words[1].parse().unwrap_or(0);
    match words[0].as_str() {
        "word" => {}
        "stay" => drop(get(&mut reader).await),
        kind => {
            let began = Usage::now();
            let mut buffer = Vec::new();
            for _ in 0..count {
                match kind {
                    "reused" => get_into(&mut reader, &mut buffer).await?,
                    "pingpong" => put(&mut writer, &get(&mut reader).await?).await?,
                    _ => drop(get(&mut reader).await?),
                }
            }
            put(&mut writer, began.words_since().as_bytes()).await?;
        }
    }
    Ok(())
}

async fn run(task: &Task) -> io::Result<()> {
    let watch = Watch::start();
    match task.workload.as_str() {
        "spawnseq" => {
            for _ in 0..task.count {
                let mut peer = start(&["word".into(), "0".into()])?;
                get(&mut peer.reader).await?;
                peer.process.wait().await?;
            }
            watch.report(task, b"");
        }
        "spawnconc" | "alive" => {
            let kind = if task.workload == "alive" { "stay" } else { "word" };
            let mut peers: Vec<_> = (0..task.count)
                .map(|_| start(&[kind.into(), "0".into()]))
                .collect::<Result<_, _>>()?;
            for peer in &mut peers {
                get(&mut peer.reader).await?;
            }
            for mut peer in peers {
                drop(peer.writer);
                peer.process.wait().await?;
            }
            watch.report(task, b"");
        }
        "oneway" | "fresh" | "reused" | "pingpong" => talk(task).await?,
        other => return Err(io::Error::other(format!("no workload is called {other}"))),
    }
    Ok(())
}

async fn talk(task: &Task) -> io::Result<()> {
    let mut peer = start(&[task.workload.clone(), task.count.to_string()])?;
    get(&mut peer.reader).await?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    for _ in 0..task.count {
        match task.workload.as_str() {
            "fresh" => put(&mut peer.writer, &vec![7; task.size]).await?,
            _ => put(&mut peer.writer, &message).await?,
        }
        if task.workload == "pingpong" {
            get(&mut peer.reader).await?;
        }
    }
    watch.report(task, &get(&mut peer.reader).await?);
    peer.process.wait().await.map(drop)
}
