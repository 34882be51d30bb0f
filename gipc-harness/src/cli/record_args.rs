//! The flags of the commands that show, pack or shrink a single run.

use crate::adapter::MODEL;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Show {
    /// An id, a file or a record
    #[arg(value_name = "WHAT")]
    pub(super) name: String,
    /// Another run of the same scenario: show both side by side, with the first difference marked
    #[arg(value_name = "OTHER")]
    pub(super) other: Option<String>,
    /// Draw a run on this adapter instead of the prediction of the model
    #[arg(long, default_value = MODEL, value_name = "NAME|PATH")]
    pub(super) adapter: String,
    /// Draw the scenario even if the model disagrees with the outcomes in the file
    #[arg(long)]
    pub(super) unchecked: bool,
    /// The format: text for a terminal, a picture, a Mermaid sequence diagram, or a trace for Perfetto and speedscope
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    pub(super) format: ShowFormat,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Draw all steps, also those of equal repetitions and, if there are more than 300 events, those that did not lead to
    /// the failure
    #[arg(long)]
    pub(super) full: bool,
}

#[derive(Debug, Args)]
pub(super) struct Repro {
    /// A record, the id of a scenario whose last run failed, or a bundle
    #[arg(value_name = "WHAT")]
    pub(super) name: String,
    /// The adapter on which the scenario failed, if an id is given [default: the one in `gipc-harness.toml`, otherwise gipc-core]
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) adapter: Option<String>,
    /// The folder with the records, if an id is given [default: target/gipc-harness]
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// The folder of the bundle [default: one in target/gipc-harness/repro]
    #[arg(long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// What is written: a folder, or a bug report on stdout
    #[arg(long, value_enum, default_value_t = ReproFormat::Folder)]
    pub(super) format: ReproFormat,
    /// Keep paths and the values of environment variables, which are otherwise removed
    #[arg(long)]
    pub(super) private: bool,
}

#[derive(Debug, Args)]
pub(super) struct Shrink {
    /// A bundle, a record, or the id of a scenario whose last run failed
    #[arg(value_name = "WHAT")]
    pub(super) name: String,
    /// The adapter to run it on [default: the adapter of the run]
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) adapter: Option<String>,
    /// The folder with the records, if an id is given [default: target/gipc-harness]
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// The folder of the small bundle [default: one in target/gipc-harness/repro]
    #[arg(long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Keep paths and the values of environment variables, which are otherwise removed
    #[arg(long)]
    pub(super) private: bool,
}

/// What `repro` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReproFormat {
    /// A folder that `run` executes
    Folder,
    /// Markdown for a bug report
    Issue,
}

/// The format of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ShowFormat {
    /// Columns of text
    Text,
    /// A space-time diagram as a picture
    Svg,
    /// A Mermaid sequence diagram
    Mermaid,
    /// A Chrome trace, with an arrow for each cause
    Trace,
}
