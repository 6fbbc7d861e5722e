//! The tables of frames: one row gives a frame its variant, type byte, name and bytes, both ways.

use super::reader::Reader;
use super::writer::Writer;
use super::{DeliveryId, Error, Fingerprint, MessageId, Predecessor, Verifier};
use crate::limits::NAME_MAX;
use crate::names::UserName;

/// Declares the frames of one direction.
///
/// A row is `Name = type byte`, and the frame's fields in their order on the wire. `field: Type` is written as every value of
/// that type is ([`Plain`]); `field: Type as Coding(limit)` as that [`Coding`] says.
macro_rules! frames {
    (
        $(#[$frames_doc:meta])*
        pub enum $Frames:ident {
            $(
                $(#[$doc:meta])*
                $Name:ident = $kind:literal
                    $(($whole:ident: $Whole:ty))?
                    $({ $($(#[$field_doc:meta])* $field:ident: $Type:ty $(as $coding:expr)?,)+ })?;
            )+
        }
    ) => {
        $(#[$frames_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $Frames {
            $($(#[$doc])* $Name $(($Whole))? $({ $($(#[$field_doc])* $field: $Type,)+ })?,)+
        }

        impl $Frames {
            /// The frames' names in `docs/PROTOCOL.md`, in the order of their type bytes.
            pub const NAMES: &[&str] = &[$(stringify!($Name)),+];

            /// Strict: unknown types, trailing bytes and lengths over their limit are errors.
            pub fn decode(kind: u8, body: &[u8]) -> Result<Self, Error> {
                let mut reader = Reader::new(body);
                // `0` is the field of a tuple, and a unit has none.
                let frame = match kind {
                    $($kind => Self::$Name {
                        $(0: Plain.read(&mut reader, stringify!($whole))?,)?
                        $($($field: coding!($($coding)?).read(&mut reader, stringify!($field))?,)+)?
                    },)+
                    unknown => return Err(Error::BadValue { field: "frame type", value: unknown.into() }),
                };
                reader.end(frame.field())?;
                Ok(frame)
            }

            /// The whole frame as bytes, length prefix included.
            pub fn encode(&self) -> Vec<u8> {
                let mut frame = Vec::with_capacity(SHORT);
                self.append_to(&mut frame);
                frame
            }

            /// Adds the whole frame to others.
            pub fn append_to(&self, frames: &mut Vec<u8>) {
                match self {
                    $(Self::$Name { $(0: $whole,)? $($($field,)+)? } => frame::append(frames, $kind, |_writer| {
                        $(Plain.write(_writer, $whole);)?
                        $($(coding!($($coding)?).write(_writer, $field);)+)?
                    }),)+
                }
            }

            /// The frame's name in `docs/PROTOCOL.md`.
            pub fn field(&self) -> &'static str {
                match self {
                    $(Self::$Name { .. } => stringify!($Name),)+
                }
            }
        }
    };
}

/// The coding of a field in [`frames`].
macro_rules! coding {
    () => {
        Plain
    };
    ($coding:expr) => {
        $coding
    };
}

/// Declares an enum that is one byte on the wire, and its name in errors.
macro_rules! choices {
    ($(#[$enum_doc:meta])* pub enum $Choice:ident: $field:literal { $($(#[$doc:meta])* $Name:ident = $byte:literal,)+ }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $Choice {
            $($(#[$doc])* $Name = $byte,)+
        }

        impl Coding<$Choice> for Plain {
            fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<$Choice, Error> {
                match reader.u8($field)? {
                    $($byte => Ok($Choice::$Name),)+
                    value => Err(Error::BadValue { field: $field, value: value.into() }),
                }
            }

            fn write(&self, writer: &mut Writer, choice: &$Choice) {
                writer.u8(*choice as u8);
            }
        }
    };
}

pub(super) use {choices, coding, frames};

/// Room for most frames; others grow.
pub(super) const SHORT: usize = 40;

/// How a field looks on the wire.
pub(super) trait Coding<T> {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<T, Error>;
    fn write(&self, writer: &mut Writer, value: &T);
}

/// The coding that a type has everywhere.
pub(super) struct Plain;

/// Bytes behind a 16-bit length, at most so many.
pub(super) struct Bytes16(pub(super) usize);

/// UTF-8 behind an 8-bit length, at most so many bytes.
pub(super) struct Text8(pub(super) usize);

/// UTF-8 behind a 16-bit length, at most so many bytes.
pub(super) struct Text16(pub(super) usize);

/// Everything up to the frame's end.
pub(super) struct Rest;

impl Coding<bool> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<bool, Error> {
        reader.flag(field)
    }

    fn write(&self, writer: &mut Writer, value: &bool) {
        writer.flag(*value);
    }
}

impl Coding<u32> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<u32, Error> {
        reader.u32(field)
    }

    fn write(&self, writer: &mut Writer, value: &u32) {
        writer.u32(*value);
    }
}

impl Coding<u64> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<u64, Error> {
        reader.u64(field)
    }

    fn write(&self, writer: &mut Writer, value: &u64) {
        writer.u64(*value);
    }
}

impl Coding<UserName> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<UserName, Error> {
        reader.name(field)
    }

    fn write(&self, writer: &mut Writer, value: &UserName) {
        writer.bytes8(value.as_str().as_bytes());
    }
}

impl Coding<MessageId> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<MessageId, Error> {
        reader.array(field).map(MessageId)
    }

    fn write(&self, writer: &mut Writer, value: &MessageId) {
        writer.bytes(&value.0);
    }
}

impl Coding<DeliveryId> for Plain {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<DeliveryId, Error> {
        DeliveryId::read(reader)
    }

    fn write(&self, writer: &mut Writer, value: &DeliveryId) {
        value.write(writer);
    }
}

impl Coding<Verifier> for Plain {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<Verifier, Error> {
        Verifier::read(reader)
    }

    fn write(&self, writer: &mut Writer, value: &Verifier) {
        value.write(writer);
    }
}

/// The empty name stands for none.
impl Coding<Option<UserName>> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<Option<UserName>, Error> {
        match reader.str8(field, NAME_MAX)? {
            "" => Ok(None),
            name => name.parse().map(Some).map_err(|why| Error::Name { field, why }),
        }
    }

    fn write(&self, writer: &mut Writer, name: &Option<UserName>) {
        writer.bytes8(name.as_ref().map_or("", UserName::as_str).as_bytes());
    }
}

/// A flag, and behind it the fingerprint if there is one.
impl Coding<Option<Fingerprint>> for Plain {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<Option<Fingerprint>, Error> {
        match reader.flag("has fingerprint")? {
            true => reader.array(field).map(|bytes| Some(Fingerprint(bytes))),
            false => Ok(None),
        }
    }

    fn write(&self, writer: &mut Writer, fingerprint: &Option<Fingerprint>) {
        writer.flag(fingerprint.is_some());
        writer.bytes(fingerprint.as_ref().map_or(&[], |fingerprint| &fingerprint.0));
    }
}

impl Coding<Vec<Predecessor>> for Plain {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<Vec<Predecessor>, Error> {
        Predecessor::read_lineage(reader)
    }

    fn write(&self, writer: &mut Writer, lineage: &Vec<Predecessor>) {
        Predecessor::write_lineage(lineage, writer);
    }
}

impl Coding<Vec<u8>> for Bytes16 {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<u8>, Error> {
        reader.bytes16(field, self.0).map(<[u8]>::to_vec)
    }

    fn write(&self, writer: &mut Writer, bytes: &Vec<u8>) {
        writer.bytes16(bytes);
    }
}

impl Coding<Vec<u8>> for Rest {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<Vec<u8>, Error> {
        Ok(reader.rest().to_vec())
    }

    fn write(&self, writer: &mut Writer, bytes: &Vec<u8>) {
        writer.bytes(bytes);
    }
}

impl Coding<String> for Text8 {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<String, Error> {
        reader.str8(field, self.0).map(str::to_owned)
    }

    fn write(&self, writer: &mut Writer, text: &String) {
        writer.bytes8(text.as_bytes());
    }
}

impl Coding<String> for Text16 {
    fn read(&self, reader: &mut Reader<'_>, field: &'static str) -> Result<String, Error> {
        reader.str16(field, self.0).map(str::to_owned)
    }

    fn write(&self, writer: &mut Writer, text: &String) {
        writer.bytes16(text.as_bytes());
    }
}
