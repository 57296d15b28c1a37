use super::*;

fn plan(change: impl FnOnce(&mut TestOptions)) -> Arc<Plan> {
    let mut options = TestOptions {
        static_tests: true,
        vm: true,
        fuzz: true,
        all: false,
        list: false,
        names: Vec::new(),
        fuzz_seconds: 1,
    };
    change(&mut options);
    Arc::new(Plan::new(options, PathBuf::from("logs")))
}

fn names(plan: &Arc<Plan>) -> Vec<String> {
    plan.jobs().into_iter().map(|job| job.name).collect()
}

#[test]
fn every_step_is_there_unless_a_part_or_a_name_is_asked_for() {
    let all = names(&plan(|_| {}));
    for step in STEPS.iter().chain(&[TESTS, LAB, FUZZ_BUILD]) {
        assert!(all.contains(&(*step).to_owned()), "{step}: {all:?}");
    }
    let static_tests = names(&plan(|options| {
        (options.vm, options.fuzz) = (false, false);
    }));
    assert!(static_tests.contains(&LINTS.to_owned()) && !static_tests.contains(&LAB.to_owned()));
    let vm = names(&plan(|options| {
        (options.static_tests, options.fuzz) = (false, false);
    }));
    assert_eq!(vm, [TESTS, RELEASE, DEB, RELEASE_FILES, LAB, BARE]);
    let one = names(&plan(|options| options.names = vec![FORMATTING.to_owned()]));
    assert_eq!(one, [FORMATTING]);
    let long = names(&plan(|options| options.names = vec![MSRV.to_owned()]));
    assert_eq!(long, [MSRV]);
    assert!(!all.contains(&MSRV.to_owned()));
    let all = names(&plan(|options| options.all = true));
    assert!(all.contains(&MSRV.to_owned()));
    let some = names(&plan(|options| options.names = vec!["fleet".to_owned()]));
    assert_eq!(some, [TESTS]);
    let targets = names(&plan(|options| {
        options.names = vec!["fuzz::elf".to_owned()]
    }));
    assert_eq!(targets, [FUZZ_BUILD]);
}

#[test]
fn what_ran_elsewhere_was_not_skipped() {
    let plan = plan(|_| {});
    let skipped = |name: &str| SkippedTest {
        reason: "r".to_owned(),
        name: name.to_owned(),
    };
    let mut state = PoolState {
        skipped: vec![skipped("b"), skipped("a"), skipped("b")],
        ..PoolState::default()
    };
    state.ended.push(super::super::pool::FinishedJob {
        name: "a".to_owned(),
        took: std::time::Duration::ZERO,
        passed: 1,
        note: String::new(),
        failure: None,
    });
    plan.settle(&mut state);
    assert_eq!(state.skipped, [skipped("b")]);
}
