//! The agent of raw tokio: every process of a scenario runs this program. Its arguments are the role of the process and
//! the pipe ends that its parent passed: `NAME=r5` is a receiver and `NAME=w6` a sender with these descriptors, and
//! `NAME=5,6` is a duplex with its receiver and its sender.

mod ends;
mod child;
mod library;
mod start;
mod wire;

use gipc_agent::{Ending, Identity, conclude, serve};
use library::Raw;
use std::env;
use std::io;

/// The profiles that raw tokio has. It has no count of live handles, no scope and no codec.
const PROFILES: [&str; 11] = [
    "core",
    "tasks",
    "process",
    "frames",
    "signals",
    "limits",
    "stdio",
    "drop",
    "groups",
    "share",
    "drop-handle",
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    conclude(run().await);
}

/// Serves the harness until the scenario ends.
async fn run() -> io::Result<Ending> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or_else(|| io::Error::other("no role"))?;
    let raw = Raw::default();
    for argument in arguments {
        start::receive(&argument, &raw.ends)?;
    }
    serve(raw, &Identity::new("tokio", version(), &PROFILES), &role).await
}

/// The version of tokio in the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let rest = lock.split("name = \"tokio\"\nversion = \"").nth(1);
    rest.and_then(|text| text.split('"').next()).unwrap_or("1")
}
