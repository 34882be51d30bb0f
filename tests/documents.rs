//! Documents say what is: every requirement is asked or has something that stands in, and every scenario, file and test
//! that a page names exists.

use gipc_harness::adapter::Manifest;
use gipc_harness::requirements;
use gipc_harness::scenario::{Scenario, VERBS, parse};
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn suite() -> Vec<Scenario> {
    let mut suite = Vec::new();
    for theme in fs::read_dir(root().join("scenarios")).expect("a folder").flatten() {
        for file in fs::read_dir(theme.path()).into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).expect("a file");
            let id = file.path().display().to_string();
            suite.push(parse(&id, &text).expect("the suite is right"));
        }
    }
    suite
}

/// What all scenarios cover.
fn covered() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for scenario in suite() {
        let covers = scenario.covers();
        assert!(!covers.is_empty(), "{} covers nothing", scenario.id);
        ids.extend(covers.into_iter().map(str::to_owned));
    }
    ids
}

/// Whether a line as it is written is of this row of the table of verbs: all words that are no names stand there.
fn is_row(usage: &str, line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let fixed =
        |word: &&str| word.chars().next().is_some_and(char::is_lowercase) && !word.contains('|');
    usage.split(' ').enumerate().filter(|(_, word)| fixed(word)).all(|(place, word)| {
        let word = word.split(['(', '+']).next().unwrap_or_default();
        // Where it is cut may be said in other words.
        words.get(place).is_some_and(|other| other.split(['(', '+']).next() == Some(word))
            || (word == "header" && words.len() > place)
    })
}

/// Its requirement speaks of kill too, and scenarios of kill ask that half.
const HALF: (&str, &str) = ("terminate CHILD", "JOIN-12");

/// The language is not larger than it must be: for each verb there is a requirement that all who ask it ask with it.
#[test]
fn each_verb_asks_what_could_not_be_asked_without_it() {
    let suite = suite();
    let row = |line: &str| {
        let rows = VERBS.iter().filter(|(usage, _)| is_row(usage, line));
        rows.max_by_key(|(usage, _)| usage.split(' ').count()).map(|(usage, _)| *usage)
    };
    let mut used: BTreeMap<&str, Vec<BTreeSet<&str>>> = BTreeMap::new();
    for scenario in &suite {
        // The rest of a very long one is more of the same.
        let lines = scenario.steps.iter().take(500).map(|step| step.what());
        let rows: BTreeSet<&str> = lines.filter_map(|line| row(&line)).collect();
        for id in scenario.covers() {
            used.entry(id).or_default().push(rows.clone());
        }
    }
    for (usage, _) in VERBS {
        let needs = |(id, scenarios): (&&str, &Vec<BTreeSet<&str>>)| {
            let with = scenarios.iter().filter(|rows| rows.contains(usage)).count();
            with == scenarios.len() || (with > 0 && HALF == (usage, *id))
        };
        assert!(used.iter().any(needs), "all could be asked without {usage}");
    }
}

#[test]
fn every_requirement_is_asked_or_something_stands_in() {
    let covered = covered();
    for one in requirements::requirements() {
        let asked = covered.contains(&one.id);
        let stands_in = requirements::stand_ins().contains_key(&one.id);
        assert!(asked || stands_in, "nobody asks {}", one.id);
        assert!(!(asked && stands_in), "a scenario asks {}: its row in coverage.md can go", one.id);
    }
    for id in covered {
        assert!(requirements::requirement(&id).is_some(), "no requirement is called {id}");
    }
}

#[test]
fn what_stands_in_is_there() {
    for (id, one) in requirements::stand_ins() {
        let text = read(&one.file);
        // A page does not stand in for itself by naming the mark.
        let times = if one.file == "docs/coverage.md" { 2 } else { 1 };
        assert!(
            text.matches(&one.mark).count() >= times,
            "{id}: {} is not in {}",
            one.mark,
            one.file
        );
    }
}

#[test]
fn the_tests_that_ask_what_no_scenario_does_exist() {
    let (page, tests) = (read("docs/coverage.md"), read("gipc-core/tests/children/main.rs"));
    let (_, boundaries) = page.split_once("## Boundaries").expect("a section");
    let (boundaries, _) = boundaries.split_once("\n## ").expect("another one");
    let named = boundaries.split('`').skip(1).step_by(2);
    let named: Vec<_> = named.filter(|word| !word.contains(['/', '.'])).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("test(\"{name}\",")), "no test is called {name}");
    }
}

/// Every name between backticks that looks like a scenario is one.
#[rstest]
#[case("docs/gotchas.md", 20)]
#[case("docs/gipc-tests.md", 70)]
fn the_scenarios_that_a_page_names_exist(#[case] page: &str, #[case] least: usize) {
    let text = read(page);
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.split('/').count() == 2 && !word.contains(['.', ' ', '(']))
        .collect();
    assert!(named.len() >= least, "{page} names only {}", named.len());
    for id in named {
        let file = format!("scenarios/{id}.scenario");
        assert!(root().join(&file).is_file(), "{page} names {id}");
    }
}

#[test]
fn each_trap_ends_with_a_scenario() {
    for section in read("docs/gotchas.md").split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        let last = body.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("Scenario: `"), "{title:?} ends with {last:?}");
    }
}

#[test]
fn each_of_the_82_tests_of_gipc_has_a_row() {
    let page = read("docs/gipc-tests.md");
    let numbers: Vec<u32> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=82).collect::<Vec<_>>());
}

#[test]
fn a_requirement_that_does_not_exist_is_refused_where_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("unknown.scenario");
    let text = "# A question.\n# covers EOF-1 EOF-99\n\nmain        pipe r w\nmain        close r\n\
                main        close r                     => closed\n";
    fs::write(&path, text).expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .arg("check")
        .arg(&path)
        .output()
        .expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("error: no requirement is called EOF-99"), "{errors}");
    assert!(errors.contains("2 | # covers EOF-1 EOF-99\n  |                ^^^^^^"), "{errors}");
}

/// A mutant whose text is not there any more, or there twice, would be no mutant or another one.
#[test]
fn each_mutant_changes_one_place() {
    let list: toml::Value = toml::from_str(&read("tests/mutants.toml")).expect("a list of mutants");
    let mutants = list["mutant"].as_array().expect("some");
    assert!(mutants.len() >= 10);
    for mutant in mutants {
        let source = read(&format!("adapters/posix/{}", mutant["file"].as_str().expect("a file")));
        for change in [Some(mutant), mutant.get("also")].into_iter().flatten() {
            let old = change["old"].as_str().expect("a text");
            assert_eq!(source.matches(old).count(), 1, "{}: {old}", mutant["name"]);
        }
    }
}

#[test]
fn the_schemas_and_their_page_are_those_of_the_types() {
    for (name, text) in gipc_harness::adapter::schema::files() {
        let path = format!("docs/protocol/{name}");
        assert!(
            read(&path) == text,
            "{path} is old: `cargo harness adapter schema docs/protocol` writes it anew"
        );
    }
}

/// What both sides say in runs with messages, children, tasks, cuts and ends is what the schemas allow.
#[test]
fn every_line_of_a_conversation_is_one_that_its_schema_knows() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let mut compile = |name: &str| {
        let text = read(&format!("docs/protocol/{name}.json"));
        let schema = serde_json::from_str(&text).expect("it is JSON");
        compiler.add_resource(name, schema).expect("it has a name of its own");
        compiler.compile(name, &mut schemas).expect("it is a schema")
    };
    let (from_agent, to_agent) = (compile("from-agent"), compile("to-agent"));
    let folder = tempfile::tempdir().expect("a folder");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(root())
        .args(["run", "frame", "task", "process", "--keep", "--record"])
        .arg(folder.path())
        .output()
        .expect("it is built");
    assert!(status.status.success());
    let mut seen = [0, 0];
    let mut open = vec![folder.path().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("record.jsonl") {
            for line in fs::read_to_string(&path).expect("a record").lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let sent = line["event"] == "sent";
                // What nobody may know is in no schema.
                let nonsense = line["is"]["do"]["verb"] == "no-such-verb";
                if line["is"]["type"].is_string() && !nonsense {
                    let index = if sent { to_agent } else { from_agent };
                    let valid = schemas.validate(&line["is"], index);
                    assert!(valid.is_ok(), "{}: {}", line["is"], valid.expect_err("it is not"));
                    seen[usize::from(sent)] += 1;
                }
            }
        }
    }
    assert!(seen[0] > 1000 && seen[1] > 500, "{seen:?} lines are too few");
}

/// Each known failure of each adapter says first which requirement is broken.
#[test]
fn every_known_failure_names_what_it_breaks() {
    for folder in fs::read_dir(root().join("adapters")).expect("a folder").flatten() {
        let path = folder.path().join("adapter.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let shown = path.display().to_string();
        let manifest = Manifest::parse(&text, &shown).unwrap_or_else(|error| panic!("{error}"));
        assert!(folder.path().join("skips.txt").is_file(), "{shown} has no skips.txt beside it");
        for known in manifest.known {
            let ids: Vec<&str> = known
                .reason
                .split([' ', ',', '.', ':'])
                .filter(|word| !word.is_empty())
                .take_while(|word| requirements::requirement(word).is_some())
                .collect();
            assert!(!ids.is_empty(), "{shown}: {} names no requirement first", known.scenario);
        }
    }
}

#[test]
fn the_kit_for_node_shows_what_adapter_new_writes() {
    let page = read("adapters/kit/node/README.md");
    let shown = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
    let written = read("gipc-harness/src/cli/scaffold/node/agent.mjs").replace("NAME", "mine");
    assert_eq!(shown, Some(written.as_str()));
}

/// What the page says was mended changes in the kept matrix at that release.
#[test]
fn the_mends_of_the_changelog_are_in_the_releases() {
    let matrix: serde_json::Value =
        serde_json::from_str(&read("docs/releases/matrix.json")).expect("JSON");
    let columns = matrix["columns"].as_array().expect("columns");
    let cell = |release: &str, scenario: &str| {
        let name = format!("gipc-python@{release}");
        let column = columns.iter().find(|column| column["adapter"] == name.as_str());
        column.expect("the release is there")["cells"][scenario].clone()
    };
    let page = read("docs/releases/README.md");
    let rows = page.lines().filter(|line| line.starts_with("| 0."));
    let mut seen = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (scenario, before, then) = (cells[3], cells[4], cells[5]);
        let before = cell(before, scenario);
        assert!(before["verdict"] == "KNOWN" || before["sometimes"] == true, "{row}");
        assert_eq!(cell(then, scenario)["verdict"], "PASS", "{row}");
        seen += 1;
    }
    assert!(seen >= 9 && columns.len() == 20, "{seen} rows, {} releases", columns.len());
}

#[test]
fn what_the_readme_says_of_gipc_is_what_the_kept_matrix_has() {
    let matrix: serde_json::Value =
        serde_json::from_str(&read("docs/matrix/matrix.json")).expect("it is JSON");
    let columns = matrix["columns"].as_array().expect("columns");
    let gipc = columns.iter().find(|column| column["adapter"] == "gipc-python").expect("gipc");
    let cells = gipc["cells"].as_object().expect("cells");
    let light = |id: &str| matrix["scenarios"][id]["heavy"] == false;
    let count = |light_: bool, is: &dyn Fn(&serde_json::Value) -> bool| {
        cells.iter().filter(|(id, cell)| light(id) == light_ && is(cell)).count()
    };
    let passes = count(true, &|cell| cell["verdict"] == "PASS");
    let all = count(true, &|_| true);
    let page = read("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let said = [
        format!("passes {passes} of the {all} scenarios that are not heavy"),
        format!("{} are sorted as its defects", count(true, &|cell| cell["sort"] == "defect")),
        format!("and {} as its choices", count(true, &|cell| cell["sort"] == "choice")),
    ];
    for words in said {
        assert!(page.contains(&words), "README.md does not say {words:?}");
    }
    assert_eq!(count(false, &|cell| cell["verdict"] == "PASS"), 6, "heavy ones pass too");
}
