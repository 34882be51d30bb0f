//! Tests what an adapter declares (skips, choices and profiles) and what these excuse.

use super::*;

#[test]
fn a_scenario_outside_the_suite_that_an_adapter_cannot_do_is_skipped_and_not_an_error() {
    let mut job = job(CLOSES);
    let unsupported = Unsupported { step: Some(2), reason: "no pipes here".into() };
    let trace = predict(&job.scenario, Choices::default());
    let observation =
        Observation { unsupported: Some(unsupported), ..Observation::of(trace.clone()) };
    let skips = SkipList::parse("", &["default"], "skips.txt").expect("an empty list");
    let profiles = ["core".to_owned()];
    let baseline = Baseline {
        profiles: &profiles,
        skips: Some(&skips),
        variant: "default",
        ..Baseline::default()
    };
    let verdict = |job: &Job| judge(job, &observation, &baseline, &Environment::default());
    assert_eq!(verdict(&job).status, Status::Error);
    job.is_foreign = true;
    let skipped = verdict(&job);
    assert_eq!(skipped.status, Status::Skip);
    assert_eq!(skipped.reason.as_deref(), Some("get r: no pipes here"));
    assert_eq!(skipped.baseline_change, None);
    let mut failed = trace;
    failed.steps[2] = StepState::completed(Outcome::Ok);
    let failed = judge(&job, &Observation::of(failed), &baseline, &Environment::default());
    assert_eq!(failed.status, Status::Fail);
    assert_eq!(failed.baseline_change, None, "`--accept` must not write it into the manifest");
}

#[test]
fn a_skip_that_the_system_explains_is_no_business_of_the_skip_list() {
    let job = job(CLOSES);
    let reason = "cannot observe blocking here".to_owned();
    let unsupported = Some(Unsupported { step: None, reason });
    let trace = predict(&job.scenario, Choices::default());
    let observation = Observation { unsupported, ..Observation::of(trace) };
    let skips = SkipList::parse("", &["default"], "skips.txt").expect("an empty list");
    let baseline = Baseline { skips: Some(&skips), variant: "default", ..Baseline::default() };
    let elsewhere = judge(&job, &observation, &baseline, &Environment::default());
    assert_eq!(elsewhere.status, Status::Error);
    let unmet = UnmetAssumption {
        means: "nothing is shown".into(),
        explains: vec!["cannot observe blocking".into()],
    };
    let fact = SystemFact {
        name: "processes shown".into(),
        found: "no".into(),
        unmet: Some(unmet),
        unmet_by_heavy: None,
    };
    let environment = Environment { facts: vec![fact], slow_factor: 1 };
    let here = judge(&job, &observation, &baseline, &environment);
    assert_eq!(here.status, Status::Environment);
    assert_eq!(here.reason.as_deref(), Some("processes shown: nothing is shown"));
    assert_eq!(here.notes, ["cannot observe blocking here"]);
    assert_eq!(here.baseline_change, None, "`--accept` must not write it into the list");
}

#[test]
fn a_run_that_is_right_for_a_declared_choice_is_skipped_with_the_choice_as_the_reason() {
    let text =
        "main        limit descriptors 0 free\nmain        spawn child              => os:EMFILE\n";
    let scenario = parse("spawn/limit", text).expect("the scenario is well-formed");
    let choices = Choices { start_needs: 0, ..Choices::default() };
    let job = Job::new(&scenario, Path::new("limit.scenario"), choices, Variant::default())
        .expect("the default variant fits every scenario");
    let verdict = judged(&job, predict(&scenario, choices));
    assert_eq!(verdict.status, Status::Skip);
    let reason = "spawn child: by start-needs in its manifest the outcome is ok";
    assert_eq!(verdict.reason.as_deref(), Some(reason));
}

const SENDS_A_HANDLE: &str = "main        pipe r w\nmain        pipe r2 w2\n\
                              main        put w handle r2             => misuse\n";

/// A run in which the agent refused the step that sends a handle as a message.
fn refused_handle(job: &Job) -> Observation {
    let unsupported = Unsupported { step: Some(2), reason: "no handles in messages".into() };
    let trace = predict(&job.scenario, Choices::default());
    Observation { unsupported: Some(unsupported), ..Observation::of(trace) }
}

#[test]
fn an_agent_that_lacks_the_word_pass_may_refuse_to_send_a_handle() {
    let job = job(SENDS_A_HANDLE);
    let observation = refused_handle(&job);
    let profiles = ["core".to_owned(), "oddities".to_owned()];
    let status = |word: &str| {
        let lacks = BTreeMap::from([(word.to_owned(), "it has none".to_owned())]);
        let baseline = Baseline { profiles: &profiles, lacks: Some(&lacks), ..Baseline::default() };
        judge(&job, &observation, &baseline, &Environment::default()).status
    };
    assert_eq!(status("pass"), Status::Skip);
    assert_eq!(status("get"), Status::Error);
}

#[test]
fn a_skip_that_follows_from_the_profiles_need_not_be_in_the_skip_list() {
    let job = job(SENDS_A_HANDLE);
    let skips = SkipList::parse("", &["default"], "skips.txt").expect("an empty list");
    let status = |profile: &str| {
        let profiles = ["core".to_owned(), profile.to_owned()];
        let lacks = BTreeMap::from([("pass".to_owned(), "it has none".to_owned())]);
        let baseline = Baseline {
            profiles: &profiles,
            lacks: Some(&lacks),
            skips: Some(&skips),
            variant: "default",
            ..Baseline::default()
        };
        judge(&job, &refused_handle(&job), &baseline, &Environment::default()).status
    };
    assert_eq!(status("signals"), Status::Skip);
    assert_eq!(status("oddities"), Status::Error);
}

#[test]
fn a_listed_skip_that_is_asked_now_is_fixed_whether_it_passes_or_fails_and_an_error_stays_one() {
    let job = job(CLOSES);
    let skips = SkipList::parse("close/twice\n", &["default"], "skips.txt").expect("a list");
    let baseline = Baseline { skips: Some(&skips), variant: "default", ..Baseline::default() };
    let verdict =
        |observation: &Observation| judge(&job, observation, &baseline, &Environment::default());
    let trace = predict(&job.scenario, Choices::default());
    let mut failed = trace.clone();
    failed.steps[2] = StepState::completed(Outcome::Ok);
    for asked in [trace.clone(), failed] {
        let asked = verdict(&Observation::of(asked));
        assert_eq!(asked.status, Status::Fixed);
        assert!(matches!(asked.baseline_change, Some(BaselineChange::Asked)));
    }
    let broken = Observation { fault: Some("no answer".into()), ..Observation::of(trace) };
    let broken = verdict(&broken);
    assert_eq!(broken.status, Status::Error);
    assert_eq!(broken.baseline_change, None, "nothing is known of the implementation");
}
