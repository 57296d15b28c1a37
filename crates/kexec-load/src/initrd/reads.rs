//! Which initrds a kernel reads, by the configuration it was built with
//! (init/Kconfig, usr/Kconfig, lib/Kconfig and lib/xz/Kconfig of its sources).

use std::collections::BTreeSet;

use super::intact::CompressedPart;
use super::xz::bcj;

/// What a configuration says of initrds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// `CONFIG_BLK_DEV_INITRD`: it looks at one at all.
    any: bool,
    /// What is set of `RD_*`, `DECOMPRESS_*` and `XZ_DEC_*`, less `CONFIG_`.
    set: BTreeSet<String>,
}

/// The options that count.
const PREFIXES: &[&str] = &["RD_", "DECOMPRESS_", "XZ_DEC_"];

impl Reads {
    /// Reads a configuration. `None` where it is not a whole one: what is left out of
    /// an excerpt or a defconfig may be set all the same.
    pub fn of(config: &str) -> Option<Reads> {
        // The first lines of what Kconfig writes, and of nothing that people write.
        let head = &mut config.lines().take(10);
        if !head.any(|line| line.starts_with('#') && line.contains("Automatically generated")) {
            return None;
        }
        let mut any = None;
        let mut listed = false;
        let mut set = BTreeSet::new();
        for line in config.lines().map(str::trim_end) {
            let Some((name, on)) = option(line) else {
                continue;
            };
            if name == "BLK_DEV_INITRD" {
                any = Some(on);
            }
            listed |= name == "RD_GZIP";
            if on && PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                set.insert(name.to_owned());
            }
        }
        let any = any?;
        // Whoever reads initrds says so or not of the oldest codec; and each codec has
        // its decoder, of which the last lines of the file tell: it was not cut short.
        let whole = set.iter().all(|name| match name.strip_prefix("RD_") {
            Some(codec) => set.contains(&format!("DECOMPRESS_{codec}")),
            None => true,
        });
        (!any || (listed && whole)).then_some(Reads { any, set })
    }

    /// Whether it looks at initrds at all.
    pub fn any(&self) -> bool {
        self.any
    }

    /// The option that it would need for this part and does not have.
    pub fn lacks(&self, part: &CompressedPart) -> Option<String> {
        let codec = part.codec.to_uppercase();
        // What another part of the kernel asked for is there for initrds as well.
        let decoder = [format!("RD_{codec}"), format!("DECOMPRESS_{codec}")];
        if !decoder.iter().any(|name| self.set.contains(name)) {
            return Some(format!("CONFIG_RD_{codec}"));
        }
        let filters = part.filters.iter().flatten();
        let mut needed = filters.filter_map(|f| bcj(f.id).map(|arch| format!("XZ_DEC_{arch}")));
        let missing = needed.find(|name| !self.set.contains(name))?;
        Some(format!("CONFIG_{missing}"))
    }

    /// The codecs it knows, for people.
    pub fn codecs(&self) -> Vec<String> {
        let codecs = self.set.iter().filter_map(|name| name.strip_prefix("RD_"));
        codecs.map(str::to_lowercase).collect()
    }
}

/// The name of an option, less `CONFIG_`, and whether it is built in.
fn option(line: &str) -> Option<(&str, bool)> {
    if let Some(off) = line.strip_prefix("# CONFIG_") {
        return Some((off.strip_suffix(" is not set")?, false));
    }
    let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    Some((name, value == "y"))
}

#[cfg(test)]
mod tests {
    use kexec_image::decompress::xz_methods::Filter;

    use super::*;

    const WHOLE: &str = "#\n# Automatically generated file; DO NOT EDIT.\n\
        # Linux/x86 6.1.0 Kernel Configuration\n#\nCONFIG_BLK_DEV_INITRD=y\n\
        CONFIG_RD_GZIP=y\n# CONFIG_RD_BZIP2 is not set\nCONFIG_RD_XZ=y\n\
        # CONFIG_RD_ZSTD is not set\nCONFIG_XZ_DEC_X86=y\n\
        # CONFIG_XZ_DEC_ARM is not set\nCONFIG_DECOMPRESS_GZIP=y\n\
        CONFIG_DECOMPRESS_LZ4=y\nCONFIG_DECOMPRESS_XZ=y\n";

    fn part(codec: &'static str, ids: &[u64]) -> CompressedPart {
        let chain = ids.iter().map(|id| Filter {
            id: *id,
            properties: 0,
        });
        CompressedPart {
            at: 0,
            codec,
            len: 0,
            unpacked: 0,
            filters: vec![chain.collect()],
        }
    }

    #[test]
    fn what_is_set_is_read_and_the_rest_is_not() {
        let reads = Reads::of(WHOLE).unwrap();
        assert!(reads.any());
        assert_eq!(reads.codecs(), ["gzip", "xz"]);
        for (part, lacks) in [
            (part("gzip", &[]), None),
            // Built in for something else.
            (part("lz4", &[]), None),
            (part("bzip2", &[]), Some("CONFIG_RD_BZIP2")),
            (part("zstd", &[]), Some("CONFIG_RD_ZSTD")),
            // Older than the codec.
            (part("lzo", &[]), Some("CONFIG_RD_LZO")),
            (part("xz", &[0x21]), None),
            (part("xz", &[4, 0x21]), None),
            (part("xz", &[7, 0x21]), Some("CONFIG_XZ_DEC_ARM")),
            (part("xz", &[10, 0x21]), Some("CONFIG_XZ_DEC_ARM64")),
        ] {
            assert_eq!(reads.lacks(&part).as_deref(), lacks, "{part:?}");
        }
    }

    #[test]
    fn none_at_all() {
        let head = WHOLE.split("CONFIG_BLK").next().unwrap();
        let none = format!("{head}# CONFIG_BLK_DEV_INITRD is not set\n");
        assert!(!Reads::of(&none).unwrap().any());
    }

    #[test]
    fn a_part_of_a_configuration_says_nothing() {
        // A defconfig leaves out what is the default.
        assert_eq!(Reads::of(WHOLE.split_once("CONFIG_BLK").unwrap().1), None);
        let short = |end: &str| WHOLE.split_once(end).unwrap().0.to_owned();
        assert_eq!(Reads::of(&short("CONFIG_RD_GZIP")), None);
        assert_eq!(Reads::of(&short("CONFIG_BLK")), None);
        assert_eq!(Reads::of(&short("CONFIG_DECOMPRESS_XZ")), None);
        assert_eq!(Reads::of(""), None);
        let by_hand = WHOLE.replace("Automatically generated", "my");
        assert_eq!(Reads::of(&by_hand), None);
    }
}
