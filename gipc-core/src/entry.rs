//! Where a child begins: functions by name, and what they are given and return.
//!
//! How things reach the child is `handoff`'s business.

use crate::handoff::{ENTRY_VARIABLE, Parcel};
use crate::{CodecError, Duplex, Error, Handle, Reader, Writer, platform};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a child that could not begin.
const CANNOT_BEGIN: i32 = 127;

/// The exit code of a child that panicked, as std has it.
const PANICKED: i32 = 101;

/// What a child says before it ends: a value, or the words of a panic.
const VALUE: u8 = b'v';
const PANIC: u8 = b'p';

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// What a child is started with. This process owns the handles now.
#[derive(Debug)]
pub struct Start<A = ()> {
    /// The arguments.
    pub args: A,
    /// The handles, in the order they were given.
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
pub struct Parent(tokio::net::UnixStream);

impl Parent {
    /// Waits until it is gone, however it ended. Cancel-safe.
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
}

impl<A: DeserializeOwned + 'static, R: Serialize + 'static> Entry<A, R> {
    /// It, without its types, for the table of [`init`].
    #[must_use]
    pub fn listed(&self) -> Listed {
        let run = self.run;
        let begin = move |parcel: Parcel| -> Running<Result<Vec<u8>, Error>> {
            Box::pin(async move {
                let args = postcard::from_bytes(&parcel.args)
                    .map_err(|error| Error::Decode(error.into()))?;
                let parent = Parent(tokio::net::UnixStream::from_std(parcel.control.try_clone()?)?);
                let start = Start { args, handles: parcel.open()?, parent };
                let result = run(start).await;
                postcard::to_stdvec(&result).map_err(|error| Error::Encode(error.into()))
            })
        };
        Listed { name: self.name, begin: Box::new(begin) }
    }
}

impl<A, R> fmt::Debug for Entry<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

/// Runs an entry with what came, and returns its result in bytes.
type Begin = Box<dyn Fn(Parcel) -> Running<Result<Vec<u8>, Error>>>;

/// One row of the table of [`init`].
pub struct Listed {
    name: &'static str,
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
/// The child begins with a clean signal state, SIGPIPE ignored, and no descriptor but 0 (the null device, unless it
/// was given another), 1, 2, those of its handles, and the socket to its parent. One that cannot begin says why on its
/// stderr and exits with 127; one that panics exits with 101; one that returns, with 0.
pub fn init(entries: &[Listed]) {
    let Some(name) = platform::take_variable(ENTRY_VARIABLE) else {
        INITIALISED.store(true, Ordering::Relaxed);
        return;
    };
    let code = begin(entries, &name.to_string_lossy()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "this child cannot begin: {error}");
        CANNOT_BEGIN
    });
    std::process::exit(code)
}

/// [`init`], called before main and so outside of all that catches a panic.
#[doc(hidden)]
pub fn init_before_main(entries: &[Listed]) {
    if catch_unwind(AssertUnwindSafe(|| init(entries))).is_err() {
        std::process::exit(PANICKED);
    }
}

pub(crate) fn is_initialised() -> bool {
    INITIALISED.load(Ordering::Relaxed)
}

fn begin(entries: &[Listed], name: &str) -> Result<i32, Error> {
    let control = platform::take_stdin()?;
    platform::clean_signals()?;
    platform::close_strangers(std::os::fd::AsRawFd::as_raw_fd(&control));
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        let known: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        let known = known.join(", ");
        return Err(Error::Misuse(format!("no entry is named {name}; init was given {known}")));
    };
    INITIALISED.store(true, Ordering::Relaxed);
    let parcel = Parcel::receive(control)?;
    let control = parcel.control.try_clone()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on((entry.begin)(parcel))));
    drop(runtime); // and with it what was left open
    match ran {
        Ok(value) => {
            say(&control, VALUE, &value?);
            Ok(0)
        }
        Err(panic) => {
            let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
            let words =
                words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            say(&control, PANIC, words.as_bytes());
            Ok(PANICKED)
        }
    }
}

/// Tells the parent how it went. If there is none any more, nobody needs to know.
fn say(mut control: &UnixStream, kind: u8, bytes: &[u8]) {
    let _ = control.set_nonblocking(false);
    let _ = control.write_all(&[kind]).and_then(|()| control.write_all(bytes));
}

/// What a child said last, in its parent.
pub(crate) struct LastWords<R> {
    bytes: Vec<u8>,
    value: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> LastWords<R> {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, value: PhantomData }
    }

    /// The value that it returned, if it did.
    pub(crate) fn value(&self) -> Option<Result<R, CodecError>> {
        let (kind, bytes) = self.bytes.split_first()?;
        (*kind == VALUE).then(|| postcard::from_bytes(bytes).map_err(CodecError::from))
    }

    /// The words of its panic, if it panicked.
    pub(crate) fn panic(&self) -> Option<String> {
        let (kind, bytes) = self.bytes.split_first()?;
        (*kind == PANIC).then(|| String::from_utf8_lossy(bytes).into_owned())
    }
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
