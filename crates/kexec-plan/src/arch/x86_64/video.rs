//! `screen_info`: whether, and what, the next kernel is told of the screen.
//!
//! The firmware's linear framebuffer exists as long as nobody reprograms the
//! graphics card. While simpledrm, efifb or vesafb draws into it the next
//! kernel can too, from its first line on; once a driver of the card itself
//! has taken over, the old address may be anything.

use super::layout::{EDID_HEADER, EDID_LEN, at, screen};
use crate::classic::{Display, Screen};
use kexec_image::fields::{array, put, u8_at, u16_at, u32_at};

/// What is handed on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Video {
    pub screen_info: [u8; screen::LEN],
    pub edid: [u8; EDID_LEN],
    pub outcome: Screen,
}

/// A linear framebuffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framebuffer {
    pub base: u64,
    pub pitch: u16,
    pub width: u16,
    pub height: u16,
    pub depth: u16,
    /// Size and position of red, green, blue.
    pub masks: [u8; 6],
}

/// What of the running kernel's `boot_params` is handed on.
pub(super) fn video(running: Option<&[u8]>, display: &Display, reuse: bool) -> Video {
    let running = running.unwrap_or_default();
    let mut info: [u8; screen::LEN] = array(running, at::SCREEN_INFO).unwrap_or([0; screen::LEN]);
    let outcome = if running.is_empty() {
        Screen::Unknown("the running kernel's boot_params are unknown".to_owned())
    } else {
        outcome(&info, display, reuse)
    };
    let mut edid = edid(running);
    if !matches!(outcome, Screen::HandedOn(_)) {
        info.fill(0);
        edid.fill(0);
    }
    // These belong to the memory map and to a command line of old.
    put(&mut info, screen::EXT_MEM_K, &[0; 2]);
    put(&mut info, screen::CL_MAGIC, &[0; 4]);
    Video {
        screen_info: info,
        edid,
        outcome,
    }
}

/// Whether the screen is handed on, and why.
fn outcome(info: &[u8], display: &Display, reuse: bool) -> Screen {
    let kind = u8_at(info, screen::IS_VGA).unwrap_or(0);
    let handed_on = |fb: Framebuffer, who: &str| {
        Screen::HandedOn(format!(
            "the firmware's framebuffer {}x{} at {:#x}, which {who}",
            fb.width, fb.height, fb.base
        ))
    };
    match (display, framebuffer(info)) {
        _ if reuse => Screen::HandedOn(format!(
            "type {kind:#x} as the first kernel found it (--reuse-video-type)"
        )),
        (Display::Firmware(driver), Some(fb)) => handed_on(fb, &format!("{driver} drives")),
        (Display::Firmware(driver), None) => Screen::Withheld(format!(
            "{driver} drives a framebuffer that boot_params do not describe"
        )),
        // Nobody has reprogrammed the card: it is as the firmware left it.
        (Display::Text, Some(fb)) => handed_on(fb, "no driver uses now"),
        (Display::Text, None) if is_text(info) => {
            Screen::HandedOn("text, as the first kernel found it".to_owned())
        }
        (Display::Text, None) => Screen::NoneThere,
        (Display::Native(driver), _) => Screen::Withheld(format!(
            "{driver} drives the card, and the firmware's framebuffer may be gone"
        )),
        (Display::Unknown, _) => Screen::Unknown("its driver is unknown".to_owned()),
    }
}

/// What the monitor said of itself. Where it said nothing the field holds the
/// filling of the first kernel's setup code.
fn edid(running: &[u8]) -> [u8; EDID_LEN] {
    let edid: Option<[u8; EDID_LEN]> = array(running, at::EDID_INFO);
    let real = edid.filter(|edid| edid.starts_with(EDID_HEADER));
    real.unwrap_or([0; EDID_LEN])
}

/// Whether `screen_info` describes a text screen. Its type is 0 too where the
/// BIOS told the first kernel of a screen of unknown kind.
fn is_text(info: &[u8]) -> bool {
    let size = [screen::COLUMNS, screen::LINES].map(|at| u8_at(info, at));
    let kind = u8_at(info, screen::IS_VGA);
    kind.is_some_and(|k| k <= screen::LAST_TEXT) && size.iter().all(|n| *n > Some(0))
}

/// The linear framebuffer that `screen_info` describes.
pub(super) fn framebuffer(info: &[u8]) -> Option<Framebuffer> {
    let kind = u8_at(info, screen::IS_VGA)?;
    if kind != screen::TYPE_VESA && kind != screen::TYPE_EFI {
        return None;
    }
    let mut base = u64::from(u32_at(info, screen::LFB_BASE)?);
    if u32_at(info, screen::CAPABILITIES)? & screen::WIDE_BASE != 0 {
        base |= u64::from(u32_at(info, screen::EXT_LFB_BASE)?) << 32;
    }
    let fb = Framebuffer {
        base,
        pitch: u16_at(info, screen::LFB_LINELENGTH)?,
        width: u16_at(info, screen::LFB_WIDTH)?,
        height: u16_at(info, screen::LFB_HEIGHT)?,
        depth: u16_at(info, screen::LFB_DEPTH)?,
        masks: array(info, screen::RED_SIZE)?,
    };
    (base != 0 && fb.width != 0 && fb.height != 0).then_some(fb)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 1024x768x32 at 0x8_8000_0000.
    pub(in super::super) fn efi_screen() -> [u8; screen::LEN] {
        let mut info = [0; screen::LEN];
        info[screen::IS_VGA] = screen::TYPE_EFI;
        put(&mut info, screen::LFB_WIDTH, &1024_u16.to_le_bytes());
        put(&mut info, screen::LFB_HEIGHT, &768_u16.to_le_bytes());
        put(&mut info, screen::LFB_DEPTH, &32_u16.to_le_bytes());
        put(&mut info, screen::LFB_LINELENGTH, &4096_u16.to_le_bytes());
        put(&mut info, screen::LFB_BASE, &0x8000_0000_u32.to_le_bytes());
        put(
            &mut info,
            screen::CAPABILITIES,
            &screen::WIDE_BASE.to_le_bytes(),
        );
        put(&mut info, screen::EXT_LFB_BASE, &8_u32.to_le_bytes());
        put(&mut info, screen::RED_SIZE, &[8, 16, 8, 8, 8, 0]);
        put(&mut info, screen::CL_MAGIC, &0xa33f_u16.to_le_bytes());
        put(&mut info, screen::EXT_MEM_K, &0xfc00_u16.to_le_bytes());
        info
    }

    fn edid_of_a_monitor() -> [u8; EDID_LEN] {
        let mut edid = [5; EDID_LEN];
        put(&mut edid, 0, EDID_HEADER);
        edid
    }

    fn running(info: &[u8]) -> Vec<u8> {
        let mut params = vec![0; 4096];
        put(&mut params, 0, info);
        put(&mut params, at::EDID_INFO, &edid_of_a_monitor());
        params
    }

    fn note(video: &Video) -> String {
        video.outcome.to_string()
    }

    #[test]
    fn only_a_screen_that_is_still_the_firmwares() {
        let params = running(&efi_screen());
        let firmware = Display::Firmware("simpledrm".into());
        let shown = video(Some(&params), &firmware, false);
        assert_eq!(shown.screen_info[screen::IS_VGA], screen::TYPE_EFI);
        assert_eq!(u16_at(&shown.screen_info, screen::CL_MAGIC), Some(0));
        assert_eq!(u16_at(&shown.screen_info, screen::EXT_MEM_K), Some(0));
        assert_eq!(shown.edid, edid_of_a_monitor());
        let mut filled = params.clone();
        put(&mut filled, at::EDID_INFO, &[0x13; EDID_LEN]);
        let shown_without = video(Some(&filled), &firmware, false);
        assert_eq!(shown_without.edid, [0; EDID_LEN]);
        assert!(
            note(&shown).contains("1024x768 at 0x880000000"),
            "{shown:?}"
        );
        // As with kexec_file_load: without a driver of its own the card is as
        // the firmware left it.
        let unused = video(Some(&params), &Display::Text, false);
        assert_eq!(unused.screen_info, shown.screen_info);
        assert!(note(&unused).contains("no driver uses"), "{unused:?}");
        for display in [Display::Native("i915".into()), Display::Unknown] {
            let shown = video(Some(&params), &display, false);
            assert_eq!(shown.screen_info, [0; screen::LEN], "{display:?}");
            let reused = video(Some(&params), &display, true);
            assert_eq!(reused.screen_info[screen::IS_VGA], screen::TYPE_EFI);
        }
        assert_eq!(video(None, &firmware, true).screen_info, [0; screen::LEN]);
    }

    #[test]
    fn text_and_what_describes_nothing() {
        let mut info = [0; screen::LEN];
        for kind in [0, 1, screen::LAST_TEXT] {
            info[screen::IS_VGA] = kind;
            info[screen::COLUMNS] = 80;
            info[screen::LINES] = 25;
            let shown = video(Some(&running(&info)), &Display::Text, false);
            assert_eq!(shown.screen_info, info, "{kind:#x}");
            assert!(note(&shown).starts_with("screen: text"), "{shown:?}");
            let native = Display::Native("i915".into());
            let shown = video(Some(&running(&info)), &native, false);
            assert_eq!(shown.screen_info, [0; screen::LEN], "{kind:#x}");
            info[screen::LINES] = 0;
            let shown = video(Some(&running(&info)), &Display::Text, false);
            assert_eq!(shown.screen_info, [0; screen::LEN], "{kind:#x}");
        }
        let firmware = Display::Firmware("vesafb".into());
        let shown = video(Some(&running(&info)), &firmware, false);
        assert_eq!(shown.screen_info, [0; screen::LEN]);
    }
}
