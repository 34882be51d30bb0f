//! `adapter new`: the beginning of an adapter, which passes `adapter check` as it is.
//!
//! The files are those beside this one, with the name put in.

use super::Stopped;
use super::library::Library;
use super::out::Out;
use clap::ValueEnum;
use std::fs;

/// In which language the agent is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// With the kit, adapters/kit/python.
    Python,
    /// With the kit, adapters/kit/node.
    Node,
    /// With the kit, adapters/kit/rust.
    Rust,
}

impl Lang {
    /// The files, by their path in the folder.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Python => &[
                ("adapter.toml", include_str!("python/adapter.toml")),
                ("agent.py", include_str!("python/agent.py")),
            ],
            Self::Node => &[
                ("adapter.toml", include_str!("node/adapter.toml")),
                ("agent.mjs", include_str!("node/agent.mjs")),
            ],
            Self::Rust => &[
                ("adapter.toml", include_str!("rust/adapter.toml")),
                ("Cargo.toml", include_str!("rust/cargo.txt")),
                ("src/main.rs", include_str!("rust/main.txt")),
                (".gitignore", "/target/\n"),
            ],
        }
    }
}

pub(super) fn new(library: &Library, name: &str, lang: Lang, out: &mut Out) -> Result<u8, Stopped> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) {
        return Err(Stopped::usage(format!(
            "error: {name:?} is no name of an adapter: small letters, digits and -, a letter first"
        )));
    }
    let folder = library.adapters.join(name);
    if folder.exists() {
        let shown = folder.display();
        return Err(Stopped::usage(format!(
            "error: {shown} is there already: choose another name"
        )));
    }
    for (file, text) in lang.files() {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        let written =
            fs::create_dir_all(parent).and_then(|()| fs::write(&path, text.replace("NAME", name)));
        written.map_err(|error| {
            Stopped::unable(format!("error: cannot write {}: {error}", path.display()))
        })?;
        out.line(&path.display().to_string());
    }
    if lang == Lang::Rust {
        out.line(&format!("next: cargo harness adapter setup {name}"));
    }
    out.line(&format!("next: cargo harness adapter check {name}"));
    Ok(0)
}
