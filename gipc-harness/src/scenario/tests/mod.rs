//! Tests of the scenario language.

mod mistakes;
mod round_trip;
