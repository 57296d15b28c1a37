//! JSON schemas of the types that are serialised as texts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::memory::MemoryKind;
use crate::{Cmdline, Token};

macro_rules! texts {
    ($($type:ident: $about:literal,)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $about })
            }
        }
    )*};
}

texts! {
    Cmdline: "A kernel command line; bytes that are not UTF-8 are written as \\xNN.",
    MemoryKind: "The type of a range of memory.",
    Token: "Names one attempt: 16 hexadecimal digits.",
}
