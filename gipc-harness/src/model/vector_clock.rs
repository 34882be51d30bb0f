//! Vector clocks that share their unchanged parts, so that thousands of clocks with thousands of components stay small.

use std::rc::Rc;

const FANOUT: usize = 8;

/// For each component, how many of its events are known. A component that was never set is 0.
///
/// A clock is a tree with 8 branches per node. Clones share nodes, and merging skips what both sides share.
#[derive(Clone, Debug, Default)]
pub(super) struct VectorClock {
    root: Option<Rc<Node>>,
    /// How many levels of branches are above the leaves.
    height: u32,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf([u32; FANOUT]),
    Branch([Option<Rc<Node>>; FANOUT]),
}

impl VectorClock {
    /// A clock that knows no events, with room for this many components.
    pub(super) fn with_components(count: usize) -> Self {
        let mut height = 0;
        while FANOUT.pow(height + 1) < count {
            height += 1;
        }
        Self { root: None, height }
    }

    pub(super) fn get(&self, component: usize) -> u32 {
        let mut node = self.root.as_deref();
        let mut level = self.height;
        loop {
            match node {
                None => return 0,
                Some(Node::Leaf(counts)) => return counts[component % FANOUT],
                Some(Node::Branch(children)) => {
                    node = children[component / FANOUT.pow(level) % FANOUT].as_deref();
                    level -= 1;
                }
            }
        }
    }

    pub(super) fn set(&mut self, component: usize, count: u32) {
        let mut place = &mut self.root;
        for level in (1..=self.height).rev() {
            let node = place.get_or_insert_with(|| Rc::new(Node::Branch(Default::default())));
            let Node::Branch(children) = Rc::make_mut(node) else { return };
            place = &mut children[component / FANOUT.pow(level) % FANOUT];
        }
        let leaf = place.get_or_insert_with(|| Rc::new(Node::Leaf([0; FANOUT])));
        if let Node::Leaf(counts) = Rc::make_mut(leaf) {
            counts[component % FANOUT] = count;
        }
    }

    /// Learns everything that another clock of the same size knows.
    pub(super) fn merge(&mut self, other: &Self) {
        self.root = merged(self.root.as_ref(), other.root.as_ref());
    }
}

/// The maximum of two nodes. Returns one of the two if that is already the maximum.
fn merged(left: Option<&Rc<Node>>, right: Option<&Rc<Node>>) -> Option<Rc<Node>> {
    let (Some(left), Some(right)) = (left, right) else { return left.or(right).cloned() };
    if Rc::ptr_eq(left, right) {
        return Some(Rc::clone(left));
    }
    let (node, is_left, is_right) = match (&**left, &**right) {
        (Node::Leaf(a), Node::Leaf(b)) => {
            let counts = std::array::from_fn(|at| a[at].max(b[at]));
            (Node::Leaf(counts), counts == *a, counts == *b)
        }
        (Node::Branch(a), Node::Branch(b)) => {
            let children: [_; FANOUT] =
                std::array::from_fn(|at| merged(a[at].as_ref(), b[at].as_ref()));
            let (is_left, is_right) = (is_same(&children, a), is_same(&children, b));
            (Node::Branch(children), is_left, is_right)
        }
        // Does not happen: clocks of one detector have the same height.
        _ => return Some(Rc::clone(left)),
    };
    Some(match (is_left, is_right) {
        (true, _) => Rc::clone(left),
        (false, true) => Rc::clone(right),
        (false, false) => Rc::new(node),
    })
}

fn is_same(children: &[Option<Rc<Node>>; FANOUT], others: &[Option<Rc<Node>>; FANOUT]) -> bool {
    children.iter().zip(others).all(|pair| match pair {
        (None, None) => true,
        (Some(child), Some(other)) => Rc::ptr_eq(child, other),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::VectorClock;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_merge_is_the_maximum_of_each_component(
            left in proptest::collection::vec((0..5000_usize, 1..9_u32), 0..40),
            right in proptest::collection::vec((0..5000_usize, 1..9_u32), 0..40),
            shared in proptest::collection::vec((0..5000_usize, 1..9_u32), 0..40),
        ) {
            let mut base = VectorClock::with_components(5000);
            shared.iter().for_each(|(at, count)| base.set(*at, *count));
            let (mut a, mut b) = (base.clone(), base.clone());
            left.iter().for_each(|(at, count)| a.set(*at, *count));
            right.iter().for_each(|(at, count)| b.set(*at, *count));
            let mut both = a.clone();
            both.merge(&b);
            for at in 0..5000 {
                prop_assert_eq!(both.get(at), a.get(at).max(b.get(at)));
            }
        }
    }
}
