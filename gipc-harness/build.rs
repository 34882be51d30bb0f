//! Lists the scenarios and the kits for `include_str!`, so that the program contains them.
//!
//! The folders `scenarios` and `adapters` beside this file are links in the repository and copies in a package.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The tables, with the folder of their files.
const TABLES: [(&str, &str); 4] = [
    ("SCENARIOS", "scenarios"),
    ("PYTHON_KIT", "adapters/kit/python"),
    ("NODE_KIT", "adapters/kit/node"),
    ("RUST_KIT", "src/suite/scaffold/kit-rust"),
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut code = String::new();
    for (table, folder) in TABLES {
        let mut files = Vec::new();
        walk(&root.join(folder), &mut files)?;
        files.sort();
        let line = format!("pub(super) static {table}: &[(&str, &str)] = &[\n");
        code.push_str(&line);
        for file in files {
            let name = file.strip_prefix(root.join(folder)).unwrap_or(&file).to_string_lossy();
            let _ = writeln!(code, "    ({name:?}, include_str!({:?})),", file.to_string_lossy());
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded_files.rs"), code)
}

/// Adds the text files of a folder and of the folders in it.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    const KEPT: [&str; 8] = ["scenario", "md", "py", "mjs", "json", "rs", "toml", "txt"];
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let is_source =
                path.file_name().is_some_and(|name| name != "__pycache__" && name != "tests");
            if is_source {
                walk(&path, files)?;
            }
        } else if path.extension().is_some_and(|ext| KEPT.iter().any(|kept| ext == *kept)) {
            files.push(path);
        }
    }
    Ok(())
}
