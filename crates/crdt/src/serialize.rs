//! Serde: names and clocks in a natural form, values as their canonical bytes.
//!
//! A format for people (JSON, TOML) gets text and maps: a [`ReplicaId`] as its hexadecimal digits, a [`Kind`] by its name,
//! an [`Hlc`] in its parts, and a value's bytes as hexadecimal digits. Any other format gets integers and bytes. All is
//! checked on the way in, values by their decoder. Of what is natural, a [`Dot`] is a struct and a [`VersionVector`] a map.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::causal::Causal;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::counter::{GCounter, PnCounter};
use crate::delta::{Delta, Entry};
use crate::dot::Dot;
use crate::dot_store::{DecodeStore, DotStore};
use crate::flag::{DwFlag, EwFlag};
use crate::hlc::Hlc;
use crate::kind::Kind;
use crate::register::{LwwRegister, MvRegister};
use crate::replica_id::{Actor, ReplicaId};
use crate::set::{GSet, OrSet};
use crate::version_vector::VersionVector;

#[cfg(test)]
mod tests;

/// As 16 hexadecimal digits, or as an integer.
impl Serialize for ReplicaId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.as_u64())
        }
    }
}

impl<'de> Deserialize<'de> for ReplicaId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text("a replica id of 16 lowercase hexadecimal digits", |text| {
                text.parse().ok()
            }))
        } else {
            u64::deserialize(deserializer).map(Self::from_u64)
        }
    }
}

/// By name, or as its code.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u8(self.code())
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text("the name of a kind", |text| text.parse().ok()))
        } else {
            let code = u8::deserialize(deserializer)?;
            Self::from_code(code).ok_or_else(|| de::Error::custom(DecodeError::UnsupportedKind { code }))
        }
    }
}

/// As `{wall_millis, logical}`, or as an integer.
impl Serialize for Hlc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_u64(self.as_u64());
        }
        let mut parts = serializer.serialize_struct("Hlc", 2)?;
        parts.serialize_field("wall_millis", &self.wall_millis())?;
        parts.serialize_field("logical", &self.logical())?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self::from_u64);
        }
        let fields = Fields::<u64, u16>::new(["wall_millis", "logical"]);
        let (wall_millis, logical) =
            deserializer.deserialize_struct("Hlc", &["wall_millis", "logical"], fields)?;
        let stamp = Self::from_parts(wall_millis, logical);
        if stamp.wall_millis() != wall_millis {
            return Err(de::Error::custom("the milliseconds of a stamp are beyond 48 bits"));
        }
        Ok(stamp)
    }
}

/// As `{actor, seq}`.
impl<A: Serialize> Serialize for Dot<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut dot = serializer.serialize_struct("Dot", 2)?;
        dot.serialize_field("actor", &self.actor)?;
        dot.serialize_field("seq", &self.seq)?;
        dot.end()
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Dot<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::<A, u64>::new(["actor", "seq"]);
        match deserializer.deserialize_struct("Dot", &["actor", "seq"], fields)? {
            (_, 0) => Err(de::Error::custom(DecodeError::ZeroSeq)),
            (actor, seq) => Ok(Self { actor, seq }),
        }
    }
}

/// As a map from actor to seq.
impl<A: Actor + Serialize> Serialize for VersionVector<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// In any order of the actors, since not every format keeps the order of a map.
impl<'de, A: Actor + Deserialize<'de>> Deserialize<'de> for VersionVector<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Seqs(PhantomData))
    }
}

struct Seqs<A>(PhantomData<A>);

impl<'de, A: Actor + Deserialize<'de>> Visitor<'de> for Seqs<A> {
    type Value = VersionVector<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from actors to their seqs")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<VersionVector<A>, M::Error> {
        let mut vector = VersionVector::new();
        while let Some((actor, seq)) = map.next_entry()? {
            if seq == 0 {
                return Err(de::Error::custom(DecodeError::ZeroSeq));
            }
            if vector.get(actor) > 0 {
                return Err(de::Error::custom(format_args!("{actor:?} is named twice")));
            }
            vector.raise(actor, seq);
        }
        Ok(vector)
    }
}

/// Two named fields, or two in a row.
struct Fields<T, U> {
    names: [&'static str; 2],
    types: PhantomData<(T, U)>,
}

impl<T, U> Fields<T, U> {
    fn new(names: [&'static str; 2]) -> Self {
        Self { names, types: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, U: Deserialize<'de>> Visitor<'de> for Fields<T, U> {
    type Value = (T, U);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fields {} and {}", self.names[0], self.names[1])
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, mut seq: S) -> Result<(T, U), S::Error> {
        let first = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let second = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        Ok((first, second))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(T, U), M::Error> {
        let [first_name, second_name] = self.names;
        let (mut first, mut second) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            if name == first_name && first.is_none() {
                first = Some(map.next_value()?);
            } else if name == second_name && second.is_none() {
                second = Some(map.next_value()?);
            } else {
                return Err(de::Error::custom(format_args!("the field {name} is unknown or there twice")));
            }
        }
        let first = first.ok_or_else(|| de::Error::missing_field(first_name))?;
        let second = second.ok_or_else(|| de::Error::missing_field(second_name))?;
        Ok((first, second))
    }
}

/// A text with a meaning: what is expected, and how it is parsed.
struct Text<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// Serializes values of these types as their canonical bytes.
macro_rules! as_bytes {
    ($([$($generics:tt)*] $type:ty, [$($encode:tt)*], [$($decode:tt)*];)*) => {
        $(
            /// As its canonical bytes.
            impl<$($generics)*> Serialize for $type where $($encode)* {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut bytes = Vec::new();
                    self.encode(&mut bytes);
                    serialize_bytes(&bytes, serializer)
                }
            }

            impl<'de, $($generics)*> Deserialize<'de> for $type where $($decode)* {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserialize_bytes(deserializer, |bytes| {
                        let mut input = Reader::new(bytes);
                        let value = Self::decode(&mut input)?;
                        input.finish()?;
                        Ok(value)
                    })
                }
            }
        )*
    };
}

as_bytes! {
    [A: Actor] GCounter<A>, [A: Encode], [A: for<'b> Decode<'b>];
    [A: Actor] PnCounter<A>, [A: Encode], [A: for<'b> Decode<'b>];
    [A: Actor, V: Clone] LwwRegister<A, V>, [A: Encode, V: Encode], [A: for<'b> Decode<'b>, V: for<'b> Decode<'b>];
    [A: Actor, V: Clone + Encode] MvRegister<A, V>, [A: Encode], [A: for<'b> Decode<'b>, V: for<'b> Decode<'b>];
    [E: Ord + Clone, A: Actor] GSet<E, A>, [A: Encode, E: Encode], [A: for<'b> Decode<'b>, E: for<'b> Decode<'b>];
    [E: Ord + Clone, A: Actor] OrSet<E, A>, [A: Encode, E: Encode], [A: for<'b> Decode<'b>, E: for<'b> Decode<'b>];
    [A: Actor] EwFlag<A>, [A: Encode], [A: for<'b> Decode<'b>];
    [A: Actor] DwFlag<A>, [A: Encode], [A: for<'b> Decode<'b>];
    [S0, A: Actor] Causal<S0, A>, [S0: DotStore<A>, A: Encode], [S0: for<'b> DecodeStore<'b, A>, A: for<'b> Decode<'b>];
}

/// As its canonical bytes.
impl<A: Actor + Encode> Serialize for Delta<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.encode(), serializer)
    }
}

impl<'de, A: Actor + for<'b> Decode<'b>> Deserialize<'de> for Delta<'_, A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_bytes(deserializer, |bytes| Delta::decode(bytes).map(Delta::into_owned))
    }
}

/// As its canonical bytes.
impl<A: Actor + Encode> Serialize for Entry<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.encode(), serializer)
    }
}

impl<'de, A: Actor + for<'b> Decode<'b>> Deserialize<'de> for Entry<'_, A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_bytes(deserializer, |bytes| Entry::decode(bytes).map(Entry::into_owned))
    }
}

fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&Hex(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

fn deserialize_bytes<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Bytes(decode))
    } else {
        deserializer.deserialize_bytes(Bytes(decode))
    }
}

/// Bytes, shown as two lowercase hexadecimal digits each.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Bytes or their hexadecimal digits, with a decoder.
struct Bytes<F>(F);

impl<T, F: Fn(&[u8]) -> Result<T, DecodeError>> Visitor<'_> for Bytes<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the canonical bytes of a value, in lowercase hexadecimal digits where they are text")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        (self.0)(bytes).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let pairs = text.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        });
        let bytes = bytes.collect::<Option<Vec<u8>>>();
        self.visit_bytes(
            &bytes.ok_or_else(|| E::custom("bytes as text are pairs of lowercase hexadecimal digits"))?,
        )
    }
}
