//! The messages and the manifest as JSON Schema, and the reference page that is generated from the schemas.

use crate::adapter::Manifest;
use gipc_agent::{FromAgent, MAX_LINE, PROTOCOL, ToAgent};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is written: the name of the file without its ending, a heading, and what it is.
fn all() -> [(&'static str, &'static str, Value); 3] {
    [
        ("from-agent", "From an agent to the harness", schema::<FromAgent>()),
        ("to-agent", "From the harness to an agent", schema::<ToAgent>()),
        ("manifest", "The manifest, `adapter.toml`", schema::<Manifest>()),
    ]
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

/// The files of `docs/protocol`, by name.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let mut page = format!(
        "# The contract, field by field\n\nMade of the types of protocol {PROTOCOL} by `cargo harness adapter schema docs/protocol`, as are the JSON Schemas\n\
         beside it. What it means is [adapters/README.md](../../adapters/README.md). A line has at most {MAX_LINE} bytes.\n"
    );
    let mut files = Vec::new();
    for (name, heading, schema) in all() {
        let _ = writeln!(page, "\n## {heading}\n\n[{name}.json]({name}.json)");
        page += &section(&schema);
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        files.push((format!("{name}.json"), text + "\n"));
    }
    files.push(("README.md".into(), page));
    files
}

/// The type itself, then the types that it names.
fn section(schema: &Value) -> String {
    let mut out = described(schema);
    let named = schema["$defs"].as_object().into_iter().flatten();
    for (name, inner) in named {
        let _ = write!(out, "\n### {name}\n{}", described(inner));
    }
    out
}

fn described(schema: &Value) -> String {
    let mut out = String::new();
    if let Some(text) = schema["description"].as_str() {
        let _ = write!(out, "\n{}\n", one_line(text));
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        out += "\n| one of | with | is |\n|---|---|---|\n";
        for choice in choices {
            let (name, fields) = choice_of(choice);
            let about = one_line(choice["description"].as_str().unwrap_or_default());
            let _ = writeln!(out, "| {name} | {fields} | {about} |");
        }
    } else if let Some(fields) = schema["properties"].as_object() {
        out += "\n| field | is | about |\n|---|---|---|\n";
        for (name, field) in fields {
            let about = one_line(field["description"].as_str().unwrap_or_default());
            let kind = kind(field);
            let need =
                if required(schema).contains(name.as_str()) { "" } else { ", may be left out" };
            let _ = writeln!(out, "| `{name}` | {kind}{need} | {about} |");
        }
    }
    out
}

/// The name of one of several, and its fields.
fn choice_of(choice: &Value) -> (String, String) {
    if let Some(word) = choice["const"].as_str() {
        return (format!("`{word}`"), String::new());
    }
    let mut name = String::new();
    let mut fields = Vec::new();
    let needed = required(choice);
    for (field, inner) in choice["properties"].as_object().into_iter().flatten() {
        match inner["const"].as_str() {
            Some(word) => name = format!("`\"{field}\":\"{word}\"`"),
            None => {
                let mark = if needed.contains(field.as_str()) { "" } else { "?" };
                fields.push(format!("`{field}`{mark}: {}", kind(inner)));
            }
        }
    }
    if let Some(inner) = choice["$ref"].as_str() {
        fields.push(format!("all of {}", last(inner)));
    }
    (name, fields.join("; "))
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The type of a field in a word or two.
fn kind(field: &Value) -> String {
    if let Some(name) = field["$ref"].as_str() {
        return last(name);
    }
    if let Some(choices) = field["anyOf"].as_array() {
        let kinds: Vec<String> = choices.iter().map(kind).filter(|kind| kind != "null").collect();
        return kinds.join(" or ");
    }
    let words = match &field["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).find(|word| *word != "null"),
        word => word.as_str(),
    };
    match words {
        Some("array") => format!("list of {}", kind(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("table of {}", kind(&field["additionalProperties"]))
        }
        Some("integer") => "number".into(),
        Some(word) => word.into(),
        None => "any".into(),
    }
}

fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
