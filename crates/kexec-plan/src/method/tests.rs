use super::*;

fn fastest() -> MethodFacts {
    MethodFacts {
        choice: SyscallChoice::Fastest,
        ..MethodFacts::default()
    }
}

fn unseen() -> Option<String> {
    Some("efivarfs".to_owned())
}

#[test]
fn options_come_before_facts() {
    let facts = MethodFacts {
        choice: SyscallChoice::Classic,
        locked_down: true,
        ..MethodFacts::default()
    };
    assert_eq!(decide(&facts).method, Method::ClassicLoad);
}

#[test]
fn every_row_gives_its_own_reason() {
    let with = |change: fn(&mut MethodFacts)| {
        let mut facts = MethodFacts::default();
        change(&mut facts);
        decide(&facts).reason
    };
    let slower = |change: fn(&mut MethodFacts)| {
        let mut facts = fastest();
        change(&mut facts);
        decide(&facts).reason
    };
    let reasons = [
        with(|f| f.choice = SyscallChoice::File),
        with(|f| f.choice = SyscallChoice::Classic),
        with(|f| f.locked_down = true),
        with(|f| f.secure_boot = true),
        with(|f| f.signature_enforced = true),
        with(|f| f.ima_appraises = true),
        with(|f| f.handover_state = true),
        with(|f| f.dump_keys = true),
        with(|f| f.secure_boot_unseen = unseen()),
        with(|f| f.selinux_enforcing = true),
        with(|f| f.not_for_file_load = true),
        with(|f| f.file_load_resets = true),
        with(|f| f.long_cmdline = true),
        with(|f| f.classic_option = true),
        with(|f| f.lockdown_unseen = unseen()),
        slower(|f| f.crash = true),
        slower(|f| f.not_placed_here = true),
        slower(|f| f.classic_not_built = true),
        slower(|f| f.memory_hidden = true),
        slower(|f| f.memory_guarded = true),
        slower(|_| {}),
        with(|_| {}),
    ];
    assert_eq!(reasons.len(), TABLE.len());
    for (reason, row) in reasons.iter().zip(TABLE) {
        assert_eq!(
            reason.strip_suffix(" (efivarfs)").unwrap_or(reason),
            row.reason
        );
    }
}

/// What asks for the running kernel's own loader comes before the shortest
/// downtime, and so does what only the other call can do.
#[test]
fn the_shortest_downtime_is_chosen_among_what_the_machine_allows() {
    let method = |change: fn(&mut MethodFacts)| {
        let mut facts = fastest();
        change(&mut facts);
        decide(&facts).method
    };
    assert_eq!(method(|_| {}), Method::ClassicLoad);
    let obstacles: [fn(&mut MethodFacts); 13] = [
        |f| f.locked_down = true,
        |f| f.secure_boot = true,
        |f| f.secure_boot_unseen = unseen(),
        |f| f.lockdown_unseen = unseen(),
        |f| f.signature_enforced = true,
        |f| f.ima_appraises = true,
        |f| f.selinux_enforcing = true,
        |f| f.handover_state = true,
        |f| f.crash = true,
        |f| f.not_placed_here = true,
        |f| f.classic_not_built = true,
        |f| f.memory_hidden = true,
        |f| f.memory_guarded = true,
    ];
    for obstacle in obstacles {
        assert_eq!(method(obstacle), Method::FileLoad);
    }
    // Refused with its own reason rather than by a call that cannot do it.
    let format: fn(&mut MethodFacts) = |f| (f.not_for_file_load, f.memory_hidden) = (true, true);
    assert_eq!(method(format), Method::ClassicLoad);
}

/// The old spelling looks at nothing that is about the shortest downtime.
#[test]
fn the_old_spelling_decides_as_ever() {
    let facts = MethodFacts {
        crash: true,
        not_placed_here: true,
        classic_not_built: true,
        memory_hidden: true,
        memory_guarded: true,
        ..MethodFacts::default()
    };
    assert_eq!(decide(&facts), decide(&MethodFacts::default()));
    let classic = MethodFacts {
        choice: SyscallChoice::Classic,
        ..facts.clone()
    };
    assert_eq!(decide(&classic).reason, "-c was given");
}

#[test]
fn only_a_free_choice_has_a_second_one() {
    let free = MethodFacts::default();
    let second = second_choice(&free, "answered ENOSYS").unwrap();
    assert_eq!(second.method, Method::ClassicLoad);
    assert!(second.reason.contains("ENOSYS"));
    let second = second_choice(&fastest(), "answered EPERM").unwrap();
    assert_eq!(second.method, Method::FileLoad);
    assert!(
        second
            .reason
            .starts_with("kexec_load was tried first (the shortest")
    );
    let crash = MethodFacts {
        crash: true,
        ..fastest()
    };
    let second = second_choice(&crash, "answered ENOSYS").unwrap();
    assert_eq!(second.method, Method::ClassicLoad);
    let keys = MethodFacts {
        dump_keys: true,
        ..crash.clone()
    };
    assert_eq!(second_choice(&keys, "answered ENOSYS"), None);
    let asked = MethodFacts {
        choice: SyscallChoice::File,
        ..free.clone()
    };
    let locked = MethodFacts {
        locked_down: true,
        ..free.clone()
    };
    let selinux = MethodFacts {
        selinux_enforcing: true,
        ..free.clone()
    };
    assert_eq!(second_choice(&asked, "ENOSYS"), None);
    assert_eq!(second_choice(&locked, "ENOSYS"), None);
    assert!(second_choice(&selinux, "ENOSYS").is_some());
}
/// What cannot be seen decides as if it were on, and says so; but it may be
/// off, so that a kernel without that call is asked for the other one.
#[test]
fn what_cannot_be_seen_counts_as_on() {
    let unseen_boot = MethodFacts {
        secure_boot_unseen: unseen(),
        ..fastest()
    };
    let decision = decide(&unseen_boot);
    assert_eq!(decision.method, Method::FileLoad);
    assert_eq!(
        decision.reason,
        "whether Secure Boot is on is unknown, which counts as on (efivarfs)"
    );
    let second = second_choice(&unseen_boot, "answered ENOSYS").unwrap();
    assert_eq!(second.method, Method::ClassicLoad);
    assert!(second.reason.contains("(efivarfs)"), "{second:?}");
    // A fact that is known binds all the same.
    let enforced = MethodFacts {
        signature_enforced: true,
        ..unseen_boot.clone()
    };
    assert_eq!(second_choice(&enforced, "answered ENOSYS"), None);
    // What the running kernel may have to verify is shown to it; a kernel
    // that is locked down refuses the other call by itself.
    for (facts, method) in [
        (unseen_boot, Method::FileLoad),
        (
            MethodFacts {
                lockdown_unseen: unseen(),
                ..fastest()
            },
            Method::ClassicLoad,
        ),
    ] {
        let facts = MethodFacts {
            not_for_file_load: true,
            ..facts
        };
        assert_eq!(decide(&facts).method, method, "{facts:?}");
    }
}
