//! The agent of raw tokio: every process of a scenario runs this program. Its arguments are the role of the process
//! and the ends of pipes that it was given: `NAME=r5` is a receiver and `NAME=w6` a sender under these descriptors,
//! and `NAME=5,6` is both ends of a duplex.

mod ends;
mod child;
mod library;
mod start;
mod wire;

use gipc_agent::{Ending, Identity, conclude, serve};
use library::Raw;
use std::env;
use std::io;

/// What can be asked of it. There is no count of live handles, no scope that answers, no codec.
const PROFILES: [&str; 6] = ["core", "tasks", "process", "frames", "signals", "limits"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    conclude(run().await);
}

async fn run() -> io::Result<Ending> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or_else(|| io::Error::other("no role"))?;
    let raw = Raw::default();
    for argument in arguments {
        start::take(&argument, &raw.ends)?;
    }
    serve(raw, &Identity::new("tokio", version(), &PROFILES), &role).await
}

/// The release of tokio that this was built with, by the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let behind = lock.split("name = \"tokio\"\nversion = \"").nth(1);
    behind.and_then(|text| text.split('"').next()).unwrap_or("1")
}
