//! A `Child` whose `wait` failed keeps its descriptor for as long as it exists.

use nix::{sys::wait::waitpid, unistd::Pid};
use std::{fs, process::exit};
use tokio::process::Command;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut children = Vec::new();
    let _ = Command::new("true").spawn().unwrap().wait().await;
    let before = descriptors();
    for _ in 0..50 {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        // Other code reaps the child, as a library does that waits for any child of the process.
        waitpid(Pid::from_raw(pid), None).unwrap();
        let error = child.wait().await.expect_err("the status is gone");
        if children.is_empty() {
            println!("wait returns {error}");
        }
        children.push(child);
    }
    let more = descriptors() - before;
    println!("expected: a child that is gone has no descriptor");
    println!("observed: {more} more descriptors after {} children", children.len());
    exit(i32::from(more < 50));
}
