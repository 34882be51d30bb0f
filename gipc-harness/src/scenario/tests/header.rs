//! Tests that the header comment of a scenario is read as it is written.

use crate::scenario::{TaskId, order_line, parse};

#[test]
fn an_order_of_releases_is_read_as_it_is_written() {
    let task = |process: &str, task: Option<&str>| TaskId {
        process: process.into(),
        task: task.map(Into::into),
    };
    let (main, reader, child) =
        (task("main", None), task("main", Some("reader")), task("child", None));
    let order = vec![main.clone(), child.clone(), child.clone(), child, reader, main];
    let line = order_line(&order);
    assert_eq!(line, "order: main child*3 main/reader main");
    let lines = "main pipe r w\nmain spawn child w\nmain/reader get r => eof\nchild exit 0\n";
    let scenario = parse("it", &format!("# {line}\n{lines}")).expect("the lines are a scenario");
    assert_eq!(scenario.order(), Some(Ok(order)));
}
