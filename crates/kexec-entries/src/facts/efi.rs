//! EFI variables about booting, from efivarfs (Documentation/filesystems/
//! efivarfs.rst: four bytes of attributes, then the value).

use serde::Serialize;

use kexec_image::fields;
use kexec_machine::Fact;
use kexec_machine::guid::guid_at;
use kexec_machine::volumes::Volumes;

const FOLDER: &str = "/sys/firmware/efi/efivars";
/// EFI_GLOBAL_VARIABLE (UEFI specification, 3.3 "Globally Defined Variables").
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The vendor of the Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE).
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Limine's own vendor.
const LIMINE: &str = "513ee0d0-6e43-cb05-b272-f146a2fcb88a";

/// `LOAD_OPTION_ACTIVE` (UEFI specification, 3.1.3 "Load Options").
const ACTIVE: u32 = 1;

/// The firmware's own boot menu holds no more options than this here; its order
/// has 16-bit numbers, so that anything may be claimed.
const MAX_OPTIONS: usize = 256;

/// What EFI variables say about booting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EfiVariables {
    /// What the boot loader left.
    pub loader: LoaderVars,
    /// LimineLastBootedEntry, whose form depends on the version of Limine.
    pub limine_last: Fact<Vec<u8>>,
    /// BootCurrent: the option that started this boot.
    pub current: Fact<u16>,
    /// BootNext: the option that the next boot is to take, once.
    pub next: Fact<u16>,
    /// BootOrder: the options in the order in which the firmware tries them.
    pub order: Fact<Vec<u16>>,
    /// The Boot#### of the three, in that order, each once.
    pub options: Vec<Fact<BootOption>>,
}

/// The variables of the Boot Loader Interface that say what is booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoaderVars {
    /// LoaderInfo: name and version of the boot loader.
    pub info: Fact<String>,
    /// LoaderDevicePartUUID: the partition that the boot loader came from.
    pub device_partuuid: Fact<String>,
    /// LoaderEntrySelected: what was booted; it outlives a kexec.
    pub entry_selected: Fact<String>,
    /// LoaderEntryOneShot: what the next boot is to take, once.
    pub entry_one_shot: Fact<String>,
    /// LoaderEntryPreferred: what is taken while its tries last.
    pub entry_preferred: Fact<String>,
    /// LoaderEntryDefault: the default, which counts before that of loader.conf.
    pub entry_default: Fact<String>,
    /// LoaderEntryLastBooted: what `@saved` means.
    pub entry_last_booted: Fact<String>,
    /// LoaderEntrySysFail: what is taken when the firmware reports a failure.
    pub entry_sys_fail: Fact<String>,
    /// LoaderEntries: everything that is in the boot loader's menu, with what no
    /// file describes.
    pub entries: Fact<Vec<String>>,
    /// StubInfo: name and version of the stub of a UKI that was booted.
    pub stub_info: Fact<String>,
}

/// A boot option of the firmware, the variable Boot####.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootOption {
    /// The number in its name.
    pub number: u16,
    /// Whether the firmware tries it by itself.
    pub active: bool,
    /// What the firmware's menu shows.
    pub description: String,
    /// The partition that its path begins with.
    pub partuuid: Option<String>,
    /// The file on that partition, with backslashes.
    pub file: Option<String>,
    /// What it hands to the program, where that is text: the command line of a
    /// kernel that is started without a boot loader.
    pub arguments: Option<String>,
    /// Whether it hands anything over.
    pub has_data: bool,
}

impl EfiVariables {
    /// The option with that number.
    pub fn option(&self, number: u16) -> Option<&BootOption> {
        let known = self.options.iter().filter_map(Fact::known);
        known.into_iter().find(|option| option.number == number)
    }
}

/// Reads the variables; `efi` says whether the machine was booted by EFI.
pub(super) fn read(efi: bool, volumes: &Volumes) -> Fact<EfiVariables> {
    if !efi {
        return Fact::Absent;
    }
    match volumes.machine_entries(FOLDER) {
        Fact::Unreadable(reason) => return Fact::Unreadable(reason),
        Fact::Known(names) if !names.is_empty() => {}
        _ => return Fact::Unreadable(format!("efivarfs is not mounted on {FOLDER}")),
    }
    let number = |name: &str| global(volumes, name).and_then(|value| exactly(name, &value, number));
    let (current, next) = (number("BootCurrent"), number("BootNext"));
    let order =
        global(volumes, "BootOrder").and_then(|value| exactly("BootOrder", &value, numbers));
    let mut wanted: Vec<u16> = Vec::new();
    let listed = order.known().into_iter().flatten();
    for number in current
        .known()
        .into_iter()
        .chain(next.known())
        .chain(listed)
    {
        if !wanted.contains(number) && wanted.len() < MAX_OPTIONS {
            wanted.push(*number);
        }
    }
    let options = wanted.iter().map(|number| option(volumes, *number));
    Fact::Known(EfiVariables {
        loader: loader(volumes),
        limine_last: variable(volumes, "LimineLastBootedEntry", LIMINE),
        options: options.collect(),
        current,
        next,
        order,
    })
}

fn loader(volumes: &Volumes) -> LoaderVars {
    let text = |name: &str| {
        let value = variable(volumes, name, LOADER);
        value.and_then(|value| exactly(name, &value, utf16))
    };
    LoaderVars {
        info: text("LoaderInfo"),
        device_partuuid: text("LoaderDevicePartUUID").map(|uuid| uuid.to_ascii_lowercase()),
        entry_selected: text("LoaderEntrySelected"),
        entry_one_shot: text("LoaderEntryOneShot"),
        entry_preferred: text("LoaderEntryPreferred"),
        entry_default: text("LoaderEntryDefault"),
        entry_last_booted: text("LoaderEntryLastBooted"),
        entry_sys_fail: text("LoaderEntrySysFail"),
        entries: variable(volumes, "LoaderEntries", LOADER)
            .and_then(|value| exactly("LoaderEntries", &value, texts)),
        stub_info: text("StubInfo"),
    }
}

fn option(volumes: &Volumes, number: u16) -> Fact<BootOption> {
    let name = format!("Boot{number:04X}");
    global(volumes, &name).and_then(|value| exactly(&name, &value, |v| boot_option(number, v)))
}

fn global(volumes: &Volumes, name: &str) -> Fact<Vec<u8>> {
    variable(volumes, name, GLOBAL)
}

/// The value of a variable, without its attributes.
fn variable(volumes: &Volumes, name: &str, vendor: &str) -> Fact<Vec<u8>> {
    let bytes = volumes.machine_bytes(&format!("{FOLDER}/{name}-{vendor}"));
    bytes.and_then(|bytes| match bytes.get(4..) {
        Some(value) => Fact::Known(value.to_vec()),
        None => Fact::Unreadable(format!(
            "EFI variable {name}: {} bytes, expected at least 4",
            bytes.len()
        )),
    })
}

fn exactly<T>(name: &str, value: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Fact<T> {
    match read(value) {
        Some(value) => Fact::Known(value),
        None => Fact::Unreadable(format!(
            "EFI variable {name}: {} bytes that are not what the specification says",
            value.len()
        )),
    }
}

fn number(value: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(value.try_into().ok()?))
}

fn numbers(value: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = value.as_chunks();
    let numbers = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    rest.is_empty().then(|| numbers.collect())
}

/// UTF-16 up to the first NUL. Unpaired surrogates are replaced.
fn utf16(value: &[u8]) -> Option<String> {
    let units = numbers(value)?;
    let text: Vec<u16> = units.into_iter().take_while(|unit| *unit != 0).collect();
    Some(String::from_utf16_lossy(&text))
}

/// Texts in UTF-16, each with its NUL.
fn texts(value: &[u8]) -> Option<Vec<String>> {
    let units = numbers(value)?;
    let texts = units.split(|unit| *unit == 0);
    let texts = texts.filter(|text| !text.is_empty());
    Some(texts.map(String::from_utf16_lossy).collect())
}

/// EFI_LOAD_OPTION (UEFI specification, 3.1.3): attributes, the length of the
/// device path, a text ending in NUL, the device path, data for the program.
pub fn boot_option(number: u16, value: &[u8]) -> Option<BootOption> {
    let (attributes, rest) = value.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (units, _) = rest.as_chunks::<2>();
    let end = units.iter().position(|unit| *unit == [0, 0])?;
    let (text, rest) = rest.split_at_checked(end.checked_mul(2)?)?;
    let length = usize::from(u16::from_le_bytes(*length));
    let (path, data) = rest.get(2..)?.split_at_checked(length)?;
    let (partuuid, file) = device_path(path);
    Some(BootOption {
        number,
        active: u32::from_le_bytes(*attributes) & ACTIVE != 0,
        description: utf16(text)?,
        partuuid,
        file,
        arguments: arguments(data),
        has_data: !data.is_empty(),
    })
}

/// UTF-16 without control characters, perhaps with NULs at its end; `None` for
/// other data, which firmware and boot managers leave for themselves.
fn arguments(data: &[u8]) -> Option<String> {
    let units = numbers(data)?;
    let end = units.iter().rposition(|unit| *unit != 0)?;
    let text = String::from_utf16(units.get(..=end)?).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// The partition and the file of a device path (UEFI specification, 10.3.5):
/// nodes of type, subtype and a length that includes these four bytes. A path
/// that is cut off has no file.
fn device_path(mut path: &[u8]) -> (Option<String>, Option<String>) {
    let (mut partuuid, mut file) = (None, None);
    while let Some(([kind, subtype, low, high], _)) = path.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let Some(node) = path.get(..length).and_then(|node| node.get(4..)) else {
            break;
        };
        match (kind, subtype) {
            // Hard drive: number, start, size, signature, table and signature type.
            (4, 1) => partuuid = partition(node),
            (4, 4) => file = utf16(node),
            _ => {}
        }
        path = path.get(length..).unwrap_or_default();
    }
    (partuuid, file)
}

/// The signature: a GUID, or of an MBR its disk's and the partition's number.
fn partition(node: &[u8]) -> Option<String> {
    match node.get(37)? {
        1 => Some(format!(
            "{:08x}-{:02x}",
            fields::u32_at(node, 20)?,
            fields::u32_at(node, 0)?
        )),
        2 => guid_at(node, 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// As efibootmgr writes `HD(1,GPT,c12a7328-...)/\EFI\debian\shimx64.efi`.
    fn example() -> Vec<u8> {
        let mut hard_drive = vec![4, 1, 42, 0];
        hard_drive.extend(1_u32.to_le_bytes());
        hard_drive.extend([0; 16]);
        hard_drive.extend([0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        hard_drive.extend([0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b, 2, 2]);
        let name = units("\\EFI\\debian\\shimx64.efi\0");
        let mut path = hard_drive;
        path.extend([4, 4]);
        path.extend(u16::try_from(name.len() + 4).unwrap().to_le_bytes());
        path.extend(name);
        path.extend([0x7f, 0xff, 4, 0]);
        let mut option = 1_u32.to_le_bytes().to_vec();
        option.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        option.extend(units("debian\0"));
        option.extend(path);
        option
    }

    #[test]
    fn what_follows_the_path_may_be_a_command_line() {
        let with = |data: &[u8]| boot_option(3, &[&example(), data].concat()).unwrap();
        let bare = with(&[]);
        assert_eq!((bare.arguments, bare.has_data), (None, false));
        let line = with(&units("root=/dev/sda2 initrd=\\initrd\0\0"));
        assert_eq!(
            line.arguments.as_deref(),
            Some("root=/dev/sda2 initrd=\\initrd")
        );
        for other in [&[1_u8, 2, 3][..], &[0, 0], &[0, 0xd8], &[b'a', 0, 7, 0]] {
            let option = with(other);
            assert_eq!(
                (option.arguments, option.has_data),
                (None, true),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_boot_option_names_partition_and_file() {
        let option = boot_option(3, &example()).unwrap();
        assert!(option.active);
        assert_eq!(option.description, "debian");
        assert_eq!(option.file.as_deref(), Some("\\EFI\\debian\\shimx64.efi"));
        assert_eq!(
            option.partuuid.as_deref(),
            Some("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
        );
    }

    #[test]
    fn cut_anywhere_it_is_refused_or_has_less() {
        let whole = example();
        for end in 0..whole.len() {
            assert_eq!(boot_option(3, &whole[..end]), None, "{end}");
        }
        // A node whose length is too short would never end.
        assert_eq!(device_path(&[4, 4, 0, 0, 4, 4, 3, 0]), (None, None));
    }

    #[test]
    fn values_of_the_wrong_size_say_so() {
        assert_eq!(number(&[1, 0, 0]), None);
        assert_eq!(numbers(&[1, 0, 2]), None);
        assert_eq!(numbers(&[1, 0, 2, 1]), Some(vec![1, 0x102]));
        assert_eq!(utf16(&units("arch.conf\0x")), Some("arch.conf".to_owned()));
        let all = Some(vec!["arch.conf".to_owned(), "auto-windows".to_owned()]);
        assert_eq!(texts(&units("arch.conf\0auto-windows\0")), all);
        let said = exactly("BootCurrent", &[1], number);
        assert!(said.reason().unwrap().contains("BootCurrent: 1 bytes"));
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_a_panic(value in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = (boot_option(0, &value), device_path(&value), utf16(&value));
        }
    }
}
