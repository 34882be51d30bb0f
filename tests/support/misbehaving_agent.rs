//! An agent that violates the protocol, or misuses its processes, in one named way, and otherwise behaves correctly. It
//! keeps messages in memory instead of pipes, and its child processes are this test program.
//!
//! A misbehavior that belongs to a certain moment is triggered by the harness's message for that moment, so no
//! misbehavior depends on timing.

mod put_step;

use nix::sys::signal::{SIGTERM, SigHandler, signal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How deep the tree of processes is that `leaves-a-tree-of-processes` starts. Each process starts two.
const TREE_DEPTH: u32 = 6;

struct MisbehavingAgent {
    misbehavior: String,
    role: String,
    stream: UnixStream,
    /// The messages in each pipe, by the name of its writer.
    pipes: BTreeMap<String, VecDeque<String>>,
    /// The writer that belongs to each reader.
    readers: BTreeMap<String, String>,
    children: BTreeMap<String, Child>,
    /// The gets that wait, each with its reader, in the order in which they began.
    waiting: Vec<(Value, String)>,
    /// How many bytes were sent to the harness so far.
    sent: usize,
}

/// Runs one process of a scenario, whose role is the first of `rest`, and returns its exit code.
pub(crate) fn play(misbehavior: &str, rest: &[String]) -> i32 {
    let role = rest[0].clone();
    match misbehavior {
        "exits-before-hello" => return 0,
        "never-connects" => park(),
        "aborts-before-hello" => std::process::abort(),
        // Helper processes, which never connect to the harness.
        "sleeps" => park(),
        "computes-and-ends" => {
            return i32::from((0..10_000_000_u64).map(std::hint::black_box).sum::<u64>() == 0);
        }
        "ignores-sigterm-and-sleeps" => {
            ignore_sigterm();
            park();
        }
        "process-tree" => {
            return grow_tree(rest.get(1).and_then(|depth| depth.parse().ok()).unwrap_or(0));
        }
        "connects-late" => std::thread::sleep(Duration::from_millis(1500)),
        "ignores-sigterm" => ignore_sigterm(),
        "runs-in-its-own-session" => drop(nix::unistd::setsid()),
        _ => {}
    }
    let mut agent = MisbehavingAgent {
        misbehavior: misbehavior.to_owned(),
        role,
        stream: connect(),
        pipes: BTreeMap::new(),
        readers: BTreeMap::new(),
        children: BTreeMap::new(),
        waiting: Vec::new(),
        sent: 0,
    };
    agent.send_hello();
    agent.serve()
}

fn connect() -> UnixStream {
    let path = std::env::var("GIPC_HARNESS_SOCKET").expect("the harness started this process");
    UnixStream::connect(path).expect("the harness listens")
}

fn ignore_sigterm() {
    // SAFETY: ignoring a signal installs no handler function.
    let result = unsafe { signal(SIGTERM, SigHandler::SigIgn) };
    result.expect("SIGTERM can be ignored");
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Starts this program as another agent process, with the misbehavior, the role and further arguments.
fn start_agent(arguments: &[&str]) -> Child {
    Command::new(std::env::current_exe().expect("the path of this program"))
        .arg("agent")
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .expect("the agent starts")
}

fn grow_tree(depth: u32) -> i32 {
    if depth < TREE_DEPTH {
        let deeper = (depth + 1).to_string();
        for _ in 0..2 {
            drop(start_agent(&["process-tree", "main", &deeper]));
        }
    }
    park()
}

impl MisbehavingAgent {
    fn send(&mut self, message: &Value) {
        let line = self.change_byte(format!("{message}\n").into_bytes());
        // The harness may have closed the connection already.
        let _ = self.stream.write_all(&line);
    }

    fn send_all(&mut self, messages: &[&Value]) {
        messages.iter().for_each(|message| self.send(message));
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Implements the misbehavior `changes:OFFSET:BYTE`: of all bytes that this process sends, the one at OFFSET is
    /// replaced by BYTE; 256 removes it and 257 duplicates it.
    fn change_byte(&mut self, mut line: Vec<u8>) -> Vec<u8> {
        let mut numbers = self.misbehavior.split(':').filter_map(|word| word.parse::<usize>().ok());
        let (Some(offset), Some(byte)) = (numbers.next(), numbers.next()) else { return line };
        let in_line = offset.checked_sub(self.sent).filter(|index| *index < line.len());
        self.sent += line.len();
        match (in_line, u8::try_from(byte)) {
            (Some(index), Ok(byte)) => line[index] = byte,
            (Some(index), _) if byte == 256 => drop(line.remove(index)),
            (Some(index), _) => line.insert(index, line[index]),
            (None, _) => {}
        }
        line
    }

    fn send_hello(&mut self) {
        let token = std::env::var("GIPC_HARNESS_TOKEN").expect("the harness started this process");
        let is = |misbehavior: &str| self.misbehavior == misbehavior;
        let claims_more = is("claims-undeclared-profiles");
        let hello = json!({
            "type": "hello",
            "protocol": if is("unsupported-protocol-version") { 99 } else { 1 },
            "token": if is("hello-with-wrong-token") { "wrong".into() } else { token },
            "role": if is("hello-with-unknown-role") { "unknown" } else { self.role.as_str() },
            "pid": if is("hello-with-wrong-pid") { 1 } else { std::process::id() },
            "implementation": { "name": "misbehaving", "version": "0" },
            "profiles": if claims_more { vec!["core", "tasks", "signals"] } else { vec!["core", "tasks"] },
            "control": "loop",
        });
        match self.misbehavior.as_str() {
            "incomplete-hello" => self.send_raw(&hello.to_string().as_bytes()[..40]),
            "sends-a-pong-before-hello" => self.send(&json!({ "type": "pong", "n": 1 })),
            _ => self.send(&hello),
        }
        if self.misbehavior == "connects-twice" {
            let mut second = connect();
            let _ = writeln!(second, "{hello}");
            // The second connection stays open until the process ends.
            std::mem::forget(second);
        }
    }

    /// Answers the harness until it sends `finish`, and returns the exit code.
    fn serve(&mut self) -> i32 {
        let lines = BufReader::new(self.stream.try_clone().expect("a duplicate of the socket"));
        for line in lines.lines().map_while(Result::ok) {
            let message: Value = serde_json::from_str(&line).expect("the harness sends JSON");
            match message["type"].as_str() {
                Some("step") => {
                    if let Some(code) = self.run_step(&message) {
                        return code;
                    }
                }
                Some("ping") if self.misbehavior == "answers-pings-twice" => {
                    let pong = json!({ "type": "pong", "n": message["n"] });
                    self.send_all(&[&pong, &pong]);
                }
                Some("ping") => self.send(&json!({ "type": "pong", "n": message["n"] })),
                Some("finish") if self.misbehavior == "does-not-exit-after-finish" => {}
                Some("finish") => return self.finish(),
                _ => {}
            }
        }
        1
    }

    /// Returns the exit code after `finish`.
    fn finish(&mut self) -> i32 {
        match self.misbehavior.as_str() {
            "leaves-a-child-running" => drop(start_agent(&["sleeps", "main"])),
            "leaves-a-child-that-ends-by-itself" => {
                drop(start_agent(&["computes-and-ends", "main"]));
            }
            "leaves-an-orphan-in-its-own-session" => {
                let mut orphan = Command::new("setsid");
                orphan.arg(std::env::current_exe().expect("the path of this program"));
                drop(orphan.args(["agent", "ignores-sigterm-and-sleeps", "main"]).spawn());
            }
            "leaves-a-tree-of-processes" => drop(start_agent(&["process-tree", "main", "0"])),
            "exits-with-an-unexpected-code" => return 3,
            _ => {}
        }
        0
    }

    /// Runs one step and reports it. If the process has to exit, returns the exit code.
    fn run_step(&mut self, step: &Value) -> Option<i32> {
        let (id, command) = (&step["id"], &step["do"]);
        let verb = command["verb"].as_str().unwrap_or_default();
        let is_core = ["pipe", "spawn", "put", "get", "close", "join"].contains(&verb);
        let is_core = is_core && command["codec"].is_null();
        if !is_core && self.misbehavior != "accepts-an-unknown-verb" {
            let reason = "the verb is not in the profile core";
            self.send(&json!({ "type": "unsupported", "id": id, "reason": reason }));
            return None;
        }
        if verb == "put" {
            return self.run_put(id, command);
        }
        let pid = std::process::id();
        self.send(&json!({ "type": "begin", "id": id, "pid": pid }));
        let is_waiting = verb == "get" && self.pipes.values().all(VecDeque::is_empty);
        if is_waiting && self.misbehavior == "the-get-that-began-last-goes-first" {
            self.waiting.push((id.clone(), command["handle"].as_str().unwrap_or_default().into()));
            return None;
        }
        let outcome = self.perform(verb, command);
        self.send(&json!({ "type": "end", "id": id, "pid": pid, "outcome": outcome }));
        None
    }

    /// Completes the last of the gets that wait, with a message that has just been put.
    fn end_last_get(&mut self) {
        if let Some((id, handle)) = self.waiting.pop() {
            let outcome = self.perform("get", &json!({ "handle": handle }));
            let pid = std::process::id();
            self.send(&json!({ "type": "end", "id": id, "pid": pid, "outcome": outcome }));
        }
    }

    /// Performs a command correctly and returns its outcome.
    fn perform(&mut self, verb: &str, command: &Value) -> Value {
        let word = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
        match verb {
            "pipe" => {
                self.readers.insert(word("reader"), word("writer"));
                self.pipes.insert(word("writer"), VecDeque::new());
            }
            "put" => {
                let text = command["payload"]["text"].as_str().unwrap_or_default();
                self.pipes.entry(word("handle")).or_default().push_back(text.to_owned());
            }
            "get" => {
                let writer = self.readers.get(&word("handle"));
                let pipe = writer.and_then(|writer| self.pipes.get_mut(writer));
                return match pipe.and_then(VecDeque::pop_front) {
                    Some(text) => {
                        let digest = gipc_agent::digest(text.as_bytes());
                        json!({ "is": "message", "len": text.len(), "sha256": digest, "text": text })
                    }
                    None => json!({ "is": "eof" }),
                };
            }
            "spawn" => {
                let child = word("child");
                let process = start_agent(&[&self.misbehavior, &child]);
                self.children.insert(child, process);
            }
            "join" => {
                let child = self.children.get_mut(&word("child")).expect("the child was spawned");
                let status = child.wait().expect("the child can be waited for");
                return json!({ "is": "exit", "code": status.code() });
            }
            _ => {}
        }
        json!({ "is": "ok" })
    }
}
