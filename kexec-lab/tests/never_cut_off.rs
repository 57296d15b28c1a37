//! A jump that does not happen leaves the network as it was: refused before
//! anything is taken down where that can be known, and put back where not.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel, Stage, modules};

/// Two interfaces (one needs the other), addresses of both families, default
/// routes, routes and rules of another table, a route that prefers an address, and
/// several routes to one place.
const NETWORK: &str = "\
    ip link set lo up\n\
    ip link add d0 type dummy\n\
    ip link set d0 up\n\
    vconfig add d0 10 > /dev/null\n\
    ip link set d0.10 up\n\
    ip addr add 192.0.2.1/24 dev d0\n\
    ip addr add 192.0.2.2/24 dev d0\n\
    ip addr add 203.0.113.1/24 dev d0.10\n\
    ip -6 addr add 2001:db8::1/64 dev d0\n\
    ip -6 addr add 2001:db8:10::1/64 dev d0.10\n\
    ip route add default via 192.0.2.254\n\
    ip route add default via 192.0.2.253 metric 50\n\
    ip route add 198.51.100.0/24 via 192.0.2.254 src 192.0.2.2\n\
    ip route add 198.51.100.0/24 via 203.0.113.254 table 100\n\
    ip route add blackhole 10.0.0.0/8\n\
    ip rule add from 192.0.2.1 table 100\n\
    ip -6 route add default via 2001:db8::fe\n\
    ip -6 route add 2001:db8:1::/48 via 2001:db8::fe table 100\n\
    ip -6 route add 2001:db8:2::/48 via 2001:db8:10::fe\n\
    ip -6 rule add from 2001:db8::1 table 100\n\
    network() {\n\
    ip -o link | grep -o '<.*'; ip -o addr\n\
    for table in main local 100; do ip route show table $table; ip -6 route show table $table; done | sort\n\
    ip rule; ip -6 rule; }\n\
    sleep 2\n";

/// The network, as the script's word saw it.
fn network(stage: &Stage, label: &str) -> Result<String> {
    Ok(stage.run(label)?.out())
}

#[test]
fn a_jump_that_fails_leaves_the_network_as_it_was() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let mut guest = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&lab.kernel("6.12")?));
    let mut script = String::new();
    for (name, bytes) in modules::load_order(&kernel.modules, &["dummy", "8021q"])? {
        guest = guest.file(&format!("lab/{name}.ko"), bytes);
        script += &format!("run {name} insmod /lab/{name}.ko\n");
    }
    script += NETWORK;
    script += "mkdir -p /etc\n\
        echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd\n\
        run before network\n\
        run nothing kexec -e\n\
        umount /sys\n\
        run no-sysfs kexec -e\n\
        mount -t sysfs sysfs /sys\n\
        mount --bind /dev/null /sys/kernel/kexec_loaded\n\
        run hidden kexec -e\n\
        umount /sys/kernel/kexec_loaded\n\
        run refused network\n\
        echo 1 > /says-loaded\n\
        mount --bind /says-loaded /sys/kernel/kexec_loaded\n\
        run einval kexec -e\n\
        run after-einval network\n\
        umount /sys/kernel/kexec_loaded\n\
        run load kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
        run nobody start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- -e\n\
        run pid-namespace unshare -p -f kexec -e\n\
        run refused-again network\n\
        run blind unshare -m -p -f sh -c 'umount /proc /sys; exec kexec -e'\n\
        run after-blind network\n\
        run no-ifdown unshare -m -p -f sh -c 'umount /proc /sys; exec kexec -e -x'\n\
        run at-last network\n\
        umount /proc /sys\n\
        jump kexec -e\n";
    let outcome = guest.script(&script).run()?;
    let first = outcome.stage("first")?;
    for module in ["dummy", "8021q"] {
        let run = first.run(module)?;
        ensure!(run.code == 0, "{module}: {}", run.err());
    }
    let before = network(first, "before")?;
    println!("{before}");
    for word in [
        "d0.10",
        "2001:db8::1/64",
        "2001:db8:10::1/64",
        "default via 192.0.2.254",
        "192.0.2.253",
        "default via 2001:db8::fe",
        "2001:db8:1::/48",
        "198.51.100.0/24 via 203.0.113.254",
        "blackhole 10.0.0.0/8",
        "from 192.0.2.1 lookup 100",
        "from 2001:db8::1 lookup 100",
    ] {
        ensure!(before.contains(word), "no {word} in: {before}");
    }
    let told = |label: &str, code: u8, words: &[&str]| -> Result<()> {
        let run = first.run(label)?;
        println!("{label}: {} {}", run.code, run.err());
        ensure!(run.code == code, "{label}: exit code {}", run.code);
        for word in words {
            ensure!(
                run.err().contains(word),
                "{label}: no {word:?}: {}",
                run.err()
            );
        }
        ensure!(!run.err().contains("lost"), "{label}: {}", run.err());
        Ok(())
    };
    // Known before anything is taken down.
    told("nothing", 1, &["nothing is loaded"])?;
    told("no-sysfs", 1, &["nothing is loaded"])?;
    told("hidden", 1, &["nothing is loaded"])?;
    told("nobody", 255, &["CAP_SYS_BOOT"])?;
    told("pid-namespace", 255, &["PID namespace"])?;
    // Known by the jump alone.
    told("einval", 255, &["EINVAL"])?;
    let nothing = [
        "no kernel is loaded, or the running kernel refuses the jump to this process",
        "sysfs is not mounted on /sys, and /proc is not mounted (EINVAL)",
        "mount -t proc proc /proc",
    ];
    told("blind", 255, &nothing)?;
    told("no-ifdown", 255, &nothing)?;
    for label in [
        "refused",
        "after-einval",
        "refused-again",
        "after-blind",
        "at-last",
    ] {
        let after = network(first, label)?;
        ensure!(after == before, "{label}:\n{after}\ninstead of:\n{before}");
    }
    // With neither /proc nor /sys, and with the network up, it jumps.
    outcome.stage("second")?;
    Ok(())
}
