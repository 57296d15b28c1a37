//! `screen_info`: whether, and what, the next kernel is told of the screen.
//!
//! The firmware's linear framebuffer exists as long as nobody reprograms the
//! graphics card. While simpledrm, efifb or vesafb draws into it the next
//! kernel can too, from its first line on; once a driver of the card itself
//! has taken over, the old address may be anything.

use super::layout::{EDID_LEN, at, screen};
use crate::classic::Display;
use crate::le::{array, put, u8_at, u16_at, u32_at};

/// What is handed on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Video {
    pub screen_info: [u8; screen::LEN],
    pub edid: [u8; EDID_LEN],
    pub note: String,
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
    let none = |note: &str| Video {
        screen_info: [0; screen::LEN],
        edid: [0; EDID_LEN],
        note: note.to_owned(),
    };
    let Some(running) = running else {
        return none("no screen: the running kernel's boot_params are not known");
    };
    let info: [u8; screen::LEN] = array(running, at::SCREEN_INFO).unwrap_or([0; screen::LEN]);
    let kind = u8_at(&info, screen::IS_VGA).unwrap_or(0);
    let note = match (display, framebuffer(&info)) {
        _ if reuse => {
            format!("screen: type {kind:#x} as the first kernel found it (--reuse-video-type)")
        }
        (Display::Firmware(driver), Some(fb)) => format!(
            "screen: the firmware's framebuffer {}x{} at {:#x}, which {driver} drives",
            fb.width, fb.height, fb.base
        ),
        (Display::Firmware(driver), None) => {
            return none(&format!(
                "no screen: {driver} drives one that boot_params do not describe"
            ));
        }
        (Display::Text, None) if (1..=screen::LAST_TEXT).contains(&kind) => {
            "screen: VGA text".to_owned()
        }
        (Display::Text, _) => return none("no screen: none is in use"),
        (Display::Native(driver), _) => {
            return none(&format!(
                "no screen until the next kernel's own driver: {driver} drives the card, and the firmware's framebuffer may be gone"
            ));
        }
        (Display::Unknown, _) => return none("no screen: who drives it is not known"),
    };
    let mut info = info;
    // These belong to the memory map and to a command line of old.
    put(&mut info, screen::EXT_MEM_K, &[0; 2]);
    put(&mut info, screen::CL_MAGIC, &[0; 4]);
    Video {
        screen_info: info,
        edid: array(running, at::EDID_INFO).unwrap_or([0; EDID_LEN]),
        note,
    }
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

    fn running(info: &[u8]) -> Vec<u8> {
        let mut params = vec![0; 4096];
        put(&mut params, 0, info);
        put(&mut params, at::EDID_INFO, &[5; EDID_LEN]);
        params
    }

    #[test]
    fn only_a_screen_that_is_still_the_firmwares() {
        let params = running(&efi_screen());
        let firmware = Display::Firmware("simpledrm".into());
        let shown = video(Some(&params), &firmware, false);
        assert_eq!(shown.screen_info[screen::IS_VGA], screen::TYPE_EFI);
        assert_eq!(u16_at(&shown.screen_info, screen::CL_MAGIC), Some(0));
        assert_eq!(u16_at(&shown.screen_info, screen::EXT_MEM_K), Some(0));
        assert_eq!(shown.edid, [5; EDID_LEN]);
        assert!(
            shown.note.contains("1024x768 at 0x880000000"),
            "{}",
            shown.note
        );
        for display in [
            Display::Native("i915".into()),
            Display::Unknown,
            Display::Text,
        ] {
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
        info[screen::IS_VGA] = 1;
        let shown = video(Some(&running(&info)), &Display::Text, false);
        assert_eq!(shown.screen_info[screen::IS_VGA], 1);
        let firmware = Display::Firmware("vesafb".into());
        let shown = video(Some(&running(&info)), &firmware, false);
        assert_eq!(shown.screen_info, [0; screen::LEN]);
    }
}
