//! The network of the double.

use super::State;
use crate::{Errno, RouteMessage};

/// `RTM_SETLINK` (`include/uapi/linux/rtnetlink.h`), and `IFF_UP`.
const SET_LINK: u16 = 19;
const IFF_UP: u32 = 1;

impl State {
    pub(super) fn try_set_interface(&mut self, name: &str, up: bool) -> Result<bool, Errno> {
        let admin = self.machine.cap_net_admin;
        let found = self.machine.interfaces.iter_mut();
        let interface = found
            .into_iter()
            .find(|interface| interface.name == name)
            .ok_or(Errno::ENODEV)?;
        let was_up = interface.up;
        if was_up != up {
            if !admin {
                return Err(Errno::EPERM);
            }
            if let Some(errno) = interface.refuses {
                return Err(errno);
            }
            interface.up = up;
            let gone = self.machine.network.iter_mut();
            for kept in gone.filter(|k| !up && k.until.as_deref() == Some(name)) {
                kept.there = false;
            }
        }
        Ok(was_up)
    }

    /// What is there of one kind. `RTM_NEW...` is two below `RTM_GET...`.
    pub(super) fn shown(&self, request: u16, family: u8) -> Vec<RouteMessage> {
        let kind = request.wrapping_sub(2);
        let wanted = self.machine.network.iter().filter(|kept| {
            let first = kept.message.payload.first();
            kept.there && kept.message.kind == kind && (family == 0 || first == Some(&family))
        });
        wanted.map(|kept| kept.message.clone()).collect()
    }

    pub(super) fn try_route_request(&mut self, message: &RouteMessage) -> Result<(), Errno> {
        if message.kind == SET_LINK {
            return self.try_set_link(message);
        }
        let admin = self.machine.cap_net_admin;
        let mut kept = self.machine.network.iter_mut();
        match kept.find(|kept| kept.message == *message) {
            _ if !admin => Err(Errno::EPERM),
            None => Err(Errno::EINVAL),
            Some(kept) => kept
                .refuses
                .map_or(Ok(()), Err)
                .inspect(|()| kept.there = true),
        }
    }

    /// `struct ifinfomsg`: the index at 4, flags at 8, which of them at 12. Indices count
    /// from 1 in the order of the interfaces.
    fn try_set_link(&mut self, message: &RouteMessage) -> Result<(), Errno> {
        let word = |at: usize| {
            let four = message.payload.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_ne_bytes(*four))
        };
        let (index, flags) = (word(4).ok_or(Errno::EINVAL)?, word(8).unwrap_or_default());
        if word(12) != Some(IFF_UP) {
            return Err(Errno::EINVAL);
        }
        let place = usize::try_from(index).ok().and_then(|i| i.checked_sub(1));
        let found = place.and_then(|place| self.machine.interfaces.get(place));
        let name = found.ok_or(Errno::ENODEV)?.name.clone();
        self.try_set_interface(&name, flags & IFF_UP != 0).map(drop)
    }
}
