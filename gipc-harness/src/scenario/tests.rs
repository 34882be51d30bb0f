//! Tests of the language: parsing and formatting are inverses, no input panics, and each mistake is marked where it is.

use super::parser::{self, parse};
use super::{
    ChildAct, Codec, Counted, CutAt, Disposition, Index, Item, Line, Outcome, Payload, Script,
    TaskId, Verb,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

/// One mistake: the line, the first column, the text under the caret, and a part of what is said.
#[rstest]
#[case::verb("main        pipr r w", 3, 13, "pipr", "unknown verb")]
#[case::no_verb("main", 3, 5, "", "a verb is missing")]
#[case::name("Main        pipe r w", 3, 1, "Main", "")]
#[case::too_few("main        pipe r", 3, 19, "", "something is missing")]
#[case::too_many("main        pipe r w x", 3, 22, "x", "")]
#[case::same_name_twice("main        pipe r r", 3, 13, "", "there is a handle r already")]
#[case::no_outcome(
    "main        pipe r w                    =>",
    3,
    43,
    "",
    "an outcome is missing"
)]
#[case::outcome("main        pipe r w                    => fine", 3, 44, "fine", "")]
#[case::or("main        pipe r w                    => ok or", 3, 49, "", "an outcome is missing")]
#[case::open_quote("main        put w \"a", 3, 19, "\"a", "")]
#[case::size("main        put w 9XB", 3, 19, "9XB", "")]
#[case::impossible_size("main        put w 99999999TiB", 3, 19, "99999999TiB", "")]
#[case::exit_code("main        exit 256", 3, 18, "256", "")]
#[case::within("main        pipe r w within 5", 3, 29, "5", "not a time limit")]
#[case::unknown_handle(
    "main        get r                       => eof",
    3,
    13,
    "get r",
    "there is no handle r yet"
)]
#[case::wrong_end(
    "main        pipe r w\nmain        put r \"a\"               => ok",
    4,
    13,
    "put r \"a\"",
    "r cannot put"
)]
#[case::closed(
    "main        pipe r w\nmain        close w\nmain        put w \"a\"               => ok",
    5,
    13,
    "",
    "does not own w"
)]
#[case::given_away(
    "main        pipe r w\nmain        spawn child w\nmain        put w \"a\"",
    5,
    13,
    "",
    "does not own w"
)]
#[case::not_given(
    "main        pipe r w\nmain        spawn child w\nchild       get r                       => eof",
    5,
    13,
    "",
    "child does not own r"
)]
#[case::given_twice("main        pipe r w\nmain        spawn child w w", 4, 13, "", "given twice")]
#[case::no_process(
    "child       exit 3                      => ok",
    3,
    1,
    "child",
    "no process child here"
)]
#[case::spawned_twice(
    "main        spawn child\nmain        spawn child",
    4,
    13,
    "",
    "a process child already"
)]
#[case::task_alone(
    "main        pipe r w\nmain        spawn child r\nchild/one   get r                       => eof",
    5,
    1,
    "child/one",
    "a task without a process"
)]
#[case::no_child(
    "main        join child                  => exit 0",
    3,
    13,
    "",
    "child is no child of main"
)]
#[case::after_exit(
    "main        exit 3\nmain        exit 4                      => ok",
    4,
    1,
    "main",
    "main has ended"
)]
#[case::until_nobody("main        until child blocks", 3, 13, "", "child has no lines")]
#[case::circle(
    "main        spawn child\nmain        until child blocks\nchild       until main blocks           => ok",
    4,
    13,
    "until child blocks",
    "a circle of `until`"
)]
#[case::pause("main        pause 5ms", 3, 13, "pause 5ms", "a pause orders nothing")]
#[case::asks_nothing("main        pipe r w", 3, 13, "pipe r w", "this asks nothing")]
#[case::nothing("", 1, 1, "", "nothing happens here")]
#[case::each_alone("each i in 1..3\n\nmain        pipe r w                    => ok", 3, 1, "", "")]
#[case::each_empty("each i in 3..1\nmain        pipe r[i] w[i]              => ok", 3, 0, "", "")]
#[case::each_huge(
    "each i in 1..9, j in 1..999999\nmain        pipe r[i][j] w[i][j]        => ok",
    0,
    0,
    "",
    ""
)]
#[case::cut_behind_its_end(
    "main        pipe r w\nmain        cut w \"ab\" at header+2",
    4,
    13,
    "",
    "cannot be cut there"
)]
#[case::no_place(
    "main        pipe r w\nmain        cut w \"ab\" at middle",
    4,
    27,
    "middle",
    "not a place in a frame"
)]
#[case::put_into_half_a_frame(
    "main        pipe r w\nmain        cut w \"ab\" at header\nmain        put w \"c\"",
    5,
    13,
    "",
    "in the middle of a message since line 4"
)]
#[case::rest_of_nothing("main        pipe r w\nmain        rest w", 4, 13, "", "there is no rest")]
#[case::noise_is_no_value(
    "main        pipe r w with json\nmain        put w 9B",
    4,
    13,
    "",
    "noise is no value"
)]
#[case::codec("main        pipe r w with zip", 3, 27, "zip", "too many words")]
#[case::signal_name("main        trap TERM", 3, 18, "TERM", "not a signal")]
#[case::ghost_is_no_child(
    "main        exec ghost\nmain        join ghost                  => exit 7",
    4,
    13,
    "",
    "ghost is no child of main"
)]
#[case::counted(
    "main        count sheep                 => 1",
    3,
    19,
    "sheep",
    "cannot be counted"
)]
#[case::limit("main        limit files 3 free", 3, 19, "files", "not a limit")]
#[case::unknown_index(
    "each i in 1..3\nmain        pipe r[k] w[k]              => ok",
    4,
    0,
    "",
    ""
)]
fn each_mistake_has_its_place(
    #[case] lines: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] caret: &str,
    #[case] says: &str,
) {
    let text = format!("# A mistake.\n\n{lines}\n");
    let error = match parse("mistake", &text) {
        Ok(_) => panic!("nothing is wrong with\n{text}"),
        Err(error) => error,
    };
    let screen = error.render("mistake.scenario", &text);
    let under: String = text
        .lines()
        .nth(error.line.saturating_sub(1))
        .unwrap_or_default()
        .chars()
        .skip(error.column.saturating_sub(1))
        .take(error.width)
        .collect();
    assert!(line == 0 || error.line == line, "{screen}");
    assert!(column == 0 || error.column == column, "{screen}");
    assert!(caret.is_empty() || under == caret, "{under:?} is under the caret\n{screen}");
    assert!(error.message.contains(says), "{screen}");
    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{screen}");
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,5}".prop_filter("`or` is a word of the language", |name| name != "or")
}

fn handle() -> impl Strategy<Value = String> {
    (name(), prop_oneof![Just(""), Just(".r"), Just(".w"), Just("[i]"), Just("[i-1]")])
        .prop_map(|(name, end)| name + end)
}

fn task_id() -> impl Strategy<Value = TaskId> {
    (name(), proptest::option::of(name())).prop_map(|(process, task)| TaskId { process, task })
}

fn payload() -> impl Strategy<Value = Payload> {
    let sizes =
        prop_oneof![0..5000_u64, (0..40_u32).prop_map(|power| 1 << power), Just((1 << 16) - 1)];
    prop_oneof!["[ -~]{0,20}|\n|\\\\|é\"".prop_map(Payload::Text), sizes.prop_map(Payload::Size)]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        (name(), name(), codec()).prop_map(|(reader, writer, codec)| Verb::Pipe {
            reader,
            writer,
            codec
        }),
        (name(), name()).prop_map(|(near, far)| Verb::Duplex { near, far }),
        (name(), vec(handle(), 0..4), vec(handle(), 0..2))
            .prop_map(|(child, handles, listed)| Verb::Spawn { child, handles, listed }),
        (handle(), payload()).prop_map(|(handle, payload)| Verb::Put { handle, payload }),
        handle().prop_map(|handle| Verb::Get { handle }),
        handle().prop_map(|handle| Verb::Close { handle }),
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
        (handle(), payload(), place()).prop_map(|(handle, payload, at)| Verb::Cut {
            handle,
            payload,
            at
        }),
        handle().prop_map(|handle| Verb::Rest { handle }),
        (handle(), 0..1_u64 << 33).prop_map(|(handle, size)| Verb::Announce { handle, size }),
        disposition().prop_map(|to| Verb::Dispose { to, signal: "SIGUSR1".into() }),
        name().prop_map(|child| Verb::Signal { child, signal: "SIGTERM".into() }),
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
    ]
}

fn place() -> impl Strategy<Value = CutAt> {
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
        Just(Outcome::Ok),
        Just(Outcome::Eof),
        Just(Outcome::Truncated),
        Just(Outcome::TooLarge),
        Just(Outcome::Never),
        Just(Outcome::Running),
        Just(Outcome::Raised),
        Just(Outcome::Yes),
        (0..9_u64).prop_map(Outcome::Number),
        payload().prop_map(Outcome::Message),
        (0..256).prop_map(Outcome::Exit),
        Just(Outcome::Signal("SIGKILL".into())),
        Just(Outcome::Os("EMFILE".into())),
        vec(name(), 0..3).prop_map(Outcome::Blocks),
    ]
}

fn line() -> impl Strategy<Value = Item> {
    (task_id(), verb(), proptest::option::of(1..5000_u64), vec(outcome(), 0..3)).prop_map(
        |(task_id, verb, within_ms, mut expected)| {
            let limited = matches!(verb, Verb::Put { .. } | Verb::Get { .. } | Verb::Join { .. });
            // `ok` alone is what is meant where nothing is written.
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
    // Blank lines at the end are no part of a script.
    (vec(item, 0..12), line()).prop_map(|(mut items, last)| {
        items.push(last);
        Script { items }
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(script in script()) {
        let text = script.to_string();
        let (again, _) = parser::script(&text).map_err(|error| {
            TestCaseError::fail(error.render("printed", &text))
        })?;
        prop_assert_eq!(&again, &script, "{}", text);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|([a-z /\\[\\]\"=>0-9.\\-+#\n]{0,40}){0,6}") {
        if let Err(error) = parse("any", &text) {
            prop_assert!(!error.render("any", &text).is_empty());
        }
    }

    #[test]
    fn no_line_of_known_words_makes_it_panic(
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
