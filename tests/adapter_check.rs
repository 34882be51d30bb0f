//! Tests `adapter new`, what `adapter check` says of the mistakes that new agents have, what a run does not ask of an
//! adapter, and how a bundle names the adapter.
//!
//! The agents with mistakes are the one that `adapter new --lang python` writes, each with one mistake.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A folder of adapters with the adapter `it`.
struct Adapters {
    folder: tempfile::TempDir,
}

impl Adapters {
    /// An adapter in Python whose agent has these lines before its last ones.
    fn with_mistake(lines: &str) -> Self {
        let adapters = Self { folder: tempfile::tempdir().expect("a folder") };
        let (text, code) = adapters.harness(&["adapter", "new", "it", "--lang", "python"]);
        assert_eq!(code, 0, "{text}");
        adapters.replace("agent.py", "if __name__", &format!("{lines}\n\nif __name__"));
        adapters
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join("it").join(file);
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).expect("written");
    }

    /// What the harness does with this folder as that of all adapters.
    fn harness(&self, arguments: &[&str]) -> (String, i32) {
        let folder = self.folder.path().to_str().expect("a path");
        harness(&[&["--adapters", folder], arguments].concat())
    }
}

/// Stdout, then stderr, and the exit code.
fn harness(arguments: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(arguments)
        .output()
        .expect("the harness starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code().unwrap_or(-1))
}

/// The check of an agent with this mistake; it must fail.
fn check(lines: &str) -> String {
    let (text, code) = Adapters::with_mistake(lines).harness(&["adapter", "check", "it"]);
    assert_eq!(code, 3, "an agent that breaks the protocol is an ERROR, as for `run`: {text}");
    text
}

/// The agent keeps the parent's connection in a list.
const KEEPS: &str = "
import gipc_agent.session as session
KEPT = []
connect = Agent.connect
def keep(agent):
    KEPT.append(session.inherited)
    session.inherited = None
    connect(agent)
Agent.connect = keep
";

#[test]
fn a_child_that_never_connects_is_named() {
    let text = check(
        "import signal\nserve = Agent.serve\ndef wait(agent):\n    \
         serve(agent) if agent.role == 'main' else signal.pause()\nAgent.serve = wait\n",
    );
    assert!(text.contains("child never connected: main answered ok to `spawn child w`"), "{text}");
    assert!(text.contains("GIPC_HARNESS_SOCKET"), "{text}");
    assert!(text.contains("further checks are left out"), "{text}");
}

#[test]
fn a_missing_begin_is_reported_at_once() {
    let began = Instant::now();
    let text = check(
        "send = Agent.send\ndef mute(agent, **fields):\n    \
         fields['type'] == 'begin' or send(agent, **fields)\nAgent.send = mute\n",
    );
    assert!(text.contains("main ended step 0 (pipe r w) without a begin"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}

#[test]
fn a_wrong_payload_is_reported_with_the_offset_of_its_first_wrong_byte() {
    let text = check(
        "put = Agent.do_put\ndef wrong(agent, handle, payload):\n    data = bytearray(content(payload))\n    \
         data[65521:65522] = b'?' * len(data[65521:65522])\n    agent.handle(handle).send_bytes(data)\n\
         Agent.do_put = wrong\n",
    );
    assert!(text.contains("the payload is wrong from offset 65521 on"), "{text}");
    assert!(text.contains("after 65521 bytes the block begins again"), "{text}");
}

#[test]
fn a_child_that_keeps_the_connection_of_its_parent_is_named() {
    let text = check(KEEPS);
    assert!(text.contains("grandchild keeps the connection of child"), "{text}");
}

#[test]
fn a_message_on_the_connection_of_another_process_is_named() {
    let send = "
def send(agent, **fields):
    stray = agent.role == 'child' and fields['type'] in ('begin', 'end')
    line = json.dumps(fields).encode() + b'\\n'
    (KEPT[-1] if stray else agent.socket).sendall(line)
Agent.send = send
";
    let text = check(&format!("import json\n{KEEPS}{send}"));
    assert!(text.contains("main reported on step 2, which is a step of child, from pid"), "{text}");
    assert!(text.contains("closes the one that it inherited"), "{text}");
}

#[test]
fn a_child_that_says_that_it_is_main_is_named() {
    let text = check(
        "connect = Agent.connect\ndef wrong(agent):\n    agent.role = 'main'\n    connect(agent)\nAgent.connect = wrong\n",
    );
    assert!(text.contains("main said hello twice"), "{text}");
    assert!(text.contains("under the name that it was spawned under"), "{text}");
}

#[test]
fn the_first_error_that_explains_the_rest_is_the_last() {
    let text = check("this is no Python");
    assert_eq!(text.matches("ended before it said hello").count(), 1, "{text}");
    assert!(text.contains("18 further checks are left out"), "{text}");
}

#[test]
fn what_a_manifest_does_not_declare_is_not_asked() {
    let adapters = Adapters::with_mistake("");
    let run = |ids: &[&str]| {
        let record = adapters.folder.path().join("record");
        let record = record.to_str().expect("a path");
        adapters.harness(&[&["run", "--adapter", "it", "--keep", "--record", record], ids].concat())
    };
    let ids = ["codec/values", "own/hidden-in-a-list", "task/cancelled-get-loses-nothing"];
    let (text, code) = run(&ids);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("3 of 3 ran in") && text.contains("3 skipped"), "{text}");
    let record = adapters.folder.path().join("record/it/codec/values/record.jsonl");
    let record = fs::read_to_string(record).expect("it is kept");
    assert!(record.contains("the manifest does not declare the profile codec"), "{record}");
    assert!(!record.contains("\"hello\""), "no process is started: {record}");
    let refuse = "[lacks]\ncodec = \"bytes and nothing else\"\n";
    adapters.replace("adapter.toml", "[lacks]\n", refuse);
    let (text, code) = run(&["codec/values", "--format", "json"]);
    assert!(code == 0 && text.contains("bytes and nothing else"), "{text}");
    adapters.replace("adapter.toml", "\"process\"]", "\"process\", \"codec\"]");
    let (text, code) = run(&["codec/values"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("the profile codec is declared, and listed under [lacks]"), "{text}");
}

#[test]
fn an_agent_that_ignores_a_field_of_an_undeclared_profile_is_an_error() {
    let adapters = Adapters::with_mistake(
        "pipe = Agent.do_pipe\ndef ignore(agent, reader, writer, codec=None):\n    \
         return pipe(agent, reader, writer)\nAgent.do_pipe = ignore\n",
    );
    let (text, code) = adapters.harness(&["adapter", "check", "it"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("main did not refuse a pipe with a codec"), "{text}");
}

/// The one in Rust takes a minute to build, and CI checks it.
#[test]
fn a_new_adapter_in_a_language_with_a_kit_passes_the_check() {
    let adapters = Adapters { folder: tempfile::tempdir().expect("a folder") };
    for (lang, program) in [("python", "python3"), ("node", "node")] {
        if Command::new(program).arg("--version").output().is_err() {
            writeln!(std::io::stdout(), "skipped: {program} is not installed").expect("stdout");
            continue;
        }
        let name = format!("in-{lang}");
        let new = ["adapter", "new", &name, "--lang", lang];
        let (text, code) = adapters.harness(&new);
        assert!(code == 0 && text.contains(&format!("adapter check {name}")), "{text}");
        let (text, code) = adapters.harness(&["adapter", "check", &name]);
        assert!(code == 0 && text.contains("the agent follows the protocol"), "{text}");
        let (text, code) = adapters.harness(&new);
        assert!(code == 2 && text.contains("exists already"), "{text}");
    }
    let (text, code) = adapters.harness(&["adapter", "new", "My Own", "--lang", "rust"]);
    assert!(code == 2 && text.contains("is not a name for an adapter"), "{text}");
}

/// The manifest says that a get waits beyond its limit for the rest of a message.
#[test]
fn check_says_that_an_adapter_skips_a_file_that_is_written_for_another_choice() {
    let adapters = Adapters::with_mistake("");
    adapters.replace("adapter.toml", "spawn = ", "late-get = \"waits\"\nspawn = ");
    let file = adapters.folder.path().join("late.scenario");
    let steps = "main pipe r w\nmain cut w \"hello\" at 2\nmain get r within 50ms => timeout\n";
    fs::write(&file, steps).expect("written");
    let file = file.to_str().expect("a path");
    let reason = "get r within 50ms: by late-get in its manifest the outcome is blocks";
    let (text, code) = adapters.harness(&["check", file, "--adapter", "it"]);
    assert!(code == 0 && text.contains(&format!("it skips it: {reason}")), "{text}");
    let wrong = fs::read_to_string(file).expect("it is there").replace("timeout", "closed");
    fs::write(file, wrong).expect("written");
    let (text, code) = adapters.harness(&["check", file, "--adapter", "it"]);
    assert!(code == 2 && text.contains("the scenario is refused"), "{text}");
}

#[test]
fn a_language_without_a_kit_gets_a_manifest_and_a_walk_through() {
    let adapters = Adapters { folder: tempfile::tempdir().expect("a folder") };
    let (text, code) = adapters.harness(&["adapter", "new", "in-perl", "--lang", "other"]);
    let folder = adapters.folder.path().join("in-perl");
    let next = format!("next: read {}", folder.join("WALKTHROUGH.md").display());
    assert!(code == 0 && text.contains(&next), "{text}");
    let page = fs::read_to_string(folder.join("WALKTHROUGH.md")).expect("it is there");
    assert!(page.contains("adapter check in-perl"), "{page}");
    assert!(!page.contains("_COMMAND") && !page.contains("NAME:"), "{page}");
    // With an empty list, each scenario that needs what the agent lacks would be an ERROR.
    assert!(!folder.join("skips.txt").exists());
    let (text, code) = adapters.harness(&["adapter", "check", "in-perl"]);
    assert!(code == 3 && text.contains("in-perl cannot run here: there is no "), "{text}");
}

#[test]
fn a_verb_that_the_agent_refuses_is_reported_with_the_line_that_the_manifest_lacks() {
    let adapters = Adapters::with_mistake("");
    adapters.replace("adapter.toml", "duplex = \"not done yet\"\n", "");
    let (text, code) = adapters.harness(&["run", "--adapter", "it", "duplex/half-close"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("under [lacks] in adapter.toml: duplex = \"why\""), "{text}");
}

#[test]
fn a_fault_that_an_agent_reports_is_shown_with_the_message_that_it_answers() {
    let lines = "pipe = Agent.do_pipe\ndef faulty(agent, reader, writer):\n    \
                 agent.send(type='fault', reason='no pipe is left')\n    return pipe(agent, reader, writer)\n\
                 Agent.do_pipe = faulty\n";
    let text = check(lines);
    assert!(text.contains("the agent of main reported a fault: no pipe is left"), "{text}");
    assert!(
        text.contains("the last message that it was sent: {\"type\":\"step\",\"id\":0"),
        "{text}"
    );
}

/// Accepting several runs keeps reasons, and what it writes can be read by the next command.
#[test]
fn after_accept_the_manifest_is_readable_and_its_new_entries_fail_until_they_have_a_reason() {
    let adapters =
        Adapters::with_mistake("def close(agent, handle):\n    pass\nAgent.do_close = close\n");
    let ids = ["close/use-after-close", "close/eof-after-close"];
    let run =
        |more: &[&str]| adapters.harness(&[&["run", "--adapter", "it"], &ids[..], more].concat());
    let (text, code) = run(&["--repeat", "2", "--accept"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("no sort or no reason yet, the first at "), "{text}");
    assert!(!text.contains("  again    "), "what is accepted is listed, without its page: {text}");
    let manifest = fs::read_to_string(adapters.folder.path().join("it/adapter.toml"));
    let manifest = manifest.expect("it is there");
    let says = "\n# close/use-after-close: line 8: expected closed. main ▶ main\n[[known]]\n";
    assert!(manifest.contains(says), "{manifest}");
    let (text, code) = run(&["--accept"]);
    assert!(code == 0 && !text.contains("  again    "), "nothing has changed: {text}");
    let (text, code) = run(&[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("the manifest lists this failure, but its sort or its reason is empty"),
        "{text}"
    );
    let (text, code) = adapters.harness(&["adapter", "list"]);
    assert!(code == 0 && !text.contains("broken"), "{text}");
    adapters.replace("adapter.toml", "sort = \"\"", "sort = \"adapter\"");
    adapters.replace("adapter.toml", "reason = \"\"", "reason = \"the agent closes nothing\"");
    let (text, code) = run(&["--repeat", "2"]);
    assert!(code == 0 && text.contains("2 known"), "{text}");
    adapters.replace("agent.py", "Agent.do_close = close", "");
    let (text, code) = run(&["--accept"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it passes; its entry is now a comment"), "{text}");
    assert!(!text.contains("delete the entry"), "{text}");
    let manifest = fs::read_to_string(adapters.folder.path().join("it/adapter.toml"));
    let manifest = manifest.expect("it is there");
    assert!(manifest.contains("# reason = \"the agent closes nothing\""), "{manifest}");
    let (text, code) = run(&[]);
    assert!(code == 0 && text.contains("2 passed"), "{text}");
}

/// The path of the folder is removed from the bundle, and would name nothing on another machine.
#[test]
fn a_bundle_of_an_adapter_that_was_named_by_its_folder_is_run_again_by_its_name() {
    let adapters = Adapters::with_mistake("");
    let path = |name: &str| adapters.folder.path().join(name).display().to_string();
    let (records, bundle) = (path("records"), path("bundle"));
    let (text, code) =
        harness(&["run", "close/twice", "--adapter", &path("it"), "--record", &records]);
    assert_eq!(code, 1, "{text}");
    let record = path("records/it/close/twice/record.jsonl");
    let (text, code) = harness(&["repro", &record, "--output", &bundle]);
    assert_eq!(code, 0, "{text}");
    let (text, code) = harness(&["run", &bundle, "--times", "1"]);
    assert!(code == 2 && text.contains("cannot read adapter it: "), "{text}");
    let (text, code) = adapters.harness(&["run", &bundle, "--times", "1"]);
    assert!(code == 1 && text.contains("close/twice on it") && text.contains("GENUINE"), "{text}");
}

/// Where a library crashed, only the stack says.
#[test]
fn a_crash_of_an_agent_in_python_is_reported_with_its_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("crash.scenario");
    let text = "main        pipe r w
main        spawn child r
child       get r                       => blocks
main        until child blocks
main        signal child SIGSEGV
main        join child                  => exit 0
";
    fs::write(&file, text).expect("written");
    for adapter in ["asyncio", "multiprocessing", "gipc-python"] {
        let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("GIPC_HARNESS_CACHE", "")
            .args(["run", "--unchecked", "--adapter", adapter, "--record"])
            .arg(folder.path().join("record"))
            .arg(&file)
            .output()
            .expect("the harness starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let required = std::env::var("GIPC_HARNESS_REQUIRE").unwrap_or_default();
        if stderr.contains("is not set up") && !required.split(',').any(|one| one == adapter) {
            let _ = writeln!(std::io::stdout(), "{adapter} is skipped: {stderr}");
            continue;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("got signal SIGSEGV"), "{text}{stderr}");
        assert!(text.contains("(most recent call first):\n      File \""), "{text}");
    }
}
