//! Tests that formatting and parsing are inverses, and that no text makes the parser panic.

use crate::scenario::mistake_list::MistakeList;
use crate::scenario::parser::{self, parse};
use crate::scenario::{
    ChildAct, Closing, Codec, Counted, CutAt, Disposition, Executable, Index, Item, Line, Outcome,
    Payload, ProgramStart, Script, Stream, StreamName, StreamSource, TaskId, Verb,
};
use ecow::EcoString;
use proptest::collection::vec;
use proptest::prelude::*;
use thin_vec::ThinVec;

fn name() -> impl Strategy<Value = EcoString> {
    let names = "[a-z][a-z0-9]{0,5}".prop_map(EcoString::from);
    names.prop_filter("`or` is a word of the language", |name| name != "or")
}

fn handle() -> impl Strategy<Value = EcoString> {
    (name(), prop_oneof![Just(""), Just(".r"), Just(".w"), Just("[i]"), Just("[i-1]")])
        .prop_map(|(name, end)| name + end)
}

fn task_id() -> impl Strategy<Value = TaskId> {
    (name(), proptest::option::of(name())).prop_map(|(process, task)| TaskId { process, task })
}

fn payload() -> impl Strategy<Value = Payload> {
    let sizes =
        prop_oneof![0..5000_u64, (0..40_u32).prop_map(|power| 1 << power), Just((1 << 16) - 1)];
    prop_oneof![
        "[ -~]{0,20}|\n|\\\\|é\"".prop_map(|text| Payload::Text(text.into())),
        sizes.prop_map(Payload::Size)
    ]
}

fn closing() -> impl Strategy<Value = Closing> {
    prop_oneof![Just(Closing::Call), Just(Closing::Drop), Just(Closing::Descriptor)]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        (name(), name(), codec()).prop_map(|(reader, writer, codec)| Verb::Pipe {
            reader,
            writer,
            codec
        }),
        (name(), name()).prop_map(|(near, far)| Verb::Duplex { near, far }),
        (name(), vec(handle(), 0..4), 0..3_usize, vec(handle(), 0..2), 0..3_u8).prop_map(
            |(child, handles, kept, listed, modifier)| {
                let (in_group, from_thread) = (modifier == 1, modifier == 2);
                // If a handle is named twice, it is shared both times or not at all.
                let is_shared =
                    |handle: &&EcoString| handles.iter().take(kept).any(|it| it == *handle);
                let shared = handles.iter().filter(is_shared).cloned().collect();
                let (handles, listed, program) = (handles.into(), listed.into(), None);
                Verb::Spawn { child, handles, shared, listed, program, in_group, from_thread }
            }
        ),
        (name(), program_start(), any::<bool>()).prop_map(|(child, program, in_group)| {
            Verb::Spawn {
                child,
                handles: program.given_to_child().map(EcoString::from).collect(),
                shared: ThinVec::new(),
                listed: ThinVec::new(),
                program: Some(Box::new(program)),
                in_group,
                from_thread: false,
            }
        }),
        (handle(), payload()).prop_map(|(handle, payload)| Verb::Put { handle, payload }),
        handle().prop_map(|handle| Verb::Get { handle }),
        (handle(), closing()).prop_map(|(handle, by)| Verb::Close { handle, by }),
        (handle(), "[a-z ]{0,8}")
            .prop_map(|(handle, limit)| Verb::GetWithin { handle, limit: limit.into() }),
        name().prop_map(|child| Verb::Join { child }),
        name().prop_map(|child| Verb::Kill { child }),
        (0..256).prop_map(|code| Verb::Exit { code }),
        task_id().prop_map(|task_id| Verb::Until { task_id }),
        (name(), name()).prop_map(|(process, task)| Verb::Cancel {
            task: TaskId { process, task: Some(task) }
        }),
        (1..5000_u64).prop_map(|ms| Verb::Pause { ms }),
        (act(), name()).prop_map(|(act, child)| Verb::Child { act, child }),
        Just(Verb::Raise),
        name().prop_map(|ghost| Verb::Exec { ghost }),
        (handle(), payload(), cut_position()).prop_map(|(handle, payload, at)| Verb::Cut {
            handle,
            payload,
            at: Box::new(at)
        }),
        handle().prop_map(|handle| Verb::Rest { handle }),
        (handle(), 0..1_u64 << 33).prop_map(|(handle, size)| Verb::Announce { handle, size }),
        disposition().prop_map(|to| Verb::Dispose { to, signal: "SIGUSR1".into() }),
        name().prop_map(|child| Verb::Signal { child, signal: "SIGTERM".into() }),
        name().prop_map(|child| Verb::SignalGroup { child, signal: "SIGTERM".into() }),
        proptest::option::of(0..9_u64).prop_map(|free| Verb::Limit { free }),
        Just(Verb::Count { what: Counted::Handles }),
        Just(Verb::Count { what: Counted::Trapped }),
        vec(handle(), 1..3).prop_map(|handles| Verb::Enter { handles }),
        (vec(handle(), 1..3), any::<bool>())
            .prop_filter("`raising` is a word of the language", |(handles, _)| {
                handles.iter().all(|handle| handle != "raising")
            })
            .prop_map(|(handles, raising)| Verb::Leave { handles, raising }),
        (handle(), handle()).prop_map(|(handle, passed)| Verb::Pass { handle, passed }),
    ]
}

fn program_start() -> impl Strategy<Value = ProgramStart> {
    let executable = prop_oneof![
        Just(Executable::Script),
        Just(Executable::Missing),
        Just(Executable::NotExecutable)
    ];
    let source = || {
        prop_oneof![
            (name(), name()).prop_map(|(reader, writer)| StreamSource::Pipe { reader, writer }),
            handle().prop_map(|handle| StreamSource::Given { handle }),
        ]
    };
    let streams = vec(proptest::option::of(source()), 3).prop_map(|sources| {
        let named = StreamName::ALL.into_iter().zip(sources);
        named
            .filter_map(|(name, source)| Some(Stream { name, source: source? }))
            .collect::<Vec<_>>()
    });
    (executable, streams).prop_map(|(executable, streams)| ProgramStart { executable, streams })
}

fn codec() -> impl Strategy<Value = Option<Codec>> {
    prop_oneof![Just(None), Just(Some(Codec::Json)), Just(Some(Codec::Failing))]
}

fn act() -> impl Strategy<Value = ChildAct> {
    prop_oneof![
        Just(ChildAct::Terminate),
        Just(ChildAct::Alive),
        Just(ChildAct::Code),
        Just(ChildAct::Stall),
        Just(ChildAct::Reaped),
        Just(ChildAct::Reap),
        Just(ChildAct::Drop),
    ]
}

fn cut_position() -> impl Strategy<Value = CutAt> {
    prop_oneof![
        (0..9_u64).prop_map(CutAt::Bytes),
        (0..9_u64).prop_map(CutAt::Header),
        (0..9_u64).prop_map(CutAt::End),
    ]
}

fn disposition() -> impl Strategy<Value = Disposition> {
    prop_oneof![Just(Disposition::Trap), Just(Disposition::Ignore), Just(Disposition::Block)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        proptest::sample::select(simple_outcomes()),
        (0..9_u64).prop_map(Outcome::Number),
        payload().prop_map(Outcome::Message),
        (0..256).prop_map(Outcome::Exit),
        Just(Outcome::Signal("SIGKILL".into())),
        Just(Outcome::Os("EMFILE".into())),
        vec(name(), 0..3).prop_map(|processes| Outcome::Blocks(processes.into())),
    ]
}

/// The outcomes that are one word.
fn simple_outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Ok,
        Outcome::Eof,
        Outcome::Truncated,
        Outcome::Closed,
        Outcome::Locked,
        Outcome::Broken,
        Outcome::Timeout,
        Outcome::Cancelled,
        Outcome::Poisoned,
        Outcome::Misuse,
        Outcome::TooLarge,
        Outcome::Protocol,
        Outcome::Encode,
        Outcome::Decode,
        Outcome::Raised,
        Outcome::Yes,
        Outcome::No,
        Outcome::Running,
        Outcome::Never,
    ]
}

fn line() -> impl Strategy<Value = Item> {
    (task_id(), verb(), proptest::option::of(1..5000_u32), vec(outcome(), 0..3)).prop_map(
        |(task_id, verb, within_ms, mut expected)| {
            let limited = matches!(verb, Verb::Put { .. } | Verb::Get { .. } | Verb::Join { .. });
            // A line without an outcome means `ok` alone.
            expected.dedup();
            expected.retain(|outcome| *outcome != Outcome::Ok || limited);
            if expected == [Outcome::Ok] {
                expected.clear();
            }
            Item::Line(Line { task_id, verb, within_ms: within_ms.filter(|_| limited), expected })
        },
    )
}

fn script() -> impl Strategy<Value = Script> {
    let each = (1..9_u64, 9..99_u64)
        .prop_map(|(first, last)| Item::Each(vec![Index { name: "i".into(), first, last }]));
    let comment = "[!-~]([ -~]{0,30}[!-~])?".prop_map(Item::Comment);
    let item = prop_oneof![6 => line(), 1 => comment, 1 => Just(Item::Blank), 1 => each];
    // A script does not contain blank lines at the end of the file.
    (vec(item, 0..12), line()).prop_map(|(mut items, last)| {
        items.push(last);
        Script { items }
    })
}

proptest! {
    #[test]
    fn a_formatted_script_reads_as_the_same_script(script in script()) {
        let text = script.to_string();
        let mut mistakes = MistakeList::new(&text);
        let (reread, _) = parser::script(&text, &mut mistakes);
        let mistakes: Vec<String> =
            mistakes.into_sorted().iter().map(|error| error.render("printed", &text)).collect();
        prop_assert_eq!(&mistakes, &Vec::<String>::new());
        prop_assert_eq!(&reread, &script, "{}", text);
        prop_assert_eq!(reread.to_string(), text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}|([a-z /\\[\\]\"=>0-9.\\-+#\n]{0,40}){0,6}") {
        if let Err(error) = parse("any", &text) {
            prop_assert!(!error.render("any", &text).is_empty());
        }
    }

    #[test]
    fn no_sequence_of_known_words_makes_the_parser_panic(
        words in vec(
            prop_oneof![
                Just("main"), Just("child"), Just("main/one"), Just("pipe"), Just("duplex"), Just("spawn"),
                Just("put"), Just("get"), Just("close"), Just("join"), Just("exit"), Just("until"), Just("blocks"),
                Just("cancel"), Just("pause"), Just("each"), Just("in"), Just("1..3"), Just("i"), Just("r[i]"),
                Just("w"), Just("\"a\""), Just("1MiB"), Just("5ms"), Just("within"), Just("=>"), Just("eof"),
                Just("or"), Just("on"), Just("cut"), Just("at"), Just("header+1"), Just("rest"), Just("announce"),
                Just("trap"), Just("SIGTERM"), Just("signal"), Just("limit"), Just("descriptors"), Just("free"),
                Just("count"), Just("handles"), Just("enter"), Just("leave"), Just("raising"), Just("with"),
                Just("json"), Just("in-list(r)"), Just("handle"), Just("stall"), Just("ends"), Just("is"),
                Just("reaped"), Just("exec"), Just("reap"), Just("alive"), Just("7"), Just("\n"), Just("\n"), Just("\n\n"),
            ],
            0..60,
        )
    ) {
        let text = words.join(" ").replace(" \n ", "\n");
        if let Err(error) = parse("any", &text) {
            prop_assert!(!error.render("any", &text).is_empty());
        }
    }
}
