//! Where a child begins: functions by name, and what they are given and return.
//!
//! How things reach the child is `handoff`'s business.

use crate::arrival::{self, Arrival, CANNOT_BEGIN};
use crate::codec::whole;
use crate::handoff::Parcel;
use crate::{Duplex, Error, Handle, Reader, Writer, platform};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::unix::pipe;
use tokio::runtime;

/// The exit code of a child that panicked, as std has it.
const PANICKED: i32 = 101;

/// The exit code of a child whose result could not be sent.
const RESULT_LOST: i32 = 70;

// The first byte of what a child says before it ends; the rest is the encoded result, or text.
const VALUE: u8 = b'v';
const PANIC: u8 = b'p';
const NOT_BEGUN: u8 = b'u';
const LOST: u8 = b'l';

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// What tells this build from others, looked up when the process begins: later its file may be another.
static BUILD: OnceLock<String> = OnceLock::new();

/// What a child is started with. This process owns the handles now (OWN-2).
#[derive(Debug)]
pub struct Start<A = ()> {
    /// The arguments.
    pub args: A,
    /// The handles, in the order they were given. What `reader`, `writer` and `duplex` return are clones of these: a
    /// handle closes when the last one is dropped, so take it out of here, or close it, where its end must be seen.
    pub handles: Vec<Handle>,
    /// Whoever started it.
    pub parent: Parent,
}

impl<A> Start<A> {
    /// The handle at this place, which must be a reader.
    ///
    /// # Errors
    ///
    /// `Misuse` if it is another one, or none.
    pub fn reader(&self, place: usize) -> Result<Reader, Error> {
        match self.handles.get(place) {
            Some(Handle::Reader(reader)) => Ok(reader.clone()),
            other => Err(wrong_handle(place, "reader", other)),
        }
    }

    /// The handle at this place, which must be a writer.
    ///
    /// # Errors
    ///
    /// `Misuse` if it is another one, or none.
    pub fn writer(&self, place: usize) -> Result<Writer, Error> {
        match self.handles.get(place) {
            Some(Handle::Writer(writer)) => Ok(writer.clone()),
            other => Err(wrong_handle(place, "writer", other)),
        }
    }

    /// The handle at this place, which must be a duplex.
    ///
    /// # Errors
    ///
    /// `Misuse` if it is another one, or none.
    pub fn duplex(&self, place: usize) -> Result<Duplex, Error> {
        match self.handles.get(place) {
            Some(Handle::Duplex(both)) => Ok(both.clone()),
            other => Err(wrong_handle(place, "duplex", other)),
        }
    }
}

fn wrong_handle(place: usize, wanted: &str, got: Option<&Handle>) -> Error {
    Error::Misuse(format!("the handle at {place} should be a {wanted}, but is {got:?}"))
}

/// The process that started this one.
#[derive(Debug)]
pub struct Parent(pipe::Receiver);

impl Parent {
    /// Waits until it is gone, however it ended (SIG-9). Cancel-safe.
    pub async fn ended(&self) {
        let mut nothing = [0];
        loop {
            // It says nothing any more, so whatever comes is the end.
            match self.0.readable().await.and_then(|()| self.0.try_read(&mut nothing)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }
}

type Running<R> = Pin<Box<dyn Future<Output = R>>>;

/// A function that a child can begin with: its name, its arguments and its result. Made by [`entry!`](crate::entry!).
pub struct Entry<A, R> {
    name: &'static str,
    run: fn(Start<A>) -> Running<R>,
}

impl<A, R> Entry<A, R> {
    /// What [`entry!`](crate::entry!) calls. The name must be the only one of its kind in the program.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, run: fn(Start<A>) -> Running<R>) -> Self {
        Self { name, run }
    }

    /// Its name: the module and the function.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What both sides must agree on. Another build of the program may have another idea of the same name.
    pub(crate) fn signature(&self) -> String {
        let (args, result) = (type_name::<A>(), type_name::<R>());
        let (version, build) = (env!("CARGO_PKG_VERSION"), BUILD.get_or_init(platform::build));
        format!("{}({args}) -> {result}, gipc-core {version}{build}", self.name)
    }
}

impl<A: DeserializeOwned + 'static, R: Serialize + 'static> Entry<A, R> {
    /// It, without its types, for the table of [`init`].
    #[must_use]
    pub fn listed(&self) -> Listed {
        let run = self.run;
        let begin = move |parcel: Parcel| -> Result<Running<Result<Vec<u8>, Error>>, Error> {
            let args = whole(parcel.args()?).map_err(Error::Decode)?;
            let control = parcel.control.try_clone()?;
            let handles = parcel.open()?;
            Ok(Box::pin(async move {
                let parent = Parent(platform::listener(control)?);
                let result = run(Start { args, handles, parent }).await;
                postcard::to_stdvec(&result).map_err(|error| Error::Encode(error.into()))
            }))
        };
        Listed { name: self.name, signature: self.signature(), begin: Box::new(begin) }
    }
}

impl<A, R> fmt::Debug for Entry<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

/// Makes of what came the future that runs an entry and encodes its result.
type Begin = Box<dyn Fn(Parcel) -> Result<Running<Result<Vec<u8>, Error>>, Error>>;

/// One row of the table of [`init`].
pub struct Listed {
    name: &'static str,
    signature: String,
    begin: Begin,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listed").field(&self.name).finish()
    }
}

/// Must be the first thing that `main` does, in a process with one thread; usually by [`init!`](crate::init!). In a
/// child of this library it runs the entry on a current-thread runtime of its own and does not return; anywhere else
/// it only remembers that it was called.
///
/// A child ends with its entry (SPAWN-10): its tasks are dropped, and threads that still work for its runtime
/// (`spawn_blocking`, a read of stdin) end with the process.
///
/// The child begins with a clean signal state, SIGPIPE ignored, and no descriptor but 0 (the null device, unless it
/// was given another), 1, 2, those of its handles, and the socket to its parent. One that cannot begin, because the
/// program is another than its parent or was built from other sources, says why on its stderr and to its parent, and
/// exits with 127 (SPAWN-19); one that panics exits with 101, or by SIGABRT where panics abort; one that returns, with 0.
///
/// # Panics
///
/// If a tokio runtime runs here already (`main` must not be `#[tokio::main]`), or if two entries have one name.
pub fn init(entries: &[Listed]) {
    assert!(
        runtime::Handle::try_current().is_err(),
        "gipc_core::init! must come before any tokio runtime: a child goes its way there"
    );
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
        panic!("gipc_core::init! was given two entries that are named {}", twice[0]);
    }
    let Some(Arrival { signature, control }) = arrival::take() else {
        platform::stop_ignoring_children();
        INITIALISED.store(true, Ordering::Relaxed);
        return;
    };
    std::process::exit(match control {
        Ok(control) => begin(entries, &signature.to_string_lossy(), &control)
            .unwrap_or_else(|error| cannot_begin(&error, Some(&control))),
        Err(error) => cannot_begin(&error.into(), None),
    })
}

fn cannot_begin(error: &Error, control: Option<&UnixStream>) -> i32 {
    let _ = writeln!(io::stderr(), "this child cannot begin: {error}");
    if let Some(control) = control {
        report(control, NOT_BEGUN, error.to_string().as_bytes());
    }
    CANNOT_BEGIN
}

/// [`init`], called before main and so outside of all that catches a panic.
#[doc(hidden)]
pub fn init_before_main(entries: &[Listed]) {
    arrival::before_main(); // the order of constructors is not known
    if catch_unwind(AssertUnwindSafe(|| init(entries))).is_err() {
        std::process::exit(PANICKED);
    }
}

pub(crate) fn is_initialised() -> bool {
    INITIALISED.load(Ordering::Relaxed)
}

fn begin(entries: &[Listed], signature: &str, control: &UnixStream) -> Result<i32, Error> {
    let Some(entry) = entries.iter().find(|entry| entry.signature == signature) else {
        return Err(Error::Misuse(unknown(entries, signature)));
    };
    INITIALISED.store(true, Ordering::Relaxed);
    let running = (entry.begin)(Parcel::receive(control)?)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(running)));
    // It drops what was left open. Threads that still work for it are not waited for, after a panic neither.
    runtime.shutdown_background();
    let (kind, bytes, code) = match ran {
        Ok(Ok(value)) => (VALUE, value, 0),
        Ok(Err(error)) => {
            let why = error.to_string();
            let _ = writeln!(io::stderr(), "the result of {} is lost: {why}", entry.name);
            (LOST, why.into_bytes(), RESULT_LOST)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            (PANIC, text.unwrap_or_default().into_bytes(), PANICKED)
        }
    };
    report(control, kind, &bytes);
    Ok(code)
}

/// Why there is no such entry, and what to do.
fn unknown(entries: &[Listed], signature: &str) -> String {
    let name = signature.split('(').next().unwrap_or_default();
    match entries.iter().find(|entry| entry.name == name) {
        Some(entry) => format!(
            "the program was built anew since its parent started: there it is {signature}, here {}; start it again",
            entry.signature
        ),
        None => {
            let known: Vec<_> = entries.iter().map(|entry| entry.name).collect();
            let known = known.join(", ");
            format!("no entry is named {name}; list it in init!, which was given {known}")
        }
    }
}

/// Tells the parent how this child ends, if the parent is still there.
fn report(mut control: &UnixStream, kind: u8, bytes: &[u8]) {
    let _ = control.set_nonblocking(false);
    let _ = control.write_all(&[kind]).and_then(|()| control.write_all(bytes));
}

/// What a child said last, in its parent.
pub(crate) enum Report<'a> {
    /// The bytes of what it returned.
    Value(&'a [u8]),
    /// The message of its panic.
    Panic(String),
    /// Why it could not begin.
    NotBegun(String),
    /// Why its result could not be sent.
    Lost(String),
}

impl<'a> Report<'a> {
    /// None if it said nothing: then its status tells all.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, bytes) = bytes.split_first()?;
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match *kind {
            VALUE => Some(Self::Value(bytes)),
            PANIC => Some(Self::Panic(text())),
            NOT_BEGUN => Some(Self::NotBegun(text())),
            LOST => Some(Self::Lost(text())),
            _ => None,
        }
    }
}

/// What a child said, without a result that is longer than its parent allows, and without the end of a text that is.
pub(crate) fn limit_report(mut said: Vec<u8>, limit: usize) -> Vec<u8> {
    let longest = limit.saturating_add(1); // the kind goes before
    if said.len() > longest && said[0] == VALUE {
        let why = format!("the result is longer than the {limit} bytes of Command::result_limit");
        said = [&[LOST], why.as_bytes()].concat();
    } else {
        said.truncate(longest);
    }
    said
}

/// Makes an async function one that a child can begin with:
///
/// ```
/// gipc_core::entry! {
///     /// Squares what it is given.
///     pub async fn square(start: Start<i64>) -> i64 {
///         start.args * start.args
///     }
/// }
/// assert!(square().name().ends_with("::square"));
/// ```
///
/// The name is then a function that returns the [`Entry`], to be listed in [`init!`](crate::init!) and started by
/// [`Command::new`](crate::Command::new). Arguments and result must be known to serde.
#[macro_export]
macro_rules! entry {
    ($(#[$about:meta])* $visible:vis async fn $name:ident($start:ident: Start<$args:ty>) -> $result:ty $body:block) => {
        $(#[$about])*
        $visible const fn $name() -> $crate::Entry<$args, $result> {
            async fn run($start: $crate::Start<$args>) -> $result $body
            $crate::Entry::new(concat!(module_path!(), "::", stringify!($name)), |start| Box::pin(run(start)))
        }
    };
}

/// Lists the entries of a program, as the first thing that its `main` does: `gipc_core::init!(square, other::entry);`.
/// See [`init`](crate::init()).
#[macro_export]
macro_rules! init {
    ($($entry:path),* $(,)?) => {
        $crate::init(&[$($entry().listed()),*])
    };
}

/// Lists the entries of a test, where main is the test harness's own: once in the file, outside of all functions. A
/// child then goes its way before that main begins.
#[macro_export]
macro_rules! init_in_tests {
    ($($entry:path),* $(,)?) => {
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
        static GIPC_CORE_INIT: extern "C" fn() = {
            extern "C" fn init() {
                $crate::init_before_main(&[$($entry().listed()),*]);
            }
            init
        };
    };
}
