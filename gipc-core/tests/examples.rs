//! The examples do what they say. They are built with the tests.

use rstest::rstest;
use std::path::PathBuf;
use std::process::Command;

// Undoes what its starter may have chosen: without the end of a child no program can be waited for.
gipc_core::init_in_tests!();

/// The file of an example.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this test is a file");
    own.ancestors().nth(2).expect("target/PROFILE/deps").join("examples").join(name)
}

fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(example(name))
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
        panic!("{name}: {error}; `cargo test` builds the examples, for one target alone say `cargo build --examples` first")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[rstest]
#[case("worker_pool", "1229 primes below 10000\n")]
#[case("pipeline", "999abc\n")]
#[case("supervise", "counter from 0 panicked: cannot say 3\ncounter from 3 came to 10\n")]
#[case("cancel", "[4194304, 4]\n")]
#[case("echo", "there THERE\n")]
#[case("forever", "200000 taken, ")]
#[case("server", "1000 clients were served\n")]
#[case("meet", "both went on, ")]
fn each_example_comes_to_what_it_should(#[case] name: &str, #[case] says: &str) {
    let said = run(name, &[]);
    assert!(said.contains(says), "{name} says\n{said}");
}

#[test]
fn a_short_soak_leaves_nothing() {
    let said = run("soak", &["100", "5000"]);
    assert!(said.contains("100 children, 5000 messages"), "{said}");
}

#[test]
fn the_load_keeps_the_contract_of_contenders() {
    for workload in ["oneway", "batched", "pingpong", "spawnseq", "spawnconc", "alive"] {
        let line: serde_json::Value =
            serde_json::from_str(&run("bench", &[workload, "100", "3"])).expect("one line");
        assert_eq!(line["messages"], 3, "{workload}: {line}");
        assert!(
            line["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0),
            "{workload}: {line}"
        );
    }
}

/// Signals that are ignored are inherited, from whatever started the program; a system that ignores SIGCHLD reaps children
/// itself.
#[test]
fn an_example_works_where_its_starter_ignores_the_end_of_children() {
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", "trap '' CHLD; exec \"$0\""]).arg(example("supervise")).output();
    let output = output.expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("came to 10"), "{output:?}");
}
