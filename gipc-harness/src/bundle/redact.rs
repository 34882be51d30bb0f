//! Removes from a record what is private to the machine: values of environment variables, and paths of files that do not
//! belong to the system.

use crate::error::Error;
use crate::record::Record;
use serde_json::Value;
use std::borrow::Cow;

/// The folders whose paths are the same on every machine. They are kept.
const SYSTEM: [&str; 9] =
    ["/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/proc/", "/dev/", "/sys/", "/etc/"];
/// The length of the shortest value of an environment variable that is removed. Shorter ones occur in ordinary words.
const MIN_VALUE: usize = 6;
/// The fields that are kept, except for error texts in them: they contain parts of the scenario, and the record must stay
/// consistent with it.
const KEPT: [&str; 6] = ["text", "scenario", "outcome", "command", "variant", "steps"];
/// The fields with text of any origin. The values of all variables are removed from them. In other fields a value may be
/// part of an ordinary word, so only values that are paths are removed.
const FREE_TEXT: [&str; 11] = [
    "printed",
    "detail",
    "path",
    "found",
    "reason",
    "fault",
    "message",
    "error",
    "means",
    "explains",
    "violations",
];

/// What is removed.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// The values of environment variables with their names, the longest value first.
    values: Vec<(String, String)>,
}

impl Redaction {
    /// Removes the values of these variables, and paths.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_private = |value: &str| {
            value.len() >= MIN_VALUE && !SYSTEM.iter().any(|folder| value.starts_with(folder))
        };
        let mut values: Vec<(String, String)> = variables
            .into_iter()
            .filter(|(_, value)| is_private(value))
            .map(|(name, value)| (value, name))
            .collect();
        values.sort_by_key(|(value, name)| (std::cmp::Reverse(value.len()), name.clone()));
        Self { values }
    }

    /// Returns the record without what is private. It has the same verdict and can be executed as before.
    pub fn record(&self, record: &Record) -> Result<Record, Error> {
        let mut lines = String::new();
        for line in record.to_lines().lines() {
            let mut value: Value = serde_json::from_str(line).map_err(|error| {
                Error::unable(format!("error: cannot redact the record: {error}"))
            })?;
            self.redact(&mut value, false);
            lines.push_str(&value.to_string());
            lines.push('\n');
        }
        Record::parse(&lines)
            .map_err(|reason| Error::unable(format!("error: cannot redact the record: {reason}")))
    }

    fn redact(&self, value: &mut Value, is_free: bool) {
        match value {
            Value::String(text) if is_free => *text = self.text(text),
            Value::String(text) => *text = self.without(text, |value| value.starts_with('/')),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item, is_free)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    match field {
                        // The command line of a process. Other commands are those of the scenario.
                        Value::String(text) if name == "command" => *text = self.text(text),
                        _ if KEPT.contains(&name.as_str()) => self.redact_details(field),
                        _ => self.redact(field, is_free || FREE_TEXT.contains(&name.as_str())),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Redacts the error texts in a part that is otherwise kept.
    fn redact_details(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_details(item)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    match field {
                        Value::String(text) if name == "detail" => *text = self.text(text),
                        _ => self.redact_details(field),
                    }
                }
            }
            _ => {}
        }
    }

    /// A text without what is private: `$NAME` for the value of a variable, `…/file` for a path.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.without(text, |_| true)
    }

    /// The text without paths, and without the values for which `is_removed` returns true.
    fn without(&self, text: &str, is_removed: impl Fn(&str) -> bool) -> String {
        let mut text = Cow::Borrowed(text);
        for (value, name) in &self.values {
            if is_removed(value) && text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), &format!("${name}")));
            }
        }
        without_paths(&text)
    }
}

/// The text with the folders of absolute paths replaced by `…`, except those of the system.
fn without_paths(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "/._-+@~".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('/') {
        let (before, from_slash) = rest.split_at(start);
        out.push_str(before);
        let end = from_slash.find(|c| !is_part(c)).unwrap_or(from_slash.len());
        let (path, after) = from_slash.split_at(end);
        // In `a/b`, `$HOME/b` and `https://host` the slash does not begin a path.
        let begins = !before
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || "._-$:~…".contains(c));
        let is_system = SYSTEM.iter().any(|folder| path.starts_with(folder));
        match path.rsplit_once('/') {
            Some((folder, name)) if begins && !is_system && !folder.is_empty() => {
                out.push_str("…/");
                out.push_str(name);
            }
            _ => out.push_str(path),
        }
        rest = after;
    }
    out + rest
}
