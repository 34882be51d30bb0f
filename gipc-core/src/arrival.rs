//! What happens in a child before its main: the child takes the socket that its parent left at descriptor 0, and closes
//! whatever else it inherited.
//!
//! A constructor does this, before main and before Rust code of the program can own a descriptor or run a thread. A function
//! that the program calls later could close what the program has opened.

use crate::handoff::ENTRY_VARIABLE;
use crate::platform;
use crate::report::CANNOT_BEGIN;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, Once, PoisonError};

/// The entry that a child must begin with, and the socket to its parent.
pub(crate) struct Arrival {
    pub(crate) signature: OsString,
    pub(crate) control: io::Result<UnixStream>,
}

static ARRIVAL: Mutex<Option<Arrival>> = Mutex::new(None);

#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Takes what the parent left, once, however many constructors call it.
pub(crate) extern "C" fn before_main() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Some(signature) = std::env::var_os(ENTRY_VARIABLE) else { return };
        if platform::has_more_rights_than_its_caller() {
            refuse("this program has more rights than its caller (set-user-ID), and does not obey its environment");
        }
        // SAFETY: before main there is only one thread.
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

/// Returns what this process must begin with, if it is a child, and only once.
pub(crate) fn take() -> Option<Arrival> {
    if std::env::var_os(ENTRY_VARIABLE).is_some() {
        // Main of a child must not run, since it would start children of its own.
        refuse("this system does not run the constructors of a program");
    }
    ARRIVAL.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Ends this child. Its parent learns of it only from the exit code.
fn refuse(why: &str) -> ! {
    let _ = writeln!(io::stderr(), "this child cannot begin: {why}");
    std::process::exit(CANNOT_BEGIN)
}
