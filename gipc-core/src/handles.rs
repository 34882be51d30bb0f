//! What can be given to a child: handles, and how a list of them becomes typed handles again in the child.
//!
//! The types exist only on the two sides. What travels is a flat list, which `handoff` moves.

use crate::{Codec, Duplex, Reader, Writer};
use std::collections::VecDeque;

/// A handle whose direction is known only at run time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Handle {
    /// The end that gets.
    Reader(Reader),
    /// The end that puts.
    Writer(Writer),
    /// Both ends.
    Duplex(Duplex),
}

/// What an entry is given besides its arguments: a [`Reader`], [`Writer`] or [`Duplex`] with its codec, `()` for nothing, or
/// a tuple, array, `Option` or `Vec` of these. A [`Handle`] is one whose direction is known only at run time.
///
/// The entry names the type, and [`Command::handles`](crate::Command::handles) takes a value of this type: a handle in the
/// wrong place, in the wrong direction or with another codec does not compile.
pub trait Handles: Sized {
    /// Appends the handles to the list.
    #[doc(hidden)]
    fn pack(self, into: &mut Bundle);

    /// Takes the handles from the front of the list. `None` if the list does not begin with them.
    #[doc(hidden)]
    fn unpack(from: &mut Bundle) -> Option<Self>;
}

/// Handles without their types, and the number of handles if the type does not say it.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Bundle {
    pub(crate) handles: VecDeque<Handle>,
    pub(crate) counts: VecDeque<u32>,
}

impl Handles for Handle {
    fn pack(self, into: &mut Bundle) {
        into.handles.push_back(self);
    }

    fn unpack(from: &mut Bundle) -> Option<Self> {
        from.handles.pop_front()
    }
}

macro_rules! one {
    ($kind:ident<$($codec:ident),+>) => {
        impl<$($codec: Codec),+> From<$kind<$($codec),+>> for Handle {
            fn from(handle: $kind<$($codec),+>) -> Self {
                Self::$kind(handle.with())
            }
        }

        impl<$($codec: Codec),+> Handles for $kind<$($codec),+> {
            fn pack(self, into: &mut Bundle) {
                Handle::from(self).pack(into);
            }

            fn unpack(from: &mut Bundle) -> Option<Self> {
                match Handle::unpack(from)? {
                    Handle::$kind(handle) => Some(handle.with()),
                    _ => None,
                }
            }
        }
    };
}

one!(Reader<C>);
one!(Writer<C>);
one!(Duplex<In, Out>);

macro_rules! tuple {
    ($($each:ident)*) => {
        impl<$($each: Handles),*> Handles for ($($each,)*) {
            // The names of the type parameters are also the names of the variables.
            #[allow(non_snake_case)]
            fn pack(self, _into: &mut Bundle) {
                let ($($each,)*) = self;
                $($each.pack(_into);)*
            }

            fn unpack(_from: &mut Bundle) -> Option<Self> {
                Some(($($each::unpack(_from)?,)*))
            }
        }
    };
}

tuple!();
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);

impl<T: Handles> Handles for Vec<T> {
    fn pack(self, into: &mut Bundle) {
        into.counts.push_back(u32::try_from(self.len()).unwrap_or(u32::MAX));
        self.into_iter().for_each(|each| each.pack(into));
    }

    fn unpack(from: &mut Bundle) -> Option<Self> {
        let count = from.counts.pop_front()?;
        (0..count).map(|_| T::unpack(from)).collect()
    }
}

impl<T: Handles, const N: usize> Handles for [T; N] {
    fn pack(self, into: &mut Bundle) {
        self.into_iter().for_each(|each| each.pack(into));
    }

    fn unpack(from: &mut Bundle) -> Option<Self> {
        (0..N).map(|_| T::unpack(from)).collect::<Option<Vec<T>>>()?.try_into().ok()
    }
}

impl<T: Handles> Handles for Option<T> {
    fn pack(self, into: &mut Bundle) {
        self.into_iter().collect::<Vec<T>>().pack(into);
    }

    fn unpack(from: &mut Bundle) -> Option<Self> {
        Vec::unpack(from).map(|list: Vec<T>| list.into_iter().next())
    }
}
