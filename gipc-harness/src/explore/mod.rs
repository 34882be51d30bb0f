//! Random testing: generates scenarios, and makes those that fail smaller.
//!
//! This module knows the scenario language, and is told whether a script fails; it knows no implementation and no model.

mod ends;
mod generate;
mod patterns;
mod shrink;

pub use generate::script;
pub use shrink::shrink;
