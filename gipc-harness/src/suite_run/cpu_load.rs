//! `--load N`: processes that keep the processors busy during a run.
//!
//! Each process exits when its stdin closes, so that none outlives the harness, however the harness ends.

use crate::process_role::LOAD;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Running busy processes, which are killed and reaped on drop.
pub(super) struct CpuLoad(Vec<Child>);

impl CpuLoad {
    /// Starts `count` busy processes. `exe` is the harness itself.
    pub(super) fn start(count: u16, exe: &Path) -> io::Result<Self> {
        let mut load = Self(Vec::new());
        for _ in 0..count {
            let child =
                Command::new(exe).arg(LOAD).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            load.0.push(child);
        }
        Ok(load)
    }
}

impl Drop for CpuLoad {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // The process also exits when its stdin closes; a kill is only faster.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The main function of a busy process. Returns the exit code once stdin is closed.
#[must_use]
pub fn busy_main() -> i32 {
    std::thread::spawn(|| {
        loop {
            std::hint::black_box(0);
        }
    });
    let _ = io::stdin().read_to_end(&mut Vec::new());
    0
}
