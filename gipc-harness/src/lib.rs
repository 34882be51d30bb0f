//! The conformance harness as a library. Modules stand in the order in which a run uses them.
pub mod requirements;
pub mod scenario;
pub mod trace;
pub mod model;
pub mod adapter;
pub mod agent;
pub mod environment;
pub mod proc;
pub mod deadlock;
pub mod verdict;
pub mod explore;
pub mod report;
pub mod runner;
pub mod cli;
