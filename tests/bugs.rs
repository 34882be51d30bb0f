//! The reported bugs in `bugs`: complete, and their records still judged as failures.

use gipc_harness::bugs::BugFile;
use gipc_harness::record::Record;
use std::path::Path;

fn bugs() -> Vec<BugFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bugs");
    BugFile::all(&folder).expect("each file says all of its bug")
}

#[test]
fn others_reported_at_least_thirty_bugs_and_twelve_of_them_are_of_gipc() {
    let all = bugs();
    let reported: Vec<&BugFile> = all.iter().filter(|bug| !bug.is_ours).collect();
    let of_gipc = reported.iter().filter(|bug| bug.id.starts_with("gipc/")).count();
    assert!(reported.len() >= 30, "{}", reported.len());
    assert!(of_gipc >= 12, "{of_gipc}");
}

#[test]
fn each_recorded_bug_is_still_judged_to_be_one() {
    for bug in bugs() {
        let file = bug.record();
        let record = Record::read(&file).unwrap_or_else(|error| panic!("{}: {error}", bug.id));
        let text = std::fs::read_to_string(&bug.path).expect("the scenario can be read");
        let steps = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(
            steps(&record.case.text),
            steps(&text),
            "{} was recorded before a change",
            bug.id
        );
        let (_, verdict) = record.judge(None).unwrap_or_else(|error| panic!("{}: {error}", bug.id));
        let seen = verdict.failed_as.unwrap_or_else(|| panic!("{} passes", bug.id));
        assert!(bug.is_failure(&seen), "{}: {seen:?} is not {:?}", bug.id, bug.fails);
    }
}

#[test]
fn each_bug_names_an_adapter_of_this_repository() {
    let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters");
    let exe = Path::new(env!("CARGO_BIN_EXE_gipc-harness"));
    for bug in bugs() {
        for name in [&bug.broken, &bug.passes] {
            let loaded = gipc_harness::adapter::Adapter::load(name, &adapters, exe);
            assert!(loaded.is_ok(), "{}: {name}: {:?}", bug.id, loaded.err());
        }
    }
}
