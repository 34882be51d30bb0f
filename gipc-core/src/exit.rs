//! How a child ended, also as an error.

use std::fmt;

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit<R = ()> {
    /// Its entry returned this value.
    Returned(R),
    /// Its entry returned an error, whose `Display` text this is.
    Failed(String),
    /// Its entry panicked. Holds the message of the panic, or an empty text if the message was not a string.
    Panicked(String),
    /// It could not begin, for this reason: for instance because the program was rebuilt in the meantime. No code of the
    /// entry has run.
    NotBegun(String),
    /// Its entry completed, but the result could not be sent to the parent, for this reason.
    ResultLost(String),
    /// It exited with this code.
    Code(i32),
    /// The signal with this number ended it.
    Signal(i32),
}

impl<R> Exit<R> {
    /// Returns the result of the entry, or an error that says how else the child ended:
    /// `let sum = child.join().await?.returned()?;`
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// let result: u8 = child.join().await?.returned()?;
    /// # drop(result);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the entry did not return, or returned an error.
    pub fn returned(self) -> Result<R, ExitError> {
        let without = match self {
            Self::Returned(result) => return Ok(result),
            Self::Failed(why) => Exit::Failed(why),
            Self::Panicked(text) => Exit::Panicked(text),
            Self::NotBegun(why) => Exit::NotBegun(why),
            Self::ResultLost(why) => Exit::ResultLost(why),
            Self::Code(code) => Exit::Code(code),
            Self::Signal(number) => Exit::Signal(number),
        };
        Err(ExitError(without))
    }
}

/// The end of a child that did not return a result, as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitError(Exit);

impl ExitError {
    /// Returns how the child ended; never `Returned`.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # gipc_core::entry! { async fn work(_start: gipc_core::Start<u8>) -> u8 { 1 } }
    /// # let child = gipc_core::Command::new(work())?.spawn(&1)?;
    /// if let Err(error) = child.join().await?.returned() {
    ///     println!("{error}: {:?}", error.exit());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn exit(&self) -> &Exit {
        &self.0
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Exit::Returned(()) => f.write_str("the child returned"),
            Exit::Failed(why) => write!(f, "the child failed: {why}"),
            Exit::Panicked(text) => write!(f, "the child panicked: {text}"),
            Exit::NotBegun(why) => write!(f, "the child could not begin: {why}"),
            Exit::ResultLost(why) => write!(f, "the result of the child is lost: {why}"),
            Exit::Code(code) => write!(f, "the child exited with code {code}"),
            Exit::Signal(number) => write!(f, "signal {number} ended the child"),
        }
    }
}

impl std::error::Error for ExitError {}
