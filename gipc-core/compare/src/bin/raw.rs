//! The measure of all others: blocking pipes, one `writev` a message, a reader with a buffer, no library. The same
//! contract as `bench`.

#[path = "../../../examples/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use support::{Task, Usage, Watch};

/// How much is written or read at once where that is left to us.
const BUFFER: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("child") => child(&words[1..]),
        _ => {
            let task = Task::parse(&words)
                .ok_or_else(|| io::Error::other("usage: raw WORKLOAD SIZE COUNT"))?;
            run(&task)
        }
    }
}

struct Peer {
    process: Child,
    writer: File,
    reader: BufReader<File>,
}

fn start(words: &[String]) -> io::Result<Peer> {
    let (theirs, ours) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (back, there) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let process = Command::new("/proc/self/exe")
        .arg("child")
        .args(words)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(there))
        .spawn()?;
    let file = |descriptor: OwnedFd| File::from(descriptor);
    Ok(Peer { process, writer: file(ours), reader: BufReader::with_capacity(BUFFER, file(back)) })
}

fn put(writer: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let header = (message.len() as u32).to_le_bytes();
    let mut sent = writer.write_vectored(&[IoSlice::new(&header), IoSlice::new(message)])?;
    if sent < header.len() {
        writer.write_all(&header[sent..])?;
        sent = header.len();
    }
    writer.write_all(&message[sent - header.len()..])
}

fn get(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    get_into(reader, &mut message)?;
    Ok(message)
}

fn get_into(reader: &mut impl Read, message: &mut Vec<u8>) -> io::Result<()> {
    let mut header = [0; 4];
    reader.read_exact(&mut header)?;
    let len = u32::from_le_bytes(header) as usize;
    message.clear();
    message.reserve(len);
    // Reads into memory that was never zeroed.
    reader.take(len as u64).read_to_end(message).map(drop)
}

fn child(words: &[String]) -> io::Result<()> {
    // Not std's own handles, which have buffers of their own.
    let mut reader =
        BufReader::with_capacity(BUFFER, File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut writer = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    put(&mut writer, b"ready")?;
    let count = words[1].parse().unwrap_or(0);
    match words[0].as_str() {
        "word" => {}
        "stay" => drop(get(&mut reader)),
        kind => {
            let began = Usage::now();
            let mut buffer = Vec::new();
            for _ in 0..count {
                match kind {
                    "reused" => get_into(&mut reader, &mut buffer)?,
                    "pingpong" => put(&mut writer, &get(&mut reader)?)?,
                    _ => drop(get(&mut reader)?),
                }
            }
            put(&mut writer, began.words_since().as_bytes())?;
        }
    }
    Ok(())
}

fn run(task: &Task) -> io::Result<()> {
    match task.workload.as_str() {
        "spawnseq" => {
            let watch = Watch::start();
            for _ in 0..task.count {
                let mut peer = start(&["word".into(), "0".into()])?;
                get(&mut peer.reader)?;
                peer.process.wait()?;
            }
            watch.report(task, b"");
        }
        "spawnconc" | "alive" => {
            let kind = if task.workload == "alive" { "stay" } else { "word" };
            let watch = Watch::start();
            let mut peers: Vec<_> = (0..task.count)
                .map(|_| start(&[kind.into(), "0".into()]))
                .collect::<Result<_, _>>()?;
            for peer in &mut peers {
                get(&mut peer.reader)?;
            }
            for mut peer in peers {
                drop(peer.writer);
                peer.process.wait()?;
            }
            watch.report(task, b"");
        }
        _ => talk(task)?,
    }
    Ok(())
}

fn talk(task: &Task) -> io::Result<()> {
    let mut peer = start(&[task.workload.clone(), task.count.to_string()])?;
    get(&mut peer.reader)?;
    let message = vec![7; task.size];
    let watch = Watch::start();
    let mut batch = io::BufWriter::with_capacity(BUFFER, &peer.writer);
    for _ in 0..task.count {
        match task.workload.as_str() {
            "batched" => put(&mut batch, &message)?,
            "fresh" => put(&mut &peer.writer, &vec![7; task.size])?,
            _ => put(&mut &peer.writer, &message)?,
        }
        if task.workload == "pingpong" {
            get(&mut peer.reader)?;
        }
    }
    batch.flush()?;
    drop(batch);
    watch.report(task, &get(&mut peer.reader)?);
    peer.process.wait().map(drop)
}
