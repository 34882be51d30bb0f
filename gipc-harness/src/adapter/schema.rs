//! The messages and the manifest as JSON Schema, and the reference page that is generated from the schemas.

use crate::adapter::Manifest;
use gipc_agent::{FromAgent, MAX_LINE, PROTOCOL, ToAgent};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The documented types: the file name without its ending, a heading, and the schema.
fn schemas() -> [(&'static str, &'static str, Value); 3] {
    [
        ("from-agent", "From an agent to the harness", schema::<FromAgent>()),
        ("to-agent", "From the harness to an agent", schema::<ToAgent>()),
        ("manifest", "The manifest, `adapter.toml`", schema::<Manifest>()),
    ]
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

/// The names and the contents of the files of `docs/protocol`.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let mut page = format!(
        "# The protocol, field by field\n\n`cargo harness adapter schema docs/protocol` generates this page and the JSON Schemas beside it from the types of\n\
         protocol {PROTOCOL}. [adapters/README.md](../../adapters/README.md) explains the protocol. A line has at most {MAX_LINE} bytes.\n"
    );
    let mut files = Vec::new();
    for (name, heading, schema) in schemas() {
        let _ = writeln!(page, "\n## {heading}\n\n[{name}.json]({name}.json)");
        page += &section(&schema);
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        files.push((format!("{name}.json"), text + "\n"));
    }
    files.push(("README.md".into(), page));
    files
}

/// A section of the page: the type itself, then the types that it refers to.
fn section(schema: &Value) -> String {
    let mut out = type_table(schema);
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    for (name, definition) in definitions {
        let _ = write!(out, "\n### {name}\n{}", type_table(definition));
    }
    out
}

/// The description of a type, and a table of its variants or its fields.
fn type_table(schema: &Value) -> String {
    let mut out = String::new();
    if let Some(text) = schema["description"].as_str() {
        let _ = write!(out, "\n{}\n", one_line(text));
    }
    if let Some(variants) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        out += "\n| one of | with | is |\n|---|---|---|\n";
        for variant in variants {
            let (name, fields) = name_and_fields(variant);
            let about = one_line(variant["description"].as_str().unwrap_or_default());
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

/// The name of a variant of an enum, and its fields.
fn name_and_fields(variant: &Value) -> (String, String) {
    if let Some(name) = variant["const"].as_str() {
        return (format!("`{name}`"), String::new());
    }
    let mut name = String::new();
    let mut fields = Vec::new();
    let required = required(variant);
    for (field, schema) in variant["properties"].as_object().into_iter().flatten() {
        match schema["const"].as_str() {
            Some(value) => name = format!("`\"{field}\":\"{value}\"`"),
            None => {
                let mark = if required.contains(field.as_str()) { "" } else { "?" };
                fields.push(format!("`{field}`{mark}: {}", kind(schema)));
            }
        }
    }
    if let Some(path) = variant["$ref"].as_str() {
        fields.push(format!("all of {}", type_name(path)));
    }
    if name.is_empty() && fields.is_empty() {
        name = kind(variant);
    }
    (name, fields.join("; "))
}

/// The names of the required fields.
fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The type of a field, as the table shows it.
fn kind(field: &Value) -> String {
    if let Some(path) = field["$ref"].as_str() {
        return type_name(path);
    }
    if let Some(variants) = field["anyOf"].as_array() {
        let kinds: Vec<String> = variants.iter().map(kind).filter(|kind| kind != "null").collect();
        return kinds.join(" or ");
    }
    let json_type = match &field["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match json_type {
        Some("array") => format!("list of {}", kind(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("table of {}", kind(&field["additionalProperties"]))
        }
        Some("integer") => "number".into(),
        Some(name) => name.into(),
        None => "any".into(),
    }
}

/// The last part of the path of a reference.
fn type_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The text on one line, escaped for a table cell.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::{files, name_and_fields};
    use serde_json::json;

    #[test]
    fn a_variant_without_a_name_and_fields_is_shown_by_its_type() {
        let list = json!({"type": "array", "items": {"type": "string"}});
        assert_eq!(name_and_fields(&list).0, "list of string");
        let object = json!({"properties": {"bytes": {"type": "integer"}}, "required": ["bytes"]});
        assert_eq!(name_and_fields(&object), (String::new(), "`bytes`: number".into()));
    }

    #[test]
    fn no_row_of_the_reference_page_is_empty() {
        for (name, text) in files() {
            assert!(!text.contains("|  |  |  |"), "{name}");
        }
    }
}
