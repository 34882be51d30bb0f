//! The agent of raw tokio: every process of a scenario runs this program. Its arguments are the role of the process
//! and the ends of pipes that it was given: `NAME=r5` is a receiver and `NAME=w6` a sender under these descriptors,
//! and `NAME=5,6` is both ends of a duplex.

mod ends;
mod child;
mod library;
mod start;
mod system;
mod wire;

use ends::Ends;
use gipc_harness::adapter::protocol::{Control, Named};
use gipc_harness::agent::{Ending, Identity, serve};
use library::Raw;
use std::env;
use std::io;
use std::process;

/// What can be asked of it. There is no count of live handles, no scope that answers, no codec.
const PROFILES: [&str; 6] = ["core", "tasks", "process", "frames", "signals", "limits"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match play().await {
        Ok(Ending::Finished) => {}
        Ok(Ending::Gone) => process::exit(1),
        Ok(Ending::Raised) => panic!("the scenario says that this entry fails"),
        Err(error) => {
            eprintln!("tokio-raw: {error}");
            process::exit(2);
        }
    }
}

async fn play() -> io::Result<Ending> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or_else(|| io::Error::other("no role"))?;
    let ends = Ends::default();
    for argument in arguments {
        start::take(&argument, &ends)?;
    }
    let identity = Identity {
        implementation: Named { name: "tokio".into(), version: version().into() },
        profiles: PROFILES.map(str::to_owned).to_vec(),
        control: Control::Loop,
    };
    serve(Raw::new(ends), &identity, &role).await
}

/// The release of tokio that this was built with, by the lock file.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let behind = lock.split("name = \"tokio\"\nversion = \"").nth(1);
    behind.and_then(|text| text.split('"').next()).unwrap_or("1")
}
