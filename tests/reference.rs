//! The pages in docs/reference have everything that the program has: each field of a manifest, each verdict, each tier of
//! evidence; docs/coverage.md has what each adapter is asked, and the page of the matrix the score of docs/proof.md.
//! `GUIDES=overwrite` writes the tables anew.

use gipc_harness::requirements;
use gipc_harness::suite::{Suite, unasked};
use gipc_harness::trace::EvidenceTier;
use gipc_harness::verdict::Status;
use serde_json::Value;
use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The tables of a manifest in reading order: the prefix of the fields in the page, and the definition in the schema.
const TABLES: [(&str, &str); 5] = [
    ("", ""),
    ("choices.", "DeclaredChoices"),
    ("keeps.", "Keeps"),
    ("known.", "KnownFailure"),
    ("variant.", "Variant"),
];

/// The part of a schema that a reference leads to, or the part itself.
fn resolve<'a>(schema: &'a Value, part: &'a Value) -> &'a Value {
    let inner = part["anyOf"].as_array().and_then(|choices| choices.first()).unwrap_or(part);
    match inner["$ref"].as_str() {
        Some(place) => schema.pointer(&place[1..]).expect("the definition exists"),
        None => inner,
    }
}

/// What may be written for a field.
fn value_of(schema: &Value, field: &Value) -> String {
    let mut part = resolve(schema, field);
    // A choice of forms, as that of one scenario or several: the first one is the simplest.
    while part["anyOf"].is_array() {
        part = resolve(schema, part);
    }
    if let Some(choices) = part["oneOf"].as_array() {
        let words = choices.iter().map(|choice| format!("`{}`", choice["const"].as_str().unwrap()));
        return words.collect::<Vec<_>>().join(", ");
    }
    let kind = part["type"].as_array().map_or(&part["type"], |kinds| &kinds[0]);
    match kind.as_str().expect("a type") {
        "array" => match resolve(schema, &part["items"])["type"].as_str() {
            Some("string") => "list of texts".into(),
            Some("object") => "tables".into(),
            _ => "list of lists of texts".into(),
        },
        "object" if part["properties"].is_object() => "table".into(),
        "object" => "table of texts".into(),
        "boolean" => "`true`, `false`".into(),
        "integer" => "number".into(),
        _ => "text".into(),
    }
}

fn manifest_table() -> String {
    let schema: Value = serde_json::from_str(&read("docs/protocol/manifest.json")).expect("JSON");
    let mut table = "| field | value | meaning |\n|---|---|---|\n".to_owned();
    for (prefix, name) in TABLES {
        let definition = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let required = definition["required"].as_array().cloned().unwrap_or_default();
        for (field, value) in definition["properties"].as_object().expect("fields") {
            let is_required = required.iter().any(|one| one == field.as_str());
            let mark = if is_required { " (required)" } else { "" };
            let about = value["description"].as_str().unwrap_or_default().replace('\n', " ");
            let allowed = value_of(&schema, value);
            let _ = writeln!(table, "| `{prefix}{field}` | {allowed}{mark} | {about} |");
        }
    }
    table
}

#[test]
fn the_manifest_page_has_every_field() {
    let path = "docs/reference/manifest.md";
    let page = read(path);
    let (before, rest) = page.split_once("| field | value").expect("the page has the table");
    let (_, after) = rest.split_once("\n\n").expect("text follows the table");
    let wanted = format!("{before}{}\n{after}", manifest_table());
    if env::var("GUIDES").is_ok_and(|value| value == "overwrite") {
        fs::write(root().join(path), &wanted).expect("the page is written");
    }
    assert!(
        page == wanted,
        "{path} is outdated: run `GUIDES=overwrite cargo test --test reference`"
    );
}

#[test]
fn the_page_of_verdicts_has_every_word_and_every_tier() {
    let page = read("docs/reference/verdicts.md");
    for status in Status::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{status}` |")));
        let row = row.unwrap_or_else(|| panic!("the page lacks {status}"));
        assert_eq!(row.ends_with("| 0 |"), status.is_expected(), "{row}");
    }
    let tiers = [
        EvidenceTier::Kernel,
        EvidenceTier::KernelPartial,
        EvidenceTier::LoopTurns,
        EvidenceTier::Timeout,
        EvidenceTier::Interrupted,
    ];
    let guide = read("docs/guides/read-a-failure.md");
    for tier in tiers {
        assert!(page.contains(&format!("| `{}` |", tier.name())), "the page lacks {}", tier.name());
        let words = tier.words().split(',').next().expect("words");
        let is_explained = tier == EvidenceTier::Interrupted || guide.contains(words);
        assert!(is_explained, "Read a failure does not explain {words:?}");
    }
}

/// The table of what each implementation is asked is that of `spec --uncovered --adapter`. `GUIDES=overwrite` writes it.
#[test]
fn the_page_of_coverage_says_what_each_implementation_is_asked() {
    let suite = Suite::find(Some(root().join("scenarios")), None).expect("the suite is here");
    let files = suite.select(&[]).expect("the scenarios are here");
    let scenarios: Vec<_> =
        files.iter().map(|file| file.parse().expect("the suite is valid")).collect();
    let all = requirements::requirements().len();
    let mut table = "| implementation | asked | not asked |\n|---|---|---|\n".to_owned();
    let mut of_no_other: Option<BTreeSet<&str>> = None;
    for name in suite.adapters_named(&[]).expect("the adapters are here") {
        let adapter = suite.load_adapter(&name).expect("the manifest is valid");
        let unasked = unasked(&adapter, &scenarios);
        let ids: Vec<&str> = unasked.iter().map(|one| one.requirement.id.as_str()).collect();
        table += &format!("| {name} | {} of {all} | {} |\n", all - ids.len(), ids.join(" "));
        if name != "gipc-core" {
            let ids: BTreeSet<&str> = ids.into_iter().collect();
            of_no_other = Some(match of_no_other {
                Some(before) => before.intersection(&ids).copied().collect(),
                None => ids,
            });
        }
    }
    let ids: Vec<&str> = of_no_other.into_iter().flatten().collect();
    table += &format!("| none but gipc-core | {} | {} |\n", ids.len(), ids.join(" "));
    let page = read("docs/coverage.md");
    let (begin, end) = ("<!-- asked: begin -->\n", "<!-- asked: end -->");
    let from = page.find(begin).expect("the page has a place for the table") + begin.len();
    let to = page.find(end).expect("the table has an end");
    if env::var("GUIDES").is_ok_and(|word| word == "overwrite") {
        let text = format!("{}{table}{}", &page[..from], &page[to..]);
        fs::write(root().join("docs/coverage.md"), text).expect("the page can be written");
    } else {
        assert_eq!(page[from..to], table, "GUIDES=overwrite cargo test --test reference");
    }
}

#[test]
fn the_page_of_the_matrix_has_the_score_that_ci_copies_from_the_page_on_proof() {
    let (proof, matrix) = (read("docs/proof.md"), read("docs/matrix/matrix.md"));
    let score = proof.split("score: begin -->").nth(1).and_then(|text| text.split("<!--").next());
    assert!(matrix.contains(score.expect("the score is marked").trim()));
}
