//! The commands that load something: what an entry's body is about.

use super::super::devices::Answer;
use super::super::menu::{self, Further, LoadedByEntry, LoadedKernel, NamedFile};
use super::super::text::{Place, Text, Why};
use super::{Call, Evaluator, Field, Flow, Status};

impl Evaluator<'_> {
    /// `linux FILE ARGUMENTS`.
    pub(super) fn linux(&mut self, call: &Call<'_>) -> Flow {
        self.kernel(call, call.args.iter().collect(), None)
    }

    /// `multiboot FILE ARGUMENTS`, and `multiboot2`.
    pub(super) fn multiboot(&mut self, call: &Call<'_>) -> Flow {
        let mut args: Vec<&Field> = call.args.iter().collect();
        while args
            .first()
            .is_some_and(|arg| arg.known().starts_with("--quirk-"))
        {
            args.remove(0);
        }
        let version = if call.name.known() == "multiboot2" {
            2
        } else {
            1
        };
        self.kernel(call, args, Some(version))
    }

    fn kernel(&mut self, call: &Call<'_>, args: Vec<&Field>, multiboot: Option<u8>) -> Flow {
        let Some((file, args)) = args.split_first() else {
            self.state.status = Status::Failed(None);
            return Flow::Next;
        };
        let file = self.named(file, call.place);
        let hexadecimal = args.iter().any(|arg| menu::has_hexadecimal(&arg.text));
        let fedora = match hexadecimal {
            true => self.whose(call.place),
            false => Some(false),
        };
        self.state.status = self.is_there(&file, call.place);
        self.state.loaded = LoadedByEntry::Kernel(Box::new(LoadedKernel {
            place: call.place.clone(),
            multiboot,
            file,
            args: args.iter().map(|arg| arg.text.clone()).collect(),
            further: Vec::new(),
            devicetree: None,
            fedora,
            doubt: call.loose().cloned(),
        }));
        Flow::Next
    }

    /// `initrd FILE ...`.
    pub(super) fn initrd(&mut self, call: &Call<'_>) -> Flow {
        let mut files = Vec::new();
        for arg in &call.args {
            let file = match arg.known().starts_with("newc:") {
                true => {
                    let what = "an initrd that GRUB packs itself (newc:) is not supported";
                    Err(Why::at(call.place, what))
                }
                false => self.named(arg, call.place),
            };
            files.push(Further {
                file,
                args: Vec::new(),
            });
        }
        let there = files.iter().map(|further| &further.file);
        let status = there.fold(Status::Ok, |status, file| match status {
            Status::Ok => self.is_there(file, call.place),
            other => other,
        });
        self.with_kernel(call, status, |kernel| kernel.further = files);
        Flow::Next
    }

    /// `module [--nounzip] FILE ARGUMENTS`.
    pub(super) fn module(&mut self, call: &Call<'_>) -> Flow {
        let mut args = call.args.iter().peekable();
        while args.next_if(|arg| arg.known() == "--nounzip").is_some() {}
        let Some(file) = args.next() else {
            self.state.status = Status::Failed(None);
            return Flow::Next;
        };
        let further = Further {
            file: self.named(file, call.place),
            args: args.map(|arg| arg.text.clone()).collect::<Vec<Text>>(),
        };
        let status = self.is_there(&further.file, call.place);
        self.with_kernel(call, status, |kernel| kernel.further.push(further));
        Flow::Next
    }

    /// `devicetree FILE`: the device tree for the kernel of this entry.
    pub(super) fn devicetree(&mut self, call: &Call<'_>) -> Flow {
        let file = match call.args.first() {
            Some(field) => self.named(field, call.place),
            None => Err(Why::at(call.place, "no device tree is named")),
        };
        let status = self.is_there(&file, call.place);
        self.with_kernel(call, status, |kernel| kernel.devicetree = Some(file));
        Flow::Next
    }

    /// Changes the kernel that is loaded; without one, GRUB fails.
    fn with_kernel(
        &mut self,
        call: &Call<'_>,
        status: Status,
        change: impl FnOnce(&mut LoadedKernel),
    ) {
        self.state.status = match &mut self.state.loaded {
            LoadedByEntry::Kernel(kernel) => {
                change(kernel);
                if let Some(why) = call.loose() {
                    kernel.doubt = Some(why.clone());
                }
                status
            }
            LoadedByEntry::Unknown(why) => Status::Unknown(why.clone()),
            _ => Status::Failed(None),
        };
    }

    /// What loading a file returns, as far as it being there decides it.
    fn is_there(&self, file: &NamedFile, place: &Place) -> Status {
        match file {
            Err(why) => Status::Unknown(why.clone()),
            Ok(file) => match self.devices.node(file) {
                Answer::Is(_) => Status::Ok,
                Answer::No => Status::Failed(None),
                Answer::Unknown(why) => Status::Unknown(Why::at(place, why)),
            },
        }
    }
}
