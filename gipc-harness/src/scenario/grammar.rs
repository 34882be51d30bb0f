//! How each verb is written, and the profile that an implementation needs for it.

use super::{ChildAct, Closing, Counted, Verb};

/// A part of the language that an implementation supports as a whole, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Pipes, processes and messages.
    Core,
    /// Several tasks in a process, cancellation and time limits.
    Tasks,
    /// Further questions to a child and actions on it.
    Process,
    /// Frames that are incomplete or have a wrong length.
    Frames,
    /// Signals.
    Signals,
    /// Resource limits of the operating system.
    Limits,
    /// Handles that are closed at the end of a scope.
    Scope,
    /// Counting live handles.
    Counts,
    /// Values instead of bytes.
    Codec,
    /// Misuse that a type system may rule out.
    Oddities,
    /// Programs whose standard streams are pipes.
    Stdio,
    /// Dropping the object of a process.
    Drop,
    /// Process groups.
    Groups,
    /// Handles that several processes hold.
    Share,
    /// Dropping the last reference to a handle.
    DropHandle,
    /// Starts from a thread without an event loop.
    Threads,
}

impl Profile {
    /// The name of the profile in a manifest.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Tasks => "tasks",
            Self::Process => "process",
            Self::Frames => "frames",
            Self::Signals => "signals",
            Self::Limits => "limits",
            Self::Scope => "scope",
            Self::Counts => "counts",
            Self::Codec => "codec",
            Self::Oddities => "oddities",
            Self::Stdio => "stdio",
            Self::Drop => "drop",
            Self::Groups => "groups",
            Self::Share => "share",
            Self::DropHandle => "drop-handle",
            Self::Threads => "threads",
        }
    }
}

/// How each verb is written, and its profile. The first word is the verb.
pub const VERBS: [(&str, Profile); 47] = [
    ("pipe R W", Profile::Core),
    ("duplex A B", Profile::Core),
    ("spawn CHILD H…", Profile::Core),
    ("put H PAYLOAD", Profile::Core),
    ("get H", Profile::Core),
    ("close H", Profile::Core),
    ("join CHILD", Profile::Core),
    ("kill CHILD", Profile::Core),
    ("exit N", Profile::Core),
    ("until WHO blocks", Profile::Core),
    ("cancel TASK", Profile::Tasks),
    ("pause 300ms", Profile::Tasks),
    ("terminate CHILD", Profile::Process),
    ("alive CHILD", Profile::Process),
    ("code CHILD", Profile::Process),
    ("raise", Profile::Process),
    ("stall until CHILD ends", Profile::Process),
    ("until CHILD is reaped", Profile::Process),
    ("reap CHILD", Profile::Process),
    ("exec GHOST", Profile::Process),
    ("cut W PAYLOAD at header+1", Profile::Frames),
    ("rest W", Profile::Frames),
    ("announce W SIZE", Profile::Frames),
    ("trap SIGNAL", Profile::Signals),
    ("ignore SIGNAL", Profile::Signals),
    ("block SIGNAL", Profile::Signals),
    ("signal CHILD SIGNAL", Profile::Signals),
    ("count trapped", Profile::Signals),
    ("limit descriptors N free", Profile::Limits),
    ("limit descriptors off", Profile::Limits),
    ("enter H…", Profile::Scope),
    ("leave H… [raising]", Profile::Scope),
    ("count handles", Profile::Counts),
    ("pipe R W with json|failing", Profile::Codec),
    ("spawn CHILD in-list(H)", Profile::Oddities),
    ("put W handle H", Profile::Oddities),
    ("run CHILD stdin|stdout|stderr R W…", Profile::Stdio),
    ("run CHILD missing|not-executable", Profile::Stdio),
    ("drop CHILD", Profile::Drop),
    ("spawn CHILD in-group H…", Profile::Groups),
    ("run CHILD in-group stdin|stdout|stderr R W…", Profile::Groups),
    ("signal group CHILD SIGNAL", Profile::Groups),
    ("spawn CHILD share(H)…", Profile::Share),
    ("drop handle H", Profile::DropHandle),
    ("close descriptor H", Profile::Oddities),
    ("get H within \"WORDS\"", Profile::Oddities),
    ("spawn CHILD from-thread H…", Profile::Threads),
];

/// The forms of a verb, as an error shows them.
pub(super) fn usages(verb: &str) -> String {
    let usages = VERBS.iter().filter(|(usage, _)| usage.split(' ').next() == Some(verb));
    usages.map(|(usage, _)| format!("`{usage}`")).collect::<Vec<_>>().join(" or ")
}

/// The first words of all verbs, each once, as an error lists them.
pub(super) fn first_words() -> String {
    let mut words: Vec<&str> = Vec::new();
    for (usage, _) in VERBS {
        let word = usage.split(' ').next().unwrap_or_default();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

impl Verb {
    /// The profiles that an implementation must support to perform this verb. It is one, or two for a program in a process
    /// group, and for a child in a group, or started from a thread, that gets a shared handle.
    pub fn profiles(&self) -> impl Iterator<Item = Profile> {
        let (is_program, is_sharer) = match self {
            Self::Spawn { program, shared, in_group, from_thread, .. }
                if *in_group || *from_thread =>
            {
                (program.is_some(), !shared.is_empty())
            }
            _ => (false, false),
        };
        let second = [is_program.then_some(Profile::Stdio), is_sharer.then_some(Profile::Share)];
        [Some(self.profile())].into_iter().chain(second).flatten()
    }

    /// The profile that decides about this verb. If there are two, the one that fewer implementations support.
    #[must_use]
    pub fn profile(&self) -> Profile {
        match self {
            Self::Pipe { codec: Some(_), .. } => Profile::Codec,
            Self::Spawn { from_thread: true, .. } => Profile::Threads,
            Self::Spawn { in_group: true, .. } | Self::SignalGroup { .. } => Profile::Groups,
            Self::Spawn { program: Some(_), .. } => Profile::Stdio,
            Self::Spawn { listed, .. } if !listed.is_empty() => Profile::Oddities,
            Self::Spawn { shared, .. } if !shared.is_empty() => Profile::Share,
            Self::Close { by: Closing::Drop, .. } => Profile::DropHandle,
            Self::Close { by: Closing::Descriptor, .. } | Self::GetWithin { .. } => {
                Profile::Oddities
            }
            Self::Pipe { .. }
            | Self::Duplex { .. }
            | Self::Spawn { .. }
            | Self::Put { .. }
            | Self::Get { .. }
            | Self::Close { .. }
            | Self::Join { .. }
            | Self::Kill { .. }
            | Self::Exit { .. }
            | Self::Until { .. } => Profile::Core,
            Self::Cancel { .. } | Self::Pause { .. } => Profile::Tasks,
            Self::Child { act: ChildAct::Drop, .. } => Profile::Drop,
            Self::Child { .. } | Self::Raise | Self::Exec { .. } => Profile::Process,
            Self::Cut { .. } | Self::Rest { .. } | Self::Announce { .. } => Profile::Frames,
            Self::Dispose { .. } | Self::Signal { .. } | Self::Count { what: Counted::Trapped } => {
                Profile::Signals
            }
            Self::Limit { .. } => Profile::Limits,
            Self::Enter { .. } | Self::Leave { .. } => Profile::Scope,
            Self::Count { what: Counted::Handles } => Profile::Counts,
            Self::Pass { .. } => Profile::Oddities,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;
    use crate::scenario::parse;
    use rstest::rstest;

    #[rstest]
    #[case::that_is_given_a_handle("spawn child r", &[Profile::Core])]
    #[case::that_shares_a_handle("spawn child share(r)", &[Profile::Share])]
    #[case::in_a_group("spawn child in-group r", &[Profile::Groups])]
    #[case::in_a_group_that_shares("spawn child in-group share(r)", &[Profile::Groups, Profile::Share])]
    #[case::from_a_thread_that_shares(
        "spawn child from-thread share(r)",
        &[Profile::Threads, Profile::Share]
    )]
    #[case::of_a_program("run child stdin a b", &[Profile::Stdio])]
    #[case::of_a_program_in_a_group(
        "run child in-group stdin a b",
        &[Profile::Groups, Profile::Stdio]
    )]
    fn a_start_needs_each_profile_that_its_words_belong_to(
        #[case] start: &str,
        #[case] profiles: &[Profile],
    ) {
        let lines = format!("main pipe r w\nmain {start}\nmain join child => exit 0\n");
        let scenario = parse("it", &lines).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(scenario.steps[1].verb.profiles().collect::<Vec<_>>(), profiles);
    }
}
