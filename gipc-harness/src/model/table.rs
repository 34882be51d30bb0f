//! A vector whose clones share unchanged parts, so that states of large scenarios can be cloned and hashed quickly.

use foldhash::fast::FixedState;
use std::cell::Cell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::{Index, IndexMut};
use std::rc::Rc;

const CHUNK: usize = 16;

/// A vector of fixed length, in chunks that are copied only when they change.
#[derive(Clone)]
pub(super) struct Table<T> {
    chunks: Vec<Rc<Chunk<T>>>,
}

#[derive(Clone)]
struct Chunk<T> {
    items: Vec<T>,
    /// The hash of the items, if it was computed since they last changed.
    hash: Cell<Option<u64>>,
}

impl<T: Clone> Table<T> {
    pub(super) fn new(item: &T, len: usize) -> Self {
        let chunk = |start: usize| {
            let items = vec![item.clone(); CHUNK.min(len - start)];
            Rc::new(Chunk { items, hash: Cell::new(None) })
        };
        Self { chunks: (0..len).step_by(CHUNK).map(chunk).collect() }
    }

    /// How many parts are copied with the table.
    pub(super) fn weight(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| &chunk.items)
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK].items[index % CHUNK]
    }
}

impl<T: Clone> IndexMut<usize> for Table<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        let chunk = Rc::make_mut(&mut self.chunks[index / CHUNK]);
        chunk.hash.set(None);
        &mut chunk.items[index % CHUNK]
    }
}

impl<T: Hash> Hash for Table<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for chunk in &self.chunks {
            let hash =
                chunk.hash.get().unwrap_or_else(|| FixedState::default().hash_one(&chunk.items));
            chunk.hash.set(Some(hash));
            hash.hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use proptest::prelude::*;
    use std::hash::{DefaultHasher, Hash, Hasher};

    fn hash(table: &Table<u8>) -> u64 {
        let mut hasher = DefaultHasher::new();
        table.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn a_copy_changes_independently_and_equal_tables_have_equal_hashes(
            len in 1..100_usize,
            changes in proptest::collection::vec((0..100_usize, any::<u8>(), any::<bool>()), 0..60),
        ) {
            let (mut table, mut expected) = (Table::new(&0, len), vec![0; len]);
            for (index, value, is_in_copy) in changes {
                let (mut copy, index) = (table.clone(), index % len);
                prop_assert_eq!(hash(&copy), hash(&table));
                copy[index] = value;
                if is_in_copy {
                    expected[index] = value;
                    table = copy;
                }
                prop_assert!(table.iter().eq(&expected));
                let mut fresh = Table::new(&0, len);
                (0..len).for_each(|at| fresh[at] = expected[at]);
                prop_assert_eq!(hash(&fresh), hash(&table));
            }
        }
    }
}
