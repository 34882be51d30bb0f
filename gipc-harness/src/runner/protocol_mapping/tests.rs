//! Tests how a message is described that does not come from a put into its pipe.

use super::ProtocolMapping;
use crate::scenario::{Outcome, parse};
use gipc_agent::{WireOutcome, digest};
use rstest::rstest;

const LINES: &str = "main        pipe r w
main        pipe r2 w2
main        put w2 \"elsewhere\"
main        put w \"twice\"
main        put w 3000B
main        get r                       => \"twice\"
main        get r                       => 3000B
";

fn text(text: &str) -> WireOutcome {
    WireOutcome::Message {
        len: text.len() as u64,
        sha256: digest(text.as_bytes()),
        text: Some(text.into()),
    }
}

#[rstest]
#[case::into_another_pipe("elsewhere", "\"elsewhere\", which main put into w2")]
#[case::received_before("twice", "\"twice\", which main put and a get had received already")]
#[case::a_part_of_it("where", "\"where\", which is a part of what main put")]
#[case::no_step("invented", "\"invented\", which no step put")]
fn a_message_that_was_not_put_into_the_pipe_has_its_origin(
    #[case] message: &str,
    #[case] expected: &str,
) {
    let scenario = parse("it", LINES).expect("the lines are a scenario");
    let mut mapping = ProtocolMapping::new(&scenario);
    let (first, from) = mapping.outcome(5, text("twice"), None, |_| true);
    assert_eq!((first, from), (scenario.steps[5].expected[0].clone(), Some(3)));
    let (outcome, from) = mapping.outcome(6, text(message), None, |_| true);
    assert_eq!((outcome, from), (Outcome::Other(expected.into()), None));
}

#[test]
fn a_large_message_that_no_step_put_is_told_by_its_length() {
    let scenario = parse("it", LINES).expect("the lines are a scenario");
    let mut mapping = ProtocolMapping::new(&scenario);
    let message = WireOutcome::Message { len: 3000, sha256: digest(b"other"), text: None };
    let (outcome, _) = mapping.outcome(6, message, None, |_| true);
    assert_eq!(outcome, Outcome::Other("3000 bytes, which no step put".into()));
}
