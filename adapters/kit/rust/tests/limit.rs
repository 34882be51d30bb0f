//! The limit on descriptors. It is alone in its program, since the limit applies to the whole process.

use gipc_agent::{Command, OsActions, Resources};
use std::fs::File;

struct Nothing;

impl Resources for Nothing {}

#[test]
fn a_limit_leaves_as_many_descriptors_as_it_says_and_can_be_lifted() {
    let os = OsActions::default();
    for free in [0, 3] {
        os.perform(Command::Limit { free: Some(free) }, &Nothing).expect("a limit");
        let opened: Vec<File> = (0..10).map_while(|_| File::open("/dev/null").ok()).collect();
        assert_eq!(opened.len() as u64, free);
    }
    os.perform(Command::Limit { free: None }, &Nothing).expect("no limit");
    let opened: Vec<File> = (0..10).map_while(|_| File::open("/dev/null").ok()).collect();
    assert_eq!(opened.len(), 10);
}
