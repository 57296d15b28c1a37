//! `search`, `probe` and `regexp`.

use super::super::devices::{Answer, ProbeFor, SearchBy};
use super::super::regex;
use super::super::text::{Text, Why};
use super::{Call, Evaluator, Field, Flow, Status};

/// What a `search` command looks for, and what it sets.
struct SearchRequest<'a> {
    by: Option<SearchBy>,
    variable: Option<String>,
    value: Option<&'a Field>,
    /// Why the result is not known, if it is not.
    unclear: Option<Why>,
}

impl Evaluator<'_> {
    /// `search [--file|--label|--fs-uuid] [--set[=VAR]] [--hint...] NAME`.
    pub(super) fn search(&mut self, call: &Call<'_>) -> Flow {
        let request = match self.request(call) {
            Ok(request) => request,
            Err(why) => {
                self.lose(why);
                return Flow::Next;
            }
        };
        let found = match (request.unclear, request.by, request.value) {
            (Some(why), ..) => Err(why),
            (None, Some(by), Some(value)) => self.searched(by, value, call),
            _ => Err(Why::at(
                call.place,
                "what is searched for is not understood",
            )),
        };
        self.state.status = match &found {
            Ok(Some(_)) => Status::Ok,
            Ok(None) => Status::Failed(None),
            Err(why) => Status::Unknown(why.clone()),
        };
        let text = match found {
            Ok(found) => found,
            Err(why) => Some(Text::unknown(why)),
        };
        if let (Some(variable), Some(text)) = (request.variable, text) {
            self.state.env.set(&variable, text, Some(call.origin()));
        }
        Flow::Next
    }

    fn searched(&self, by: SearchBy, value: &Field, call: &Call<'_>) -> Result<Option<Text>, Why> {
        match self.devices.search(by, value.characters(call.place)?) {
            Answer::Is(device) => Ok(Some(Text::device(device))),
            Answer::No => Ok(None),
            Answer::Unknown(why) => Err(Why::at(call.place, why)),
        }
    }

    fn request<'a>(&self, call: &'a Call<'_>) -> Result<SearchRequest<'a>, Why> {
        if let Some(why) = call.loose() {
            return Err(why.clone());
        }
        let by = match call.name.known() {
            "search.file" | "search_fs_file" => Some(SearchBy::File),
            "search.fs_label" | "search_label" => Some(SearchBy::Label),
            "search.fs_uuid" | "search_fs_uuid" => Some(SearchBy::FsUuid),
            "search.part_label" => Some(SearchBy::PartLabel),
            "search.part_uuid" => Some(SearchBy::PartUuid),
            "search.disk_uuid" => Some(SearchBy::DiskUuid),
            _ => None,
        };
        let short = by.is_some();
        let mut request = SearchRequest {
            by,
            variable: None,
            value: None,
            unclear: None,
        };
        let mut args = call.args.iter().peekable();
        while let Some(arg) = args.next() {
            match arg.known() {
                // NAME [VAR] [HINTS]
                _ if short && request.value.is_none() => request.value = Some(arg),
                name if short => {
                    request.variable.get_or_insert_with(|| name.to_owned());
                }
                "-f" | "--file" => request.by = Some(SearchBy::File),
                "-l" | "--label" => request.by = Some(SearchBy::Label),
                "-u" | "--fs-uuid" => request.by = Some(SearchBy::FsUuid),
                "-L" | "--part-label" => request.by = Some(SearchBy::PartLabel),
                "-U" | "--part-uuid" => request.by = Some(SearchBy::PartUuid),
                "--disk-uuid" => request.by = Some(SearchBy::DiskUuid),
                "-s" | "--set" => {
                    // The variable may be left out; an option is not its name.
                    let name = args.next_if(|next| {
                        let next = next.known();
                        !next.starts_with('-') && !next.is_empty()
                    });
                    let name = name.map_or("root", Field::known);
                    request.variable = Some(name.to_owned());
                }
                "-h" | "--hint" | "--hint-ieee1275" | "--hint-bios" | "--hint-baremetal"
                | "--hint-efi" | "--hint-arc" => {
                    args.next();
                }
                option if option.starts_with("--set=") => {
                    let name = option.strip_prefix("--set=");
                    request.variable = name.map(str::to_owned);
                }
                option if option.starts_with('-') => {
                    let known = [
                        "-n",
                        "--no-floppy",
                        "--efidisk-only",
                        "--cryptodisk-only",
                        "--root-dev-only",
                    ];
                    if !known.contains(&option) && !option.starts_with("--hint") {
                        let what = format!("the option {option} of search is not supported here");
                        request.unclear = Some(Why::at(call.place, what));
                    }
                }
                _ if super::files::option_value(arg, "--hint").is_some() => {}
                _ if request.value.is_none() => request.value = Some(arg),
                // Further words are hints.
                _ => {}
            }
        }
        // `--set NAME` without a further word: NAME is what is searched for.
        if request.value.is_none()
            && let Some(name) = request.variable.take()
        {
            request.value = call.args.iter().find(|arg| arg.known() == name);
            request.variable = Some("root".to_owned());
        }
        Ok(request)
    }

    /// `probe [--set VAR] --fs-uuid|... DEVICE`.
    pub(super) fn probe(&mut self, call: &Call<'_>) -> Flow {
        let mut variable = None;
        let mut what = None;
        let mut device = None;
        let mut args = call.args.iter();
        while let Some(arg) = args.next() {
            match arg.known() {
                "-s" | "--set" => variable = args.next().map(|arg| arg.known().to_owned()),
                "-d" | "--driver" => what = Some(ProbeFor::Driver),
                "-p" | "--partmap" => what = Some(ProbeFor::PartitionMap),
                "-f" | "--fs" => what = Some(ProbeFor::FileSystem),
                "-u" | "--fs-uuid" => what = Some(ProbeFor::FsUuid),
                "-l" | "--label" => what = Some(ProbeFor::Label),
                "--part-uuid" => what = Some(ProbeFor::PartUuid),
                option if option.starts_with("--set=") => {
                    variable = option.strip_prefix("--set=").map(str::to_owned);
                }
                _ => device = Some(arg),
            }
        }
        let unclear = || Why::at(call.place, "what is probed is not understood");
        let found = match (call.loose(), what, device) {
            (Some(why), _, _) => Err(why.clone()),
            (None, Some(what), Some(device)) => {
                let bare = super::commands::without_parentheses(&device.text);
                self.device(&bare, call.place).and_then(|device| {
                    match self.devices.probe(&device, what) {
                        Answer::Is(value) => Ok(Some(value)),
                        Answer::No => Ok(None),
                        Answer::Unknown(why) => Err(Why::at(call.place, why)),
                    }
                })
            }
            _ => Err(unclear()),
        };
        let text = match found {
            Ok(Some(value)) => {
                self.state.status = Status::Ok;
                Some(Text::known(&value))
            }
            Ok(None) => {
                self.state.status = Status::Failed(None);
                None
            }
            Err(why) => {
                self.state.status = Status::Unknown(why.clone());
                Some(Text::unknown(why))
            }
        };
        if let (Some(variable), Some(text)) = (variable, text) {
            self.state.env.set(&variable, text, Some(call.origin()));
        }
        Flow::Next
    }

    /// `regexp [--set [NUMBER:]VAR] REGEXP STRING`.
    pub(super) fn regexp(&mut self, call: &Call<'_>) -> Flow {
        self.state.wildcards = true;
        let mut sets = Vec::new();
        let mut words = Vec::new();
        let mut args = call.args.iter();
        while let Some(arg) = args.next() {
            match arg.known() {
                "-s" | "--set" => sets.extend(args.next().map(Field::known)),
                option => match option.strip_prefix("--set=") {
                    Some(set) => sets.push(set),
                    None => words.push(arg),
                },
            }
        }
        let found = match (call.loose(), words.as_slice()) {
            (Some(why), _) => Err(why.clone()),
            (None, [pattern, string]) => {
                let known = pattern
                    .characters(call.place)
                    .and_then(|pattern| Ok((pattern, string.characters(call.place)?)));
                known.and_then(|(pattern, string)| {
                    let searched = regex::search(pattern, string);
                    self.pay(searched.fuel, call.place);
                    searched.found.map_err(|why| Why::at(call.place, why))
                })
            }
            _ => Err(Why::at(call.place, "regexp takes a pattern and a string")),
        };
        for set in sets {
            let (number, name) = match set.split_once(':') {
                Some((number, name)) => (number.parse().unwrap_or(usize::MAX), name),
                None => (1, set),
            };
            let text = match &found {
                Err(why) => Text::unknown(why.clone()),
                Ok(None) => continue,
                Ok(Some(groups)) => {
                    let group = groups.get(number).cloned().flatten();
                    Text::known(&group.unwrap_or_default())
                }
            };
            self.state.env.set(name, text, Some(call.origin()));
        }
        self.state.status = match found {
            Ok(Some(_)) => Status::Ok,
            Ok(None) => Status::Failed(Some(1)),
            Err(why) => Status::Unknown(why),
        };
        Flow::Next
    }
}
