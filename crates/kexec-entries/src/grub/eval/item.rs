//! `menuentry`, `submenu` and `hiddenentry`: an entry from its words.

use std::rc::Rc;

use super::super::ast::Block;
use super::super::menu::MenuItem;
use super::super::text::Text;
use super::Call;
use super::files::option_value;

/// An entry from the words of its `menuentry`: options may stand before and
/// after the title, up to `--`; the last `--id` counts.
pub(super) fn item(call: &Call<'_>, body: Rc<Block>) -> MenuItem {
    let mut params = Vec::new();
    let mut id = None;
    let mut users = false;
    let mut unrestricted = false;
    let mut options = true;
    let mut args = call.args.iter();
    while let Some(arg) = args.next() {
        match arg.known() {
            _ if !options => params.push(arg.text.clone()),
            "--" => options = false,
            "--id" => id = args.next().map(|arg| arg.text.clone()),
            "--users" => users = args.next().is_some(),
            "--class" | "--hotkey" | "--source" => {
                args.next();
            }
            "--unrestricted" => unrestricted = true,
            _ => {
                let value = |option| option_value(arg, option);
                let shown = ["--class=", "--hotkey=", "--source="];
                if let Some(value) = value("--id=") {
                    id = Some(value);
                } else if value("--users=").is_some() {
                    users = true;
                } else if shown.iter().all(|option| value(option).is_none()) {
                    params.push(arg.text.clone());
                }
            }
        }
    }
    if let Some(why) = call.loose() {
        params = vec![Text::unknown(why.clone())];
        id = Some(Text::unknown(why.clone()));
    }
    let title = params.first().cloned().unwrap_or_default();
    MenuItem {
        place: call.place.clone(),
        id: id.unwrap_or_else(|| title.clone()),
        title,
        params,
        submenu: call.name.known() == "submenu",
        unrestricted: unrestricted && !users,
        body,
        doubt: None,
        unsure_place: None,
        broken: None,
    }
}
