//! `--load N`: processes that do nothing but keep the processors busy, while a run goes on.
//!
//! Each ends when its stdin closes, so that none outlives the harness, however that ends.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// So many busy processes; they end when this is dropped.
pub(super) struct CpuLoad(Vec<Child>);

impl CpuLoad {
    pub(super) fn start(count: u16, exe: &Path) -> io::Result<Self> {
        let mut load = Self(Vec::new());
        for _ in 0..count {
            let child = Command::new(exe)
                .arg("busy")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()?;
            load.0.push(child);
        }
        Ok(load)
    }
}

impl Drop for CpuLoad {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It ends by itself; this only makes it sooner.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The main of a busy process. Returns its exit code.
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
