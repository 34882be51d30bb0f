//! Deliberate errors of the model, one at a time. Each is a mistake that real libraries have made.
//!
//! The code that a mutation affects checks for it with `is`.

/// A deliberate error of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// A writer stays open after it is closed or its process has ended, while any other process is alive.
    WritersAreInherited,
    /// A reader stays open after it is closed or its process has ended, while any other process is alive.
    ReadersAreInherited,
    /// A get receives the newest message of a pipe instead of the oldest.
    LastMessageFirst,
    /// An empty message is reported as the end of the stream.
    EmptyIsEof,
    /// A pipe without messages is reported as ended although its writer is open.
    NothingIsEof,
    /// An end inside a message is reported as a clean end.
    TruncatedIsEof,
    /// The messages in a pipe are lost when its writer is closed.
    EndLosesMessages,
    /// The end is reported once; later gets wait.
    EofOnce,
    /// A put without a reader succeeds.
    BrokenIsOk,
    /// Closing an end that is in use closes it.
    LockedIsClosed,
    /// Using a handle that is closed or given away succeeds.
    ClosedIsOk,
    /// A cancelled get takes the next message with it.
    CancelledGetTakes,
    /// The rest of a cancelled put is never written.
    CancelledPutIsTorn,
    /// A put that waits for its turn cannot be withdrawn.
    QueuedPutIsKept,
    /// Time limits are ignored.
    NoLimit,
    /// A get that times out takes the next message with it.
    LimitTakes,
    /// A handle that is given to a child also stays with its owner.
    GivenStays,
    /// A refused spawn still takes the handles.
    RefusedTakes,
    /// A child has a copy of every handle of its parent.
    ChildHasAll,
    /// A pipe holds any number of bytes.
    UnboundedPipe,
    /// While one task of a process waits, no other task of it runs.
    OneTaskAtATime,
    /// Every child ends with exit code 0.
    CodeIsLost,
    /// Every death by a signal is reported as SIGKILL.
    SignalIsKill,
    /// A join never completes.
    JoinIsLost,
    /// A second join of the same child never completes.
    SecondJoinIsLost,
    /// A child that is not joined is never reaped.
    ZombiesStay,
    /// A child is reported as alive even after its end.
    AlwaysAlive,
    /// Signals have no effect.
    SignalsIgnored,
    /// A child inherits the signal dispositions of its parent.
    SignalsAreInherited,
    /// Trapped signals are not counted.
    TrapsAreLost,
    /// A part of a message is dropped when its rest arrives.
    PartIsLost,
    /// An impossible length is not an error.
    BadLengthAccepted,
    /// The number of handles is reported wrongly.
    CountIsZero,
    /// The limit on descriptors is ignored when a pipe is made.
    NoDescriptorLimit,
    /// A pipe that could not be made leaves descriptors behind.
    HalfIsLeft,
    /// Closing a handle does not return its descriptor.
    CloseKeeps,
    /// Errors of a codec are ignored.
    CodecIsSilent,
    /// Leaving a scope closes nothing.
    ScopeIsOpen,
    /// A handle can be sent as a message.
    HandleIsMessage,
    /// A get whose time limit is not a time waits without a limit.
    LimitIsNotChecked,
    /// A signal that is trapped interrupts the process.
    Interrupted,
    /// Of several waiting gets, the last one receives the next message.
    LastReaderFirst,
    /// The exit status of a program beside the library is lost.
    ForeignStatusIsLost,
    /// A handle that is given to a child is locked there.
    LockTravels,
    /// The two directions of a duplex cannot be closed or given separately.
    DuplexIsOne,
    /// Starting a program that does not exist succeeds.
    MissingProgramStarts,
    /// Dropping the object of a child kills the child.
    DropKills,
    /// A child that is started in a process group of its own stays in the group of its parent.
    GroupIsOfTheParent,
    /// A signal to a process group reaches only its first process.
    GroupHasOneProcess,
    /// Closing a shared handle in one process closes it in all processes.
    SharedIsClosed,
    /// A handle that is shared with a child moves to it.
    SharedMoves,
    /// The end of a child that was started from a thread without an event loop is never noticed.
    ThreadChildIsLost,
}

impl Mutation {
    /// All mutations.
    pub const ALL: [Self; 52] = [
        Self::WritersAreInherited,
        Self::ReadersAreInherited,
        Self::LastMessageFirst,
        Self::EmptyIsEof,
        Self::NothingIsEof,
        Self::TruncatedIsEof,
        Self::EndLosesMessages,
        Self::EofOnce,
        Self::BrokenIsOk,
        Self::LockedIsClosed,
        Self::ClosedIsOk,
        Self::CancelledGetTakes,
        Self::CancelledPutIsTorn,
        Self::QueuedPutIsKept,
        Self::NoLimit,
        Self::LimitTakes,
        Self::GivenStays,
        Self::RefusedTakes,
        Self::ChildHasAll,
        Self::UnboundedPipe,
        Self::OneTaskAtATime,
        Self::CodeIsLost,
        Self::SignalIsKill,
        Self::JoinIsLost,
        Self::SecondJoinIsLost,
        Self::ZombiesStay,
        Self::AlwaysAlive,
        Self::SignalsIgnored,
        Self::SignalsAreInherited,
        Self::TrapsAreLost,
        Self::PartIsLost,
        Self::BadLengthAccepted,
        Self::CountIsZero,
        Self::NoDescriptorLimit,
        Self::HalfIsLeft,
        Self::CloseKeeps,
        Self::CodecIsSilent,
        Self::ScopeIsOpen,
        Self::HandleIsMessage,
        Self::LimitIsNotChecked,
        Self::Interrupted,
        Self::LastReaderFirst,
        Self::ForeignStatusIsLost,
        Self::LockTravels,
        Self::DuplexIsOne,
        Self::MissingProgramStarts,
        Self::DropKills,
        Self::GroupIsOfTheParent,
        Self::GroupHasOneProcess,
        Self::SharedIsClosed,
        Self::SharedMoves,
        Self::ThreadChildIsLost,
    ];
}
