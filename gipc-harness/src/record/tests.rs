//! Tests that a run is read as it was written, and that a file that is not a record is refused with the reason.

use super::*;
use crate::trace::StepState;

fn stored(bug: &str) -> (PathBuf, Record) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bugs").join(bug);
    let record = Record::read(&file).expect("the record of the bug can be read");
    (file, record)
}

#[test]
fn a_record_that_was_written_is_read_as_the_same() {
    let (file, record) = stored("gipc/issue-7.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let written = record.write(&folder.path().join("made")).unwrap();
    assert_eq!(written, folder.path().join("made/record.jsonl"));
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(lines(&written), lines(&file));
    assert_eq!(lines(&written), record.events.iter().count() + 2);
    assert_eq!(Record::read(&written).unwrap().to_lines(), record.to_lines());
    let printed = fs::read_to_string(folder.path().join("made/printed.txt")).unwrap();
    assert_eq!(printed, record.case.observation.printed);
    assert!(!record.events.as_lines().is_empty() && record.to_lines().ends_with("}\n"));
}

#[test]
fn a_file_is_taken_for_a_record_by_its_name() {
    assert!(Record::is_one(Path::new("records/record.jsonl")));
    assert!(!Record::is_one(Path::new("close/twice.scenario")) && !Record::is_one(Path::new("x")));
}

#[test]
fn what_is_no_record_is_refused_with_the_reason() {
    let (_, record) = stored("gipc/issue-7.jsonl");
    let refusal = |text: &str| Record::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(refusal(""), "it is empty");
    let first = record.to_lines().lines().next().unwrap().to_owned();
    assert_eq!(refusal(&first), "its last line is not the case of a run");
    assert!(refusal("{}").starts_with("its last line is not the case of a run ("));
    let mut later = record.clone();
    later.case.version += 1;
    let other = |version: u32, words: &str| {
        let command = program::command(words);
        format!(
            "its format has version {version}, and this program reads 2 (`{command}` records a run again)"
        )
    };
    assert_eq!(
        refusal(&later.to_lines()),
        other(3, "run bugs/gipc/issue-7.scenario --adapter gipc-python@0.3.2 --keep")
    );
    let earlier = r#"{"event":"case","scenario":"pipe/small","text":"","path":"p","adapter":"posix","how":""}"#;
    assert_eq!(refusal(earlier), other(1, "run pipe/small --adapter posix --keep"));
    let broken = format!("{first}\n{{\n{}", record.to_lines());
    assert!(refusal(&broken).starts_with("line 2 is not an event ("), "{}", refusal(&broken));

    let error = Record::refuse(Path::new("a.jsonl"), "it is empty").to_string();
    assert_eq!(
        error,
        "error: a.jsonl is no record: it is empty; name a record.jsonl that `run` has kept"
    );
    let error = Record::read(Path::new("/no/such.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("error: cannot read /no/such.jsonl: "), "{error}");
}

#[test]
fn a_record_is_judged_and_run_again_as_it_was_asked_for() {
    let (_, record) = stored("gipc/issue-7.jsonl");
    let (job, verdict) = record.judge(None).unwrap();
    assert_eq!(job.scenario.id, record.case.scenario);
    assert_eq!(verdict.status.to_string(), "DEADLOCK");
    assert_eq!(judge_record(&record.to_lines()).unwrap().failed_as, verdict.failed_as);
    assert_eq!(record.scenario().unwrap().text, record.case.text);

    let mut asked = record.clone();
    (asked.case.unchecked, asked.case.is_foreign) = (true, true);
    let choices = Choices { start_needs: 7, ..record.case.choices };
    for job in [asked.job().unwrap(), asked.rerun(choices).unwrap()] {
        assert!(job.is_foreign && job.flags().contains("--unchecked"), "{}", job.flags());
    }
    assert_eq!(asked.rerun(choices).unwrap().choices, choices);
    assert_eq!(asked.job().unwrap().choices, record.case.choices);
}

#[test]
fn a_record_whose_trace_is_of_another_scenario_is_not_judged() {
    let (_, mut record) = stored("gipc/issue-7.jsonl");
    record.case.observation.trace.steps.push(StepState::NotStarted);
    assert_eq!(
        record.judge(None).map(|_| ()).unwrap_err(),
        "its trace is that of another scenario"
    );
    record.case.text = "main        no-such-verb\n".into();
    let refusal = record.rerun(record.case.choices).map(|_| ()).unwrap_err();
    assert!(refusal.starts_with("its scenario cannot be read\n"), "{refusal}");
}
