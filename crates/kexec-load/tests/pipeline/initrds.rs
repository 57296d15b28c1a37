//! Initrds that the next kernel would not unpack: refused for the verbs, and loaded in
//! the old spelling, as kexec-tools does.

use kexec_image::testing::codec::{FilterType, gzip, lz4_legacy, xz_filtered, zstd};
use kexec_load::inputs::Inputs;
use kexec_load::preflight::Finding;

use super::*;

const RELEASE: &str = "6.1.0-test";

/// A configuration as Kconfig writes it, with these codecs and filters.
fn config(codecs: &[&str], filters: &[&str]) -> String {
    let mut text = "#\n# Automatically generated file; DO NOT EDIT.\n#\n".to_owned();
    text.push_str("CONFIG_BLK_DEV_INITRD=y\n");
    for codec in ["GZIP", "XZ", "LZ4", "ZSTD"] {
        text.push_str(&match codecs.contains(&codec) {
            true => format!("CONFIG_RD_{codec}=y\n"),
            false => format!("# CONFIG_RD_{codec} is not set\n"),
        });
    }
    for filter in filters {
        text.push_str(&format!("CONFIG_XZ_DEC_{filter}=y\n"));
    }
    for codec in codecs {
        text.push_str(&format!("CONFIG_DECOMPRESS_{codec}=y\n"));
    }
    text
}

/// A kernel of that release; `carried` is the configuration inside of it.
fn kernel(carried: Option<&str>, pack: fn(&[u8]) -> Vec<u8>, codec: &'static str) -> Vec<u8> {
    let mut inner = vec![0x90; 5000];
    if let Some(config) = carried {
        inner.extend(b"IKCFG_ST");
        inner.extend(gzip(config.as_bytes()));
        inner.extend(b"IKCFG_ED");
    }
    BzImageBuilder {
        kernel_version: format!("{RELEASE} (a test) #1"),
        ..BzImageBuilder::new()
    }
    .payload(pack(&inner), inner.len(), codec)
    .build()
}

/// What is found of a load with this initrd.
struct Try {
    boot: Boot,
    request: LoadRequest,
}

impl Try {
    fn new(initrd: &[u8]) -> Try {
        let boot = Boot::new();
        boot.file("vmlinuz", &kernel(None, gzip, "gzip"));
        boot.file("initrd", initrd);
        let request = boot.request("vmlinuz", &["initrd"]);
        Try { boot, request }
    }

    fn carrying(self, config: &str) -> Try {
        let image = kernel(Some(config), gzip, "gzip");
        self.boot.file("vmlinuz", &image);
        self
    }

    fn beside(self, config: &str) -> Try {
        let name = format!("config-{RELEASE}");
        self.boot.file(&name, config.as_bytes());
        self
    }

    fn root(mut self, root: &str) -> Try {
        self.request.cmdline.append = Some(format!("root={root}").as_str().into());
        self
    }

    fn inputs(&self) -> Inputs {
        let inputs = pipeline::read(&self.request, None, None).unwrap();
        inputs.with_config(self.boot.folder.path(), &self.request)
    }

    fn findings(&self) -> Vec<Finding> {
        let host = host("debian-cloud");
        let found = pipeline::prepare(&self.request, &self.inputs(), &host);
        let found = found.unwrap().findings.into_iter();
        found.filter(|f| f.check == "initrd-intact").collect()
    }

    /// The only finding.
    #[track_caller]
    fn says(&self, severity: Severity, words: &[&str]) {
        let found = self.findings();
        let [one] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(one.severity, severity, "{one:?}");
        let text = format!(
            "{} {} {}",
            one.problem.what, one.problem.why, one.problem.remedy
        );
        for word in words {
            assert!(text.contains(word), "{word:?} in {text}");
        }
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

#[test]
fn one_that_is_cut_short_is_refused_for_verbs_only() {
    for whole in [cpio("x"), gzip(&cpio("x")), zstd(&cpio("x"))] {
        Try::new(&whole).says(Severity::Pass, &["unpacks completely"]);
        let mut cut = Try::new(half(&whole));
        cut.says(Severity::Refusal, &["initrd ", "cut short", "rebuild it"]);
        let error = load(&double(), &cut.request, &host("debian-cloud")).unwrap_err();
        assert!(error.to_string().contains("cut short"), "{error}");
        // What kexec-tools loads is loaded.
        cut.request.old_spelling = true;
        assert_eq!(cut.findings(), []);
        let kernel = double();
        load(&kernel, &cut.request, &host("debian-cloud")).unwrap();
        assert_eq!(kernel.normal().unwrap().initrd(), Some(half(&whole)));
    }
}

#[test]
fn without_a_configuration_nobody_knows() {
    Try::new(&zstd(&cpio("x"))).says(Severity::Pass, &[]);
    let defconfig = config(&["GZIP"], &[]).replace("Automatically generated", "");
    let unsure = Try::new(&zstd(&cpio("x"))).beside(&defconfig);
    unsure.says(Severity::Pass, &[]);
}

#[test]
fn a_codec_that_the_kernel_was_built_without() {
    let (without, with) = (config(&["GZIP", "XZ"], &[]), config(&["GZIP", "ZSTD"], &[]));
    let packed = zstd(&cpio("x"));
    let words = ["CONFIG_RD_ZSTD", "gzip, xz", "uncompressed"];
    Try::new(&packed)
        .carrying(&without)
        .says(Severity::Refusal, &words);
    Try::new(&packed)
        .beside(&without)
        .says(Severity::Refusal, &words);
    Try::new(&packed)
        .beside(&without)
        .says(Severity::Refusal, &["config-6.1.0-test"]);
    Try::new(&packed).carrying(&with).says(Severity::Pass, &[]);
    Try::new(&packed).beside(&with).says(Severity::Pass, &[]);
    Try::new(&lz4_legacy(&cpio("x")))
        .beside(&with)
        .says(Severity::Refusal, &["CONFIG_RD_LZ4"]);
    // The kernel's own word counts more than a file's.
    let own = Try::new(&packed).carrying(&with).beside(&without);
    own.says(Severity::Pass, &[]);
    let own = Try::new(&packed).carrying(&without).beside(&with);
    own.says(Severity::Refusal, &words);
    // What is not compressed needs no codec.
    Try::new(&cpio("x"))
        .carrying(&config(&[], &[]))
        .says(Severity::Pass, &[]);
    // A part behind others counts as well.
    let mut parts = cpio("early");
    parts.extend(&packed);
    Try::new(&parts)
        .carrying(&without)
        .says(Severity::Refusal, &["CONFIG_RD_ZSTD"]);
    let mut old = Try::new(&packed).carrying(&without).beside(&without);
    old.request.old_spelling = true;
    assert_eq!(old.findings(), []);
    assert_eq!(old.inputs().config, None);
}

#[test]
fn the_configuration_where_distributions_install_it() {
    let packed = Try::new(&zstd(&cpio("x")));
    let folder = packed.boot.path("usr/lib/modules").join(RELEASE);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config"), config(&["GZIP"], &[])).unwrap();
    packed.says(Severity::Refusal, &["/usr/lib/modules/6.1.0-test/config"]);
}

#[test]
fn xz_filters_as_the_kernel_was_built_for() {
    let arm = xz_filtered(&cpio("x"), &[(FilterType::BcjArm, 0)], None);
    let x86_only = config(&["XZ"], &["X86"]);
    let all = config(&["XZ"], &["X86", "ARM"]);
    Try::new(&arm).says(Severity::Pass, &[]);
    Try::new(&arm).carrying(&all).says(Severity::Pass, &[]);
    Try::new(&arm)
        .carrying(&x86_only)
        .says(Severity::Refusal, &["CONFIG_XZ_DEC_ARM"]);
    let delta = xz_filtered(&cpio("x"), &[(FilterType::Delta, 4)], None);
    Try::new(&delta).says(Severity::Refusal, &["delta filter"]);
}

#[test]
fn a_kernel_that_looks_at_no_initrd() {
    let none = config(&[], &[]).replace(
        "CONFIG_BLK_DEV_INITRD=y",
        "# CONFIG_BLK_DEV_INITRD is not set",
    );
    let found = |root: &str| Try::new(&cpio("x")).carrying(&none).root(root);
    let word = ["CONFIG_BLK_DEV_INITRD"];
    for root in ["UUID=1", "LABEL=a", "/dev/mapper/a", "/dev/disk/by-uuid/1"] {
        found(root).says(Severity::Refusal, &word);
    }
    // It boots all the same, as it did through a boot loader.
    for root in ["PARTUUID=1", "/dev/vda1", "254:1", "PARTLABEL=a"] {
        found(root).says(Severity::Warning, &word);
    }
}

/// A signed kernel is not unpacked for its proof. It is for a refusal, and where that
/// takes no seconds.
#[test]
fn a_kernel_whose_proof_needs_no_unpacking() {
    use kexec_load::initrd::reads::Reads;
    use kexec_load::next_config::{Installed, NextConfig};
    let (without, with) = (config(&["GZIP"], &[]), config(&["GZIP", "ZSTD"], &[]));
    let slow = |data: &[u8]| xz_filtered(data, &[], None);
    let installed = |text: &str| {
        Some(Installed {
            file: "/boot/config".to_owned(),
            reads: Reads::of(text).unwrap(),
        })
    };
    let lacks = |image: &[u8], file: Option<Installed>| {
        let image = kexec_image::recognise(image.to_vec().into(), &Default::default());
        let looked = kexec_load::initrd::intact::look_into(&zstd(&cpio("x")), 1 << 20);
        let config = NextConfig::new(file);
        let found = config.lacking(&image.unwrap(), |reads| reads.lacks(&looked.packed[0]));
        found.map(|lacking| lacking.from)
    };
    let fast_image = kernel(Some(&without), gzip, "gzip");
    let slow_image = kernel(Some(&without), slow, "xz");
    assert!(lacks(&fast_image, None).unwrap().contains("carries"));
    assert_eq!(lacks(&slow_image, None), None);
    assert!(
        lacks(&slow_image, installed(&without))
            .unwrap()
            .contains("carries")
    );
    assert_eq!(lacks(&slow_image, installed(&with)), None);
    let other = kernel(Some(&with), slow, "xz");
    assert_eq!(lacks(&other, installed(&without)), None);
    let silent = kernel(None, slow, "xz");
    let file = Some("/boot/config".to_owned());
    assert_eq!(lacks(&silent, installed(&without)), file);
}

/// Two initrds, of which the kernel takes the second one only if it reads on behind the
/// first.
fn two(first: &[u8]) -> Try {
    let mut two = Try::new(first);
    two.boot.file("last", &cpio("last"));
    two.request = two.boot.request("vmlinuz", &["initrd", "last"]);
    two
}

#[test]
fn a_zero_word_between_lz4_and_the_next() {
    let first = lz4_legacy(&cpio("first"));
    let two = two(&first);
    let found = two.findings();
    assert!(found.iter().all(|f| f.severity == Severity::Pass));
    assert_eq!(found.len(), 2);
    let kernel = double();
    load(&kernel, &two.request, &host("debian-cloud")).unwrap();
    let mut joined = first.clone();
    joined.resize(first.len().next_multiple_of(4) + 4, 0);
    joined.extend(cpio("last"));
    assert_eq!(kernel.normal().unwrap().initrd(), Some(&joined[..]));
    // In one file it is looked for.
    Try::new(&joined).says(Severity::Pass, &["unpacks completely"]);
    joined.drain(first.len()..first.len() + 4);
    Try::new(&joined).says(Severity::Refusal, &["byte ", "cannot unpack"]);
}

#[test]
fn what_hides_the_initrds_behind_it() {
    let signed = [&cpio("first")[..], b"~Module signature appended~\n"].concat();
    let found = two(&signed).findings();
    let found: Vec<_> = found.iter().map(|f| f.severity).collect();
    assert_eq!(found, [Severity::Refusal, Severity::Pass]);
    // Nothing is behind it.
    Try::new(&signed).says(Severity::Note, &["ignore the rest"]);
}

#[test]
fn what_kernels_take_for_no_initrd_at_all() {
    use kexec_image::testing::codec::lz4_frame;
    Try::new(&lz4_frame(&cpio("x"))).says(Severity::Refusal, &["lz4 -l"]);
    let mut method = gzip(&cpio("x"));
    method[2] = 7;
    Try::new(&method).says(Severity::Refusal, &["begins with 1f 8b 07"]);
    // What another system may read is a warning of another check.
    assert_eq!(Try::new(b"something else").findings(), []);
}
