//! Nothing is loaded that is not known: loads that are killed half way, folders that
//! take no record, two loads at once, and somebody who holds the lock.

use anyhow::{Result, ensure};
use vm::{Guest, Lab, Next, Outcome, Stage};

/// /boot as `kexec preload NAME` looks for it, a /run, and what the tries share.
const MACHINE: &str = r#"
mkdir -p /run /boot /var/lib
mount -t tmpfs -o size=1m run /run
ln -s $NEXT /boot/vmlinuz-lts
ln -s $NEXT_INITRD /boot/initrd.img-lts
"#;

fn guest(script: &str) -> Result<Outcome> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .cpus(2)
        .next(Next::new(&lab.kernel("6.1")?))
        .script(&format!("{MACHINE}{script}"))
        .run()
}

/// Kills a load as soon as the kernel says that it has the image.
const KILLED: &str = r#"
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
	kexec -u 2> /dev/null
	kexec preload --instance=lts > /tmp/said 2>&1 &
	pid=$!
	loaded=0
	while [ $loaded = 0 ] && [ -d /proc/$pid ]; do read -r loaded < /sys/kernel/kexec_loaded; done
	kill -9 $pid
	wait $pid
	run record-$try cat /run/kexec/loaded.json
	run status-$try kexec status
	run preload-$try kexec preload --instance=lts
	run after-$try kexec status --json
done
"#;

#[test]
fn killed_after_the_system_call() -> Result<()> {
    let outcome = guest(KILLED)?;
    let stage = outcome.stage("first")?;
    let mut lost = 0;
    for n in 1..=12 {
        let say = |what: &str| -> Result<()> {
            let run = stage.run(&format!("{what}-{n}"))?;
            println!("{n} {what} {} {}{}", run.code, run.out(), run.err());
            Ok(())
        };
        if stage.run(&format!("record-{n}"))?.code != 0 {
            lost += 1;
        }
        say("status")?;
        say("preload")?;
    }
    println!("LOST {lost} of 12 in {:?}", outcome.duration);
    Ok(())
}
