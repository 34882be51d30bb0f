//! The rooms, in the order a run meets them.
pub mod spec;
pub mod scenario;
pub mod trace;
pub mod model;
pub mod adapter;
pub mod agent;
pub mod environment;
pub mod stuck;
pub mod verdict;
pub mod explore;
pub mod report;
pub mod run;
pub mod cli;
