//! A deserializer with limits, so that a message of a few bytes can neither exhaust the stack nor block the event loop.
//!
//! Wraps what serde passes around (deserializer, visitor, seed, accesses) and counts on the way. The format bounds
//! everything else: there cannot be more parts that take a byte each than the message has bytes.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// How deeply a value may be nested.
const DEPTH: u32 = 128;

/// How many elements of sequences and maps that take no bytes, such as units, a message may have.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// What is left of the limits of one message.
pub(crate) struct Limits {
    depth: Cell<u32>,
    elements: Cell<usize>,
}

impl Limits {
    /// The limits for a message of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { depth: Cell::new(DEPTH), elements: Cell::new(bytes.saturating_add(EMPTY_ELEMENTS)) }
    }

    fn deeper<R, E: Error>(&self, work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let left = self.depth.get().checked_sub(1);
        self.depth.set(left.ok_or_else(|| E::custom("the value is nested too deep"))?);
        let result = work();
        self.depth.set(self.depth.get() + 1);
        result
    }
}

/// An object of serde, with the limits that apply to it.
pub(crate) struct Bounded<'l, T> {
    inner: T,
    limits: &'l Limits,
    /// Whether elements are counted. Those of sequences and maps are; a struct has few fields, so its fields are not.
    is_counted: bool,
}

impl<'l, T> Bounded<'l, T> {
    pub(crate) fn new(inner: T, limits: &'l Limits) -> Self {
        Self { inner, limits, is_counted: false }
    }

    /// Wraps another object with the same limits.
    fn wrap<U>(&self, inner: U) -> Bounded<'l, U> {
        Bounded { inner, limits: self.limits, is_counted: self.is_counted }
    }

    /// Counts one element.
    fn element<E: Error>(&self) -> Result<(), E> {
        let left = self.limits.elements.get().checked_sub(self.is_counted.into());
        let left = left.ok_or_else(|| E::custom("more elements than the message can have"))?;
        self.limits.elements.set(left);
        Ok(())
    }
}

macro_rules! deserialize {
    ($($method:ident($($argument:ident: $type:ty),*) $counted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = Bounded { inner: visitor, limits: self.limits, is_counted: $counted };
            self.inner.$method($($argument,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any() true deserialize_bool() false deserialize_char() false
        deserialize_i8() false deserialize_i16() false deserialize_i32() false deserialize_i64() false
        deserialize_i128() false deserialize_u8() false deserialize_u16() false deserialize_u32() false
        deserialize_u64() false deserialize_u128() false deserialize_f32() false deserialize_f64() false
        deserialize_str() false deserialize_string() false deserialize_bytes() false
        deserialize_byte_buf() false deserialize_option() false deserialize_unit() false
        deserialize_seq() true deserialize_map() true deserialize_identifier() false
        deserialize_ignored_any() true
        deserialize_unit_struct(name: &'static str) false
        deserialize_newtype_struct(name: &'static str) false
        deserialize_tuple(len: usize) false
        deserialize_tuple_struct(name: &'static str, len: usize) false
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) false
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) false
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($($value:ident: $type:ty)?))*) => {$(
        fn $method<E: Error>(self $(, $value: $type)?) -> Result<V::Value, E> {
            self.inner.$method($($value)?)
        }
    )*};
}

macro_rules! visit_inside {
    ($($method:ident($access:ident))*) => {$(
        fn $method<A: $access<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
            let wrapped = self.wrap(inner);
            self.limits.deeper(|| self.inner.$method(wrapped))
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    visit! {
        visit_bool(v: bool) visit_char(v: char) visit_i8(v: i8) visit_i16(v: i16) visit_i32(v: i32) visit_i64(v: i64)
        visit_i128(v: i128) visit_u8(v: u8) visit_u16(v: u16) visit_u32(v: u32) visit_u64(v: u64) visit_u128(v: u128)
        visit_f32(v: f32) visit_f64(v: f64) visit_str(v: &str) visit_borrowed_str(v: &'de str) visit_string(v: String)
        visit_bytes(v: &[u8]) visit_borrowed_bytes(v: &'de [u8]) visit_byte_buf(v: Vec<u8>)
        visit_none() visit_unit()
    }

    visit_inside! {
        visit_some(Deserializer) visit_newtype_struct(Deserializer) visit_seq(SeqAccess)
        visit_map(MapAccess) visit_enum(EnumAccess)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let wrapped = self.wrap(inner);
        self.inner.deserialize(wrapped)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.element()?;
        let seed = self.wrap(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.element()?;
        let seed = self.wrap(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'l, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'l, A> {
    type Error = A::Error;
    type Variant = Bounded<'l, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let limits = self.limits;
        let (value, variant) = self.inner.variant_seed(Bounded::new(seed, limits))?;
        Ok((value, Bounded::new(variant, limits)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
