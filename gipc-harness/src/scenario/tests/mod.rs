//! Tests of the scenario language.

mod header;
mod mistakes;
mod round_trip;
