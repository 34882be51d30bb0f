//! What happens in a child before its main: it takes the socket that its parent left at descriptor 0, and drops whatever
//! else it inherited.
//!
//! That is done by a constructor, before main and before Rust code of the program can own a descriptor or run a thread.
//! Done later, by a function that a program calls, it could close what the program has opened.

use crate::handoff::ENTRY_VARIABLE;
use crate::platform;
use crate::report::CANNOT_BEGIN;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, Once, PoisonError};

/// What a child is to begin with, and the socket to its parent.
pub(crate) struct Arrival {
    pub(crate) signature: OsString,
    pub(crate) control: io::Result<UnixStream>,
}

static ARRIVAL: Mutex<Option<Arrival>> = Mutex::new(None);

#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Does its work once, however many constructors call it.
pub(crate) extern "C" fn before_main() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Some(signature) = std::env::var_os(ENTRY_VARIABLE) else { return };
        if platform::has_more_rights_than_its_caller() {
            refuse("this program has more rights than its caller (set-user-ID), and does not obey its environment");
        }
        // SAFETY: before main there is one thread.
        unsafe { std::env::remove_var(ENTRY_VARIABLE) };
        let control = platform::take_stdin().and_then(|control| {
            platform::reset_signals()?;
            platform::close_inherited(control.as_raw_fd());
            platform::name_process();
            Ok(control)
        });
        *ARRIVAL.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arrival { signature, control });
    });
}

/// What this process is to begin with, if it is a child and did not take it before.
pub(crate) fn take() -> Option<Arrival> {
    if std::env::var_os(ENTRY_VARIABLE).is_some() {
        // Main of a child must not run: it would start children of its own.
        refuse("this system does not run the constructors of a program");
    }
    ARRIVAL.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Ends this child. Its parent learns that from the exit code alone.
fn refuse(why: &str) -> ! {
    let _ = writeln!(io::stderr(), "this child cannot begin: {why}");
    std::process::exit(CANNOT_BEGIN)
}
