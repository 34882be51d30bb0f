//! Ways to be wrong, one at a time: each is a mistake that real libraries have made.
//!
//! What each changes stands where it is asked for, in `act`, `life`, `pipe` and `state`.

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// A writer that is closed, or goes with its process, stays open while any other process lives.
    WritersAreInherited,
    /// The same for readers.
    ReadersAreInherited,
    /// Of two messages in a pipe the later one comes first.
    LastMessageFirst,
    /// An empty message is taken for the end.
    EmptyIsEof,
    /// A pipe that is empty just now is taken for one that has ended.
    NothingIsEof,
    /// The end inside a message is taken for the end.
    TruncatedIsEof,
    /// What is in the pipe is lost when its writer goes.
    EndLosesMessages,
    /// The end is said once; after that a get waits.
    EofOnce,
    /// A put without a reader succeeds.
    BrokenIsOk,
    /// Closing what is in use closes it.
    LockedIsClosed,
    /// Using what is closed or given away succeeds somehow.
    ClosedIsOk,
    /// A cancelled get takes the next message with it.
    CancelledGetTakes,
    /// The rest of a cancelled put never follows.
    CancelledPutTears,
    /// A put that waits for its turn cannot be withdrawn.
    CancelledPutGoes,
    /// A time limit is forgotten.
    NoLimit,
    /// A time limit loses the message that comes next.
    LimitTakes,
    /// What is given stays with its owner.
    GivenStays,
    /// A start that is refused takes the handles all the same.
    RefusedTakes,
    /// A child has a copy of every handle of its parent.
    ChildHasAll,
    /// A pipe holds everything.
    Bottomless,
    /// While a task waits, its neighbours stand still.
    OneTaskAtATime,
    /// Every child ends with 0.
    CodeIsLost,
    /// Every death by a signal is one by SIGKILL.
    SignalIsKill,
    /// A join is never told.
    JoinIsLost,
    /// A second join is never told.
    SecondJoinIsLost,
    /// Nobody is reaped without a join.
    ZombiesStay,
    /// A child is alive for ever.
    AliveForEver,
    /// Signals do nothing.
    Deaf,
    /// The parent's dispositions hold in its children.
    SignalsAreInherited,
    /// A trapped signal is not counted.
    TrapsAreLost,
    /// A part of a message is thrown away when its rest comes.
    PartIsLost,
    /// An impossible length is no error.
    LengthIsBelieved,
    /// Handles are not counted.
    CountIsZero,
    /// There is always another descriptor.
    NoDescriptorLimit,
    /// What could not be made is half there.
    HalfIsLeft,
    /// A closed handle keeps its descriptor.
    CloseKeeps,
    /// A codec's errors are swallowed.
    CodecIsSilent,
    /// A scope closes nothing.
    ScopeIsOpen,
    /// A handle may be a message.
    HandleIsMessage,
    /// A wait is cut short by a signal.
    Interrupted,
    /// A reader of several takes what the first should get.
    LastReaderFirst,
    /// A stranger's status is swallowed.
    StrangerIsLost,
    /// A handle is as locked at its new owner as it was.
    LockTravels,
    /// The halves of a duplex cannot be closed or given alone.
    DuplexIsOne,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 44] = [
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
        Self::CancelledPutTears,
        Self::CancelledPutGoes,
        Self::NoLimit,
        Self::LimitTakes,
        Self::GivenStays,
        Self::RefusedTakes,
        Self::ChildHasAll,
        Self::Bottomless,
        Self::OneTaskAtATime,
        Self::CodeIsLost,
        Self::SignalIsKill,
        Self::JoinIsLost,
        Self::SecondJoinIsLost,
        Self::ZombiesStay,
        Self::AliveForEver,
        Self::Deaf,
        Self::SignalsAreInherited,
        Self::TrapsAreLost,
        Self::PartIsLost,
        Self::LengthIsBelieved,
        Self::CountIsZero,
        Self::NoDescriptorLimit,
        Self::HalfIsLeft,
        Self::CloseKeeps,
        Self::CodecIsSilent,
        Self::ScopeIsOpen,
        Self::HandleIsMessage,
        Self::Interrupted,
        Self::LastReaderFirst,
        Self::StrangerIsLost,
        Self::LockTravels,
        Self::DuplexIsOne,
    ];
}
