//! Keys of an encrypted dump target, which only `kexec_file_load(2)` hands to the crash kernel.
//!
//! Debian builds its kernels without CONFIG_CRASH_DM_CRYPT (7.3.4), and the test shows that. So the
//! folder in configfs is a copy of what kdump.rst describes ("Write the dump file to encrypted
//! disk volume"), in a tmpfs: what is chosen because of it is tested, not what the kernel does
//! with the keys.

use anyhow::{Result, ensure};
use kexec_lab::modules::load_order;
use kexec_lab::{Guest, Initramfs, Lab, NextKernel};

const SCRIPT: &str = r#"
mkdir -p /run /boot /var/crash /var/lib/kdump
ln -s $NEXT /boot/vmlinuz-$(uname -r)
ln -s $NEXT_INITRD /var/lib/kdump/initrd.img-$(uname -r)
config=/sys/kernel/config
mount -t configfs config $config
run real ls $config
umount $config
mount -t tmpfs keys $config
mkdir -p $config/crash_dm_crypt_keys/one
echo 0 > $config/crash_dm_crypt_keys/count
rest="--initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1"
run none kexec -c -p $NEXT $rest
run none-status kexec status --json
run unload kexec -p -u
echo 1 > $config/crash_dm_crypt_keys/count
run classic kexec -c -p $NEXT $rest
run classic-verb kexec crash load -c
run classic-loaded kexec -S -p
run old kexec -s -p $NEXT $rest
run over kexec -c -p $NEXT $rest
run over-status kexec status --json
run unload-old kexec -p -u
run any kexec -a -p $NEXT $rest
run any-status kexec status --json
run unload-any kexec crash unload
run plain kexec -p $NEXT $rest
run plain-status kexec status --json
run verb kexec crash load
run verb-status kexec status --json
run check kexec check -p
jump sh -c 'echo c > /proc/sysrq-trigger'
"#;

#[test]
fn keys_of_a_dump_target_bind_to_the_file_call() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("7.x")?;
    let mut files = Initramfs::new();
    let mut insert = String::new();
    for (name, content) in load_order(&kernel.modules, &["configfs"])? {
        files.file(&format!("lab/{name}.ko"), content);
        insert.push_str(&format!("insmod /lab/{name}.ko\n"));
    }
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .with(&files)
        .append("crashkernel=256M")
        .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
        .script(&format!("{insert}{SCRIPT}"))
        .run()?;
    let one = outcome.stage("first")?;
    for run in &one.runs {
        let out = run.out();
        println!("# {} {}\n{:.400}{}", run.label, run.code, out, run.err());
    }
    // The day that Debian has it, this test can use the real one.
    ensure!(!one.good("real")?.out().contains("crash_dm_crypt_keys"));
    let method = |label: &str| -> Result<String> {
        let status: serde_json::Value = serde_json::from_slice(&one.good(label)?.stdout)?;
        let method = status.pointer("/crash/image/method");
        Ok(method.and_then(|m| m.as_str()).unwrap_or("none").to_owned())
    };
    one.good("none")?;
    assert_eq!(method("none-status")?, "kexec_load");
    // Refused before the kernel is asked, so what is loaded stays.
    for label in ["classic", "classic-verb", "over"] {
        let run = one.run(label)?;
        ensure!(
            run.code != 0 && run.err().contains("crash_dm_crypt_keys"),
            "{label}: {} {}",
            run.code,
            run.err()
        );
    }
    assert_eq!(one.run("classic-loaded")?.code, 0);
    one.good("old")?;
    assert_eq!(method("over-status")?, "kexec_file_load");
    for label in ["any", "plain", "verb"] {
        one.good(label)?;
        assert_eq!(method(&format!("{label}-status"))?, "kexec_file_load");
    }
    assert_eq!(outcome.stage("second")?.good("elf")?.stdout, b"\x7fELF");
    println!("{:?}", outcome.duration);
    Ok(())
}
