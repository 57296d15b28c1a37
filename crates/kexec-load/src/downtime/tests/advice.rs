//! Each advice, with and without its condition.

use super::*;

/// A load for which no row has anything to say.
fn best() -> DowntimeFacts {
    raw(47 * MB)
}

/// The rows that apply, with what they save.
fn advised(facts: &DowntimeFacts) -> Vec<(&'static str, Option<u64>)> {
    let advice = downtime(facts).advice;
    advice.iter().map(|a| (a.name, a.saves_millis)).collect()
}

type Change = fn(&mut DowntimeFacts);

/// Each row: what makes it apply, what it saves, and each thing that keeps it from that.
#[test]
fn each_advice_with_and_without_its_condition() {
    let rows: &[(&str, Change, Option<u64>, &[Change])] = &[
        (
            "serial-console",
            |f| {
                f.consoles = console(115_200);
                f.verbose = true;
            },
            Some(2127),
            &[
                |f| f.verbose = false,
                |f| f.consoles.clear(),
                |f| f.virtual_machine = true,
                |f| f.consoles = console(4_000_000),
            ],
        ),
        (
            "system-call",
            |f| *f = packed(16 * MB, "zstd", 47 * MB),
            Some(310),
            &[
                |f| f.verified = true,
                |f| f.method = Method::ClassicLoad,
                |f| f.choice = SyscallChoice::Fastest,
                |f| f.choice = SyscallChoice::Classic,
            ],
        ),
        (
            "unpack-kernel",
            |f| {
                f.kernel = packed(0, "zstd", 0).kernel;
                let why = f.kernel.not_unpacked.as_mut().unwrap();
                why.may_be_insisted = true;
            },
            Some(97),
            &[
                |f| f.kernel.packed = None,
                |f| f.method = Method::FileLoad,
                |f| f.kernel.not_unpacked.as_mut().unwrap().may_be_insisted = false,
                |f| f.kernel.not_unpacked = None,
            ],
        ),
        (
            "initrd-codec",
            |f| {
                f.initrd = vec![InitrdPart {
                    codec: Some("xz"),
                    unpacked: 2070 * MB,
                }];
            },
            Some(2524 - 246),
            &[
                |f| f.initrd[0].codec = Some("zstd"),
                |f| f.initrd[0].codec = Some("lz4"),
                |f| f.initrd[0].codec = None,
                |f| f.initrd[0].unpacked = 47 * MB,
            ],
        ),
        (
            "crypto-self-tests",
            |f| f.machine.self_tests = true,
            Some(134),
            &[
                |f| f.machine.self_tests = false,
                |f| f.machine.fips = true,
                |f| f.next_fips = true,
                |f| f.no_tests = true,
            ],
        ),
        ("lpj", |f| f.lpj = false, Some(4), &[|f| f.lpj = true]),
        (
            "parallel-shutdown",
            |f| {
                f.machine.nvme = 8;
                f.machine.parallel_shutdown_is_off = true;
            },
            None,
            &[
                |f| f.machine.nvme = 3,
                |f| f.machine.parallel_shutdown_is_off = false,
            ],
        ),
    ];
    assert_eq!(advised(&best()), []);
    for (name, applies, saves, not) in rows {
        let mut facts = best();
        applies(&mut facts);
        let expected = (*name, *saves);
        assert!(
            advised(&facts).contains(&expected),
            "{name}: {:?}",
            advised(&facts)
        );
        for change in *not {
            let mut facts = facts.clone();
            change(&mut facts);
            let found = advised(&facts);
            assert!(
                !found.iter().any(|(found, _)| found == name),
                "{name}: {facts:?}"
            );
        }
    }
}

#[test]
fn what_nobody_wanted_is_one_word_away() {
    let mut facts = best();
    facts.kernel = packed(0, "zstd", 0).kernel;
    facts.kernel.not_unpacked.as_mut().unwrap().unwanted = true;
    let advice = downtime(&facts).advice;
    assert!(advice[0].remedy.contains("--unpack=never"), "{advice:?}");
}

#[test]
fn what_saves_most_comes_first_and_what_costs_more_than_work_says_so() {
    let mut facts = packed(567 * MB, "xz", 2070 * MB);
    facts.lpj = false;
    facts.verbose = true;
    facts.consoles = console(115_200);
    facts.machine = MachineFacts {
        fips: false,
        self_tests: true,
        nvme: 4,
        parallel_shutdown_is_off: true,
    };
    let found = downtime(&facts).advice;
    let names: Vec<&str> = found.iter().map(|a| a.name).collect();
    assert_eq!(
        names,
        [
            "initrd-codec",
            "serial-console",
            "system-call",
            "crypto-self-tests",
            "lpj",
            "parallel-shutdown"
        ]
    );
    let text = |name: &str| &found.iter().find(|a| a.name == name).unwrap().remedy;
    assert!(text("crypto-self-tests").contains("weakens"));
    assert!(text("system-call").contains("no signature"));
}
