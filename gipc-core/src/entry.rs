//! Where a child begins: functions by name, what they are given, and what they return.
//!
//! `handoff` brings these things to the child.

use crate::arrival::{self, Arrival};
use crate::codec::whole;
use crate::handles::Bundle;
use crate::handoff::ReceivedHandles;
use crate::report::{CANNOT_BEGIN, PANICKED, Report};
use crate::{Error, Handles, platform};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::unix::pipe;
use tokio::runtime;

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// What distinguishes this build from others. It is determined when the process begins, since the file of the program may
/// change later.
static BUILD: OnceLock<String> = OnceLock::new();

/// What a child is started with: `Start<A, H>` has arguments of the type `A` and the handles `H`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Start<A = (), H = ()> {
    /// The arguments.
    pub args: A,
    /// The handles, which now belong to this process. Each closes when its last clone is dropped.
    pub handles: H,
    /// The process that started this one.
    pub parent: Parent,
}

/// The process that started this one.
#[derive(Debug)]
pub struct Parent(pipe::Receiver);

impl Parent {
    /// Waits until the parent has ended, in whatever way. Cancel-safe.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use gipc_core::{Start, entry};
    ///
    /// entry! {
    ///     async fn serve(start: Start<()>) {
    ///         start.parent.ended().await; // then nothing is left to serve
    ///     }
    /// }
    /// # let _ = serve();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ended(&self) {
        let mut nothing = [0];
        loop {
            // The parent sends nothing any more, so whatever arrives is the end.
            match self.0.readable().await.and_then(|()| self.0.try_read(&mut nothing)) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                _ => return,
            }
        }
    }
}

type Running<R> = Pin<Box<dyn Future<Output = R>>>;

/// The outcome of an entry: its result, or why it failed.
type Outcome<R> = Result<R, String>;

/// A function that a child can begin with, made by [`entry!`](crate::entry!). `S` is the [`Start`] that the function takes,
/// and `R` its result.
pub struct Entry<S, R> {
    name: &'static str,
    run: fn(S) -> Running<Outcome<R>>,
}

impl<S, R> Entry<S, R> {
    /// Creates an entry; [`entry!`](crate::entry!) calls it. The name must be unique in the program.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, run: fn(S) -> Running<Outcome<R>>) -> Self {
        Self { name, run }
    }

    /// Converts a `Result` that an entry returned; [`entry!`](crate::entry!) calls it.
    #[doc(hidden)]
    pub fn outcome<E: fmt::Display>(returned: Result<R, E>) -> Outcome<R> {
        returned.map_err(|error| format!("{error:#}"))
    }

    /// Returns the name of the entry: the module and the function.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// gipc_core::entry! { async fn work(_start: gipc_core::Start) {} }
    /// assert!(work().name().ends_with("::work"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What both sides must agree on. Another build of the program may have a different function with the same name.
    pub(crate) fn signature(&self) -> String {
        let (start, result) = (type_name::<S>(), type_name::<R>());
        let (version, build) = (env!("CARGO_PKG_VERSION"), BUILD.get_or_init(platform::build));
        format!("{}({start}) -> {result}, gipc-core {version}{build}", self.name)
    }
}

impl<A: DeserializeOwned + 'static, H: Handles + 'static, R: Serialize + 'static>
    Entry<Start<A, H>, R>
{
    /// Erases the types of arguments and result, so that the entry can be listed in [`init`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// gipc_core::entry! { async fn work(_start: gipc_core::Start) {} }
    /// gipc_core::init(&[work().listed()]); // what `init!(work)` does
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn listed(&self) -> Listed {
        let (name, run) = (self.name, self.run);
        let begin = move |received: ReceivedHandles| -> Result<Running<Report>, Error> {
            let (args, counts) = whole(received.args()?).map_err(Error::Decode)?;
            let (handles, control) = received.open()?;
            let mut bundle = Bundle { handles, counts };
            let handles =
                H::unpack(&mut bundle).ok_or_else(|| io::Error::other("other handles"))?;
            let parent = Parent(platform::listener(control)?);
            Ok(Box::pin(async move {
                let outcome = run(Start { args, handles, parent }).await;
                match outcome.map(|result| postcard::to_stdvec(&result)) {
                    Ok(Ok(bytes)) => Report::Value(bytes),
                    Ok(Err(error)) => Report::Lost(Error::Encode(error.into()).to_string()),
                    Err(why) => Report::Failed(why),
                }
            }))
        };
        Listed { name, signature: self.signature(), begin: Box::new(begin) }
    }
}

impl<S, R> fmt::Debug for Entry<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

/// Turns what arrived into the future that runs an entry and reports how it ended.
type Begin = Box<dyn Fn(ReceivedHandles) -> Result<Running<Report>, Error>>;

/// An entry without its types, as [`init`] takes it.
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

/// Runs the entry that this process was started for, if the process is a child of this library: on a current-thread runtime
/// of its own, and without returning. In any other process it only remembers that it was called. It must be the first thing
/// that `main` does, usually by [`init!`](crate::init!), since a child also does everything that main does before it.
///
/// A child ends with its entry: its tasks are dropped, and threads that still work for its runtime (`spawn_blocking`, a read
/// of stdin) end with the process.
///
/// A child has the default signal state, except that SIGPIPE is ignored, and only these descriptors: 0 (the null device,
/// unless it was given another), 1, 2, those of its handles, and the socket to its parent. A child cannot begin if its
/// program is not that of its parent, or was built from other sources. It then prints the reason on its stderr, reports it
/// to its parent, and exits with 127. A child that panics exits with 101, or by SIGABRT if panics abort. A child that
/// returns an error exits with 1, and a child that returns a value exits with 0.
///
/// If the process inherited an ignored SIGCHLD, `init` sets SIGCHLD to its default.
///
/// # Panics
///
/// If a tokio runtime is already running here (`main` must not be `#[tokio::main]`), or if two entries have the same name.
pub fn init(entries: &[Listed]) {
    assert!(
        runtime::Handle::try_current().is_err(),
        "gipc_core::init! must run before any tokio runtime exists: write `fn main` without #[tokio::main], and build the runtime after init!"
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
        Report::NotBegun(error.to_string()).send(control);
    }
    CANNOT_BEGIN
}

/// Like [`init`], for a constructor, where nothing catches a panic.
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
        return Err(io::Error::other(unknown(entries, signature)).into());
    };
    INITIALISED.store(true, Ordering::Relaxed);
    let received = ReceivedHandles::receive(control)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let running = {
        let _entered = runtime.enter();
        (entry.begin)(received)?
    };
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(running)));
    // This drops what was left open. It does not wait for threads that still work for the runtime, not even after a panic.
    runtime.shutdown_background();
    let report = ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Report::Panic(text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_default())
    });
    if let Report::Failed(why) | Report::Lost(why) = &report {
        let _ = writeln!(io::stderr(), "{} failed: {why}", entry.name);
    }
    report.send(control);
    Ok(report.exit_code())
}

/// The error for a missing entry: why it is missing, and what to do.
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

/// Turns an async function into an entry, with which a child can begin:
///
/// ```
/// use gipc_core::{Error, Postcard, Reader, Start, entry};
///
/// entry! {
///     /// Sums what it gets.
///     pub async fn sum(start: Start<i64, Reader<Postcard<i64>>>) -> Result<i64, Error> {
///         let mut sum = start.args;
///         while let Some(number) = start.handles.get().await? {
///             sum += number;
///         }
///         Ok(sum)
///     }
/// }
/// assert!(sum().name().ends_with("::sum"));
/// ```
///
/// The name then stands for a function that returns the [`Entry`], which is listed in [`init!`](crate::init!) and started by
/// [`Command::new`](crate::Command::new). The arguments and the result must be types that serde knows. An entry that returns
/// nothing needs no `->`. The parameter can be any pattern, for instance
/// `Start { args, handles: (r, w), .. }: Start<u8, (Reader, Writer)>`.
///
/// An entry that returns a `Result`, of this crate or of another such as anyhow, can use `?`. Then only its value must be a
/// type that serde knows, and its error must have a `Display` (used with `#`, so that anyhow prints the whole chain). The
/// child prints the error on its stderr and exits with 1, and its parent gets it as [`Exit::Failed`](crate::Exit::Failed).
/// That applies if the type is written as `Result<…>`, alone or after a path.
#[macro_export]
macro_rules! entry {
    // Splits the parameter at its first colon.
    (@parameter $head:tt $returns:tt $pattern:tt : $start:ty $(,)?) => {
        $crate::entry!(@returns [$head $pattern [$start]] $returns);
    };
    (@parameter $head:tt $returns:tt [$($pattern:tt)*] $next:tt $($rest:tt)+) => {
        $crate::entry!(@parameter $head $returns [$($pattern)* $next] $($rest)+);
    };
    (@returns $made:tt [$body:block]) => {
        $crate::entry!(@made $made [()] [()] [::std::result::Result::Ok] $body);
    };
    (@returns $made:tt [-> $($returned:tt)+]) => {
        $crate::entry!(@path $made [$($returned)+] [] $($returned)+);
    };
    // Looks for `Result<` after the segments of a path.
    (@path $made:tt $returned:tt [$($path:tt)*] Result<$result:ty $(, $error:ty)? $(,)?> $body:block) => {
        $crate::entry!(@made $made [$result] [$($path)* Result<$result $(, $error)?>] [$crate::Entry::<(), $result>::outcome] $body);
    };
    (@path $made:tt $returned:tt [$($path:tt)*] :: $($rest:tt)+) => {
        $crate::entry!(@path $made $returned [$($path)* ::] $($rest)+);
    };
    (@path $made:tt $returned:tt [$($path:tt)*] $segment:ident :: $($rest:tt)+) => {
        $crate::entry!(@path $made $returned [$($path)* $segment ::] $($rest)+);
    };
    (@path $made:tt [$($returned:tt)+] $path:tt $($rest:tt)+) => {
        $crate::entry!(@value $made $($returned)+);
    };
    (@value $made:tt $result:ty $body:block) => {
        $crate::entry!(@made $made [$result] [$result] [::std::result::Result::Ok] $body);
    };
    (@made [[[$(#[$about:meta])*] [$visible:vis] $name:ident] [$($pattern:tt)+] [$start:ty]] [$result:ty] [$returned:ty] [$outcome:expr] $body:block) => {
        $(#[$about])*
        $visible const fn $name() -> $crate::Entry<$start, $result> {
            async fn __gipc_core_entry($($pattern)+: $start) -> $returned $body
            $crate::Entry::new(concat!(module_path!(), "::", stringify!($name)), |start| {
                ::std::boxed::Box::pin(async { ($outcome)(__gipc_core_entry(start).await) })
            })
        }
    };
    ($(#[$about:meta])* $visible:vis async fn $name:ident($($parameter:tt)+) $($returns:tt)+) => {
        $crate::entry!(@parameter [[$(#[$about])*] [$visible] $name] [$($returns)+] [] $($parameter)+);
    };
}

/// Lists the entries of a program: `gipc_core::init!(square, other::entry);`, as the first thing that its `main` does. See
/// [`init`](crate::init()).
#[macro_export]
macro_rules! init {
    ($($entry:path),* $(,)?) => {
        $crate::init(&[$($entry().listed()),*])
    };
}

/// Lists the entries of a test whose main is that of the test harness: once in the file, outside of all functions. A child
/// then runs its entry in a constructor, before main: without what std sets up there, such as the message of a stack
/// overflow, and perhaps before other constructors.
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
