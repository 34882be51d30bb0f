//! A `Child` whose `wait` failed keeps its descriptor for as long as it exists.

use std::{env, fs, process::exit};
use tokio::process::Command;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if env::args().len() == 1 {
        // Once more with SIGCHLD ignored: then the system reaps children, and `wait` finds none.
        let program = env::current_exe().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' CHLD; exec \"$0\" ignored"]).arg(program);
        exit(shell.status().await.unwrap().code().unwrap());
    }
    let mut children = Vec::new();
    let _ = Command::new("true").spawn().unwrap().wait().await;
    let before = descriptors();
    for _ in 0..50 {
        let mut child = Command::new("true").spawn().unwrap();
        let error = child.wait().await.expect_err("the child was reaped");
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
