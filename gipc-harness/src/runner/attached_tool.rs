//! Attaches a tool such as strace or a debugger to a process of a run before the first step of that process.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often to check whether the tool traces the process.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long a tool may take to attach itself. A debugger first reads symbols.
const LIMIT: Duration = Duration::from_secs(60);

/// A tool, and the process that it is for. Clones share the running tool.
#[derive(Clone, Debug)]
pub struct AttachedTool {
    role: String,
    /// The program and its arguments, in which `{pid}` stands for the pid.
    command: Vec<String>,
    is_interactive: bool,
    running: Arc<Mutex<Option<Child>>>,
}

impl AttachedTool {
    /// Describes a tool for the process with this role. `{pid}` in an argument stands for the pid of the process. An
    /// interactive tool has the standard input of the harness.
    #[must_use]
    pub fn new(role: &str, command: Vec<String>, is_interactive: bool) -> Self {
        Self { role: role.to_owned(), command, is_interactive, running: Arc::default() }
    }

    /// The role of the process.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Starts the tool, and returns when it traces the process. Blocks the thread, since nothing else of the run may happen
    /// meanwhile. The error says what went wrong, as part of a sentence.
    pub(super) fn attach(&self, pid: i32) -> Result<(), String> {
        let words = self.command.iter().map(|word| word.replace("{pid}", &pid.to_string()));
        let words: Vec<String> = words.collect();
        let (program, arguments) = words.split_first().ok_or("no tool was named")?;
        let input = if self.is_interactive { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(program).args(arguments).stdin(input).spawn();
        let mut child = child.map_err(|error| format!("cannot start {program}: {error}"))?;
        let began = Instant::now();
        while !is_traced(pid) {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("{program} ended before it traced process {pid} ({status})"));
            }
            if began.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                let seconds = LIMIT.as_secs();
                return Err(format!("{program} did not trace process {pid} within {seconds} s"));
            }
            std::thread::sleep(INTERVAL);
        }
        *self.lock() = Some(child);
        Ok(())
    }

    /// Waits until the tool has ended; strace ends after the process. Returns its status, or `None` if it was not started.
    pub fn wait(&self) -> Option<ExitStatus> {
        self.lock().take().and_then(|mut child| child.wait().ok())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a process is being traced.
fn is_traced(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|pid| pid.trim() != "0")
}
