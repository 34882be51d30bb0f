//! The values that the indices of an `each` have in one repetition of its paragraph.

use super::Index;
use std::sync::Arc;

/// The values of the `each` indices in one repetition, outermost first. Empty outside of an `each` paragraph.
///
/// The values are computed from the number of the repetition, so that a hundred thousand repetitions share one head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices {
    head: Option<Arc<Vec<Index>>>,
    repetition: u32,
}

impl Indices {
    /// The values in each repetition of the paragraph below a head, the first index outermost.
    pub(super) fn of_repetitions(head: &Arc<Vec<Index>>) -> impl Iterator<Item = Self> {
        let count: u64 = head.iter().map(Index::count).product();
        // A scenario has at most 250,000 steps.
        let count = u32::try_from(count).unwrap_or_default();
        let head = Arc::clone(head);
        (0..count).map(move |repetition| Self { head: Some(Arc::clone(&head)), repetition })
    }

    /// Whether the step has no index, because it is not in an `each` paragraph.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// The outermost index and its value.
    #[must_use]
    pub fn first(&self) -> Option<(&str, u64)> {
        self.iter().next()
    }

    /// The names of the indices and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut inner: u64 = self.heads().iter().map(Index::count).product();
        let mut rest = u64::from(self.repetition);
        self.heads().iter().map(move |index| {
            inner /= index.count();
            let value = index.first + rest / inner;
            rest %= inner;
            (index.name.as_str(), value)
        })
    }

    fn heads(&self) -> &[Index] {
        self.head.as_ref().map_or(&[], |head| head.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_index_changes_first() {
        let index = |name: &str, first, last| Index { name: name.to_owned(), first, last };
        let head = Arc::new(vec![index("i", 1, 2), index("j", 7, 9)]);
        let values = Indices::of_repetitions(&head).map(|indices| {
            indices.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>()
        });
        let values: Vec<String> = values.collect();
        assert_eq!(values, ["i1j7", "i1j8", "i1j9", "i2j7", "i2j8", "i2j9"]);
    }

    #[test]
    fn a_step_outside_of_each_has_no_indices() {
        assert!(Indices::default().is_empty());
        assert_eq!(Indices::default().iter().count(), 0);
    }
}
