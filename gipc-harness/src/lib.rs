//! The rooms, in the order a run meets them.
pub mod scenario;
