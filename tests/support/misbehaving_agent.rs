//! An agent that lies in one way, and otherwise answers as it should: a pipe is a list, and processes are this program.
//!
//! It never trusts its own luck: a lie that must come at a moment is told when the harness speaks of that moment.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// So much goes to stdout by the agent that floods it, in MiB.
const FLOOD_MIB: usize = 2048;
/// So many events are sent by the agent that floods the conversation.
const EVENTS: usize = 1_000_000;
/// So deep does the agent fork that starts processes without end; there are two at each node.
const BOMB: u32 = 6;

struct Liar {
    lie: String,
    role: String,
    stream: UnixStream,
    pipes: BTreeMap<String, VecDeque<String>>,
    readers: BTreeMap<String, String>,
    children: BTreeMap<String, Child>,
    /// So many bytes were said.
    said: usize,
}

/// Plays one process.
pub(crate) fn play(lie: &str, rest: &[String]) -> i32 {
    let role = rest[0].clone();
    match lie {
        "exits-at-once" => return 0,
        "never-dials" => park(),
        "crashes-at-once" => std::process::abort(),
        // Its parent's helper, which has no role to play.
        "sleeps" | "ignores-sigterm-and-sleeps" => park(),
        "bomb" => return bomb(rest.get(1).and_then(|depth| depth.parse().ok()).unwrap_or(0)),
        "dials-late" => std::thread::sleep(Duration::from_millis(1500)),
        "ignores-sigterm" => {
            let ignore = nix::sys::signal::SigHandler::SigIgn;
            // SAFETY: to ignore a signal runs no code of ours.
            let set = unsafe { nix::sys::signal::signal(nix::sys::signal::SIGTERM, ignore) };
            set.expect("SIGTERM can be ignored");
        }
        "setsid" => drop(nix::unistd::setsid()),
        _ => {}
    }
    let stream = dial();
    let mut liar = Liar {
        lie: lie.to_owned(),
        role,
        stream,
        pipes: BTreeMap::new(),
        readers: BTreeMap::new(),
        children: BTreeMap::new(),
        said: 0,
    };
    liar.hello();
    liar.talk()
}

fn dial() -> UnixStream {
    UnixStream::connect(std::env::var("GIPC_HARNESS_SOCKET").expect("started by the harness"))
        .expect("it listens")
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// The parent of main is the supervisor.
fn hit_parent(signal: nix::sys::signal::Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::getppid(), signal);
}

/// Starts this program again, for a lie of its own.
fn again(words: &[&str]) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .arg("agent")
        .args(words)
        .stdin(Stdio::null())
        .spawn()
        .expect("it can be started")
}

fn bomb(depth: u32) -> i32 {
    if depth < BOMB {
        let deeper = (depth + 1).to_string();
        drop([again(&["bomb", "main", &deeper]), again(&["bomb", "main", &deeper])]);
    }
    park()
}

impl Liar {
    fn say(&mut self, words: &Value) {
        let line = self.changed(format!("{words}\n").into_bytes());
        // The harness may have had enough.
        let _ = self.stream.write_all(&line);
    }

    /// `changes:PLACE:BYTE` is one byte that is not as it should be in all that a process says; 256 leaves it out, 257
    /// says it twice.
    fn changed(&mut self, mut line: Vec<u8>) -> Vec<u8> {
        let mut words = self.lie.split(':').filter_map(|word| word.parse::<usize>().ok());
        let (Some(place), Some(byte)) = (words.next(), words.next()) else { return line };
        let inside = place.checked_sub(self.said).filter(|place| *place < line.len());
        self.said += line.len();
        match (inside, u8::try_from(byte)) {
            (Some(place), Ok(byte)) => line[place] = byte,
            (Some(place), _) if byte == 256 => drop(line.remove(place)),
            (Some(place), _) => line.insert(place, line[place]),
            (None, _) => {}
        }
        line
    }

    fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    fn hello(&mut self) {
        let own = std::env::var("GIPC_HARNESS_TOKEN").expect("started by the harness");
        let is = |lie: &str| self.lie == lie;
        let hello = json!({
            "type": "hello",
            "protocol": if is("other-protocol") { 99 } else { 1 },
            "token": if is("wrong-token") { "stolen".into() } else { own },
            "role": if is("wrong-role") { "nobody" } else { self.role.as_str() },
            "pid": if is("wrong-pid") { 1 } else { std::process::id() },
            "implementation": { "name": "liar", "version": "0" },
            "profiles": if is("says-more-profiles") { vec!["core", "signals"] } else { vec!["core"] },
            "control": "loop",
        });
        match self.lie.as_str() {
            "half-a-hello" => self.raw(&hello.to_string().as_bytes()[..40]),
            "speaks-before-hello" => self.say(&json!({ "type": "pong", "n": 1 })),
            _ => self.say(&hello),
        }
        if self.lie == "dials-twice" {
            let mut second = dial();
            let _ = writeln!(second, "{hello}");
            // It is not closed, so that it stays a second conversation.
            std::mem::forget(second);
        }
    }

    fn talk(&mut self) -> i32 {
        let lines = BufReader::new(self.stream.try_clone().expect("a copy"));
        for line in lines.lines().map_while(Result::ok) {
            let words: Value = serde_json::from_str(&line).expect("the harness speaks JSON");
            match words["type"].as_str() {
                Some("step") => {
                    if let Some(code) = self.step(&words) {
                        return code;
                    }
                }
                Some("ping") if self.lie == "answers-twice" => {
                    self.say(&json!({ "type": "pong", "n": words["n"] }));
                    self.say(&json!({ "type": "pong", "n": words["n"] }));
                }
                Some("ping") => self.say(&json!({ "type": "pong", "n": words["n"] })),
                Some("finish") if self.lie == "does-not-leave" => {}
                Some("finish") => return self.leave(),
                _ => {}
            }
        }
        1
    }

    fn leave(&mut self) -> i32 {
        match self.lie.as_str() {
            "leaves-a-child" => drop(again(&["sleeps", "main"])),
            "leaves-an-orphan-in-its-own-session" => {
                let mut away = Command::new("setsid");
                away.arg(std::env::current_exe().expect("this program"));
                drop(away.args(["agent", "ignores-sigterm-and-sleeps", "main"]).spawn());
            }
            "forks-without-end" => drop(again(&["bomb", "main", "0"])),
            "leaves-with-a-code" => return 3,
            _ => {}
        }
        0
    }

    /// Does one step as it should be done, but for the lie. A code is that of its exit.
    fn step(&mut self, words: &Value) -> Option<i32> {
        let pid = std::process::id();
        let (id, order) = (&words["id"], &words["do"]);
        let begin = json!({ "type": "begin", "id": id, "pid": pid });
        let end =
            |outcome: Value| json!({ "type": "end", "id": id, "pid": pid, "outcome": outcome });
        let ok = end(json!({ "is": "ok" }));
        let verb = order["verb"].as_str().unwrap_or_default();
        let core = ["pipe", "spawn", "put", "get", "close", "join"].contains(&verb);
        if !core && self.lie != "refuses-nothing" {
            self.say(
                &json!({ "type": "unsupported", "id": id, "reason": "it is not of the core" }),
            );
            return None;
        }
        if verb != "put" {
            self.say(&begin);
            let outcome = self.perform(verb, order);
            self.say(&end(outcome));
            return None;
        }
        // Every lie of the middle is told in a put.
        match self.lie.as_str() {
            "end-before-begin" => return self.told(&[&ok, &begin]),
            "two-begins" => return self.told(&[&begin, &begin, &ok]),
            "two-ends" => return self.told(&[&begin, &ok, &ok]),
            "end-of-a-step-never-sent" => {
                return self.told(&[
                    &begin,
                    &json!({ "type": "end", "id": 999, "pid": pid, "outcome": { "is": "ok" } }),
                ]);
            }
            "end-of-another-step" => {
                return self.told(&[
                    &begin,
                    &json!({ "type": "end", "id": 2, "pid": pid, "outcome": { "is": "ok" } }),
                ]);
            }
            "unknown-message" => return self.told(&[&begin, &json!({ "type": "hurry" })]),
            "unknown-outcome" => return self.told(&[&begin, &end(json!({ "is": "splendid" }))]),
            "hello-again" => {
                self.hello();
                return self.told(&[&begin, &ok]);
            }
            "unsupported-though-declared" => {
                return self
                    .told(&[&json!({ "type": "unsupported", "id": id, "reason": "not today" })]);
            }
            "wrong-message" => {
                self.perform(
                    verb,
                    &json!({ "handle": order["handle"], "payload": { "text": "b" } }),
                );
                return self.told(&[&begin, &ok]);
            }
            "pong-without-a-ping" => {
                return self.told(&[&begin, &json!({ "type": "pong", "n": 7 }), &ok]);
            }
            "other-pid" => {
                return self.told(&[
                    &begin,
                    &json!({ "type": "end", "id": id, "pid": 1, "outcome": { "is": "ok" } }),
                ]);
            }
            "invalid-json" => self.raw(b"{\"type\":\"end\",\n"),
            "invalid-utf8" => self.raw(b"{\"type\":\"fault\",\"reason\":\"\xff\xfe\"}\n"),
            "prints-to-the-socket" => self.raw(b"Segmentation fault\n"),
            "endless-line" => self.raw(&vec![b'x'; 1 << 20]),
            "half-a-line" => self.raw(b"{\"type\":\"beg"),
            "deep-json" => self.raw(&[vec![b'['; 60_000], b"\n".to_vec()].concat()),
            "floods-events" => {
                let line = format!("{begin}\n").repeat(1000);
                (0..EVENTS / 1000).for_each(|_| self.raw(line.as_bytes()));
            }
            "floods-stdout" => {
                let mut out = std::io::stdout();
                let piece = vec![b'x'; 1 << 20];
                for _ in 0..FLOOD_MIB {
                    let _ = out.write_all(&piece);
                }
            }
            "exits-in-the-middle" => return Some(0),
            "aborts-in-the-middle" => std::process::abort(),
            "kills-itself-in-the-middle" => {
                let _ = nix::sys::signal::raise(nix::sys::signal::SIGKILL);
            }
            "stops-itself" => {
                let _ = nix::sys::signal::raise(nix::sys::signal::SIGSTOP);
            }
            "spins" => loop {
                std::hint::spin_loop();
            },
            "answers-while-it-blocks" => {
                let copy = self.stream.try_clone().expect("a copy");
                std::thread::spawn(move || answer(copy));
                self.say(&begin);
                park();
            }
            "stops-the-supervisor" => hit_parent(nix::sys::signal::SIGSTOP),
            "kills-the-supervisor" => hit_parent(nix::sys::signal::SIGKILL),
            "left-without-end" => loop {
                self.say(&json!({ "type": "left", "handles": 0 }));
                std::thread::sleep(Duration::from_millis(20));
            },
            "orphans-without-end" => loop {
                // The shell is gone at once, and whom it leaves ends a moment later, below the supervisor.
                let _ = Command::new("sh").args(["-c", "sleep 0.1 &"]).status();
            },
            "brings-a-guest" => drop(again(&["honest", "guest"]).wait()),
            "brings-a-twin" => drop(again(&["honest", "main"]).wait()),
            "closes-the-conversation" => {
                let _ = self.stream.shutdown(std::net::Shutdown::Both);
                park();
            }
            "a-child-keeps-the-conversation" => {
                let copy = self.stream.try_clone().expect("a copy");
                let file = std::os::fd::OwnedFd::from(copy);
                let mut sleeper = Command::new(std::env::current_exe().expect("this program"));
                drop(sleeper.args(["agent", "sleeps", "main"]).stdin(file).spawn());
                return Some(0);
            }
            _ => {}
        }
        self.say(&begin);
        let outcome = self.perform(verb, order);
        self.say(&end(outcome));
        None
    }

    fn told(&mut self, lines: &[&Value]) -> Option<i32> {
        lines.iter().for_each(|line| self.say(line));
        None
    }

    fn perform(&mut self, verb: &str, order: &Value) -> Value {
        let word = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
        match verb {
            "pipe" => {
                self.readers.insert(word("reader"), word("writer"));
                self.pipes.insert(word("writer"), VecDeque::new());
            }
            "put" => {
                let text = order["payload"]["text"].as_str().unwrap_or_default();
                self.pipes.entry(word("handle")).or_default().push_back(text.to_owned());
            }
            "get" => {
                let pipe = self.readers.get(&word("handle")).and_then(|w| self.pipes.get_mut(w));
                return match pipe.and_then(VecDeque::pop_front) {
                    Some(text) => {
                        use sha2::Digest;
                        let digest = format!("{:x}", sha2::Sha256::digest(text.as_bytes()));
                        json!({ "is": "message", "len": text.len(), "sha256": digest, "text": text })
                    }
                    None => json!({ "is": "eof" }),
                };
            }
            "spawn" => {
                let child = word("child");
                self.children.insert(child.clone(), again(&[&self.lie.clone(), &child]));
            }
            "join" => {
                let status = self.children.get_mut(&word("child")).expect("spawned").wait();
                return json!({ "is": "exit", "code": status.expect("it was ours").code() });
            }
            _ => {}
        }
        json!({ "is": "ok" })
    }
}

/// Answers pings, and nothing else.
fn answer(mut stream: UnixStream) {
    for line in BufReader::new(stream.try_clone().expect("a copy")).lines().map_while(Result::ok) {
        let words: Value = serde_json::from_str(&line).expect("the harness speaks JSON");
        if words["type"] == "ping" {
            let _ = writeln!(stream, "{}", json!({ "type": "pong", "n": words["n"] }));
        }
    }
}
