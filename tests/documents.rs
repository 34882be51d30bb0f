//! The documents agree with the project: a scenario or a listed substitute covers each requirement, and every scenario,
//! file and test that a page names exists.

use gipc_harness::adapter::{FailureSort, Manifest};
use gipc_harness::mutants::FaultList;
use gipc_harness::report::matrix::{Cell, Matrix, collect};
use gipc_harness::requirements;
use gipc_harness::scenario::{Scenario, VERBS, parse};
use gipc_harness::suite::Suite;
use gipc_harness::verdict::Status;
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

/// The matrix that is stored in a folder.
fn matrix(folder: &str) -> Matrix {
    collect::read(&root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error:?}"))
}

fn suite() -> Vec<Scenario> {
    let mut suite = Vec::new();
    for theme in fs::read_dir(root().join("scenarios")).expect("the suite").flatten() {
        for file in fs::read_dir(theme.path()).into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).expect("the scenario can be read");
            let id = file.path().display().to_string();
            suite.push(parse(&id, &text).expect("the suite is valid"));
        }
    }
    suite
}

/// The ids of all requirements that a scenario covers.
fn covered() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for scenario in suite() {
        let covers = scenario.covers();
        assert!(!covers.is_empty(), "{} covers nothing", scenario.id);
        ids.extend(covers.into_iter().map(str::to_owned));
    }
    ids
}

/// Whether a line of a scenario is an instance of a row in the table of verbs: it has all literal words of the usage.
fn matches_usage(usage: &str, line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let is_literal = |word: &&str| word.chars().next().is_some_and(char::is_lowercase);
    usage.split(' ').enumerate().filter(|(_, word)| is_literal(word)).all(|(index, word)| {
        let word = word.split(['(', '+']).next().unwrap_or_default();
        if word.contains('|') {
            return words.get(index).is_some_and(|other| word.split('|').any(|one| one == *other));
        }
        // `header` stands for every way to say where a frame is cut.
        words.get(index).is_some_and(|other| other.split(['(', '+']).next() == Some(word))
            || (word == "header" && words.len() > index)
    })
}

/// A verb and a requirement that it shares with another verb: JOIN-12 concerns `kill` too, so scenarios of `kill` cover it
/// without `terminate`.
const SHARED: (&str, &str) = ("terminate CHILD", "JOIN-12");

/// The language has no superfluous verb: for each one there is a requirement whose scenarios all use it.
#[test]
fn each_verb_is_needed_to_cover_some_requirement() {
    let suite = suite();
    let usage_of = |line: &str| {
        let rows = VERBS.iter().filter(|(usage, _)| matches_usage(usage, line));
        rows.max_by_key(|(usage, _)| usage.split(' ').count()).map(|(usage, _)| *usage)
    };
    let mut used: BTreeMap<&str, Vec<BTreeSet<&str>>> = BTreeMap::new();
    for scenario in &suite {
        // Longer scenarios repeat the same verbs.
        let lines = scenario.steps.iter().take(500).map(|step| step.what());
        let rows: BTreeSet<&str> = lines.filter_map(|line| usage_of(&line)).collect();
        for id in scenario.covers() {
            used.entry(id).or_default().push(rows.clone());
        }
    }
    for (usage, _) in VERBS {
        let needs = |(id, scenarios): (&&str, &Vec<BTreeSet<&str>>)| {
            let with = scenarios.iter().filter(|rows| rows.contains(usage)).count();
            with == scenarios.len() || (with > 0 && SHARED == (usage, *id))
        };
        assert!(used.iter().any(needs), "no requirement needs {usage}");
    }
}

#[test]
fn every_requirement_has_either_scenarios_or_a_substitute() {
    let covered = covered();
    for requirement in requirements::requirements() {
        let has_scenario = covered.contains(&requirement.id);
        let has_substitute = requirements::stand_ins().contains_key(&requirement.id);
        assert!(has_scenario || has_substitute, "nothing covers {}", requirement.id);
        let both = has_scenario && has_substitute;
        assert!(!both, "a scenario covers {}: remove its row in coverage.md", requirement.id);
    }
    for id in covered {
        assert!(requirements::requirement(&id).is_some(), "no requirement is called {id}");
    }
}

#[test]
fn each_substitute_in_the_coverage_page_exists() {
    for (id, substitute) in requirements::stand_ins() {
        let text = read(&substitute.file);
        // The row itself contains the mark once.
        let times = if substitute.file == "docs/coverage.md" { 2 } else { 1 };
        assert!(
            text.matches(&substitute.mark).count() >= times,
            "{id}: {} is not in {}",
            substitute.mark,
            substitute.file
        );
    }
}

#[test]
fn the_tests_of_boundaries_without_a_scenario_exist() {
    let (page, tests) = (read("docs/coverage.md"), read("gipc-core/tests/children/main.rs"));
    let (_, boundaries) = page.split_once("## Boundaries").expect("the section exists");
    let (boundaries, _) = boundaries.split_once("\n## ").expect("another section follows");
    let named = boundaries.split('`').skip(1).step_by(2);
    let named: Vec<_> = named.filter(|word| !word.contains(['/', '.'])).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("test(\"{name}\",")), "no test is called {name}");
    }
}

/// Every word between backticks that looks like the id of a scenario is one.
#[rstest]
#[case("docs/gotchas.md", 20)]
#[case("docs/gipc-tests.md", 70)]
#[case("docs/findings/recall.md", 40)]
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
fn each_section_of_gotchas_ends_with_its_scenario() {
    for section in read("docs/gotchas.md").split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        let last = body.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("Scenario: `"), "{title:?} ends with {last:?}");
    }
}

/// A report can be sent as it is: it contains the program that `.ci/findings` runs, and the index links to it.
#[test]
fn each_finding_has_its_program_and_a_line_in_the_index() {
    let index = read("docs/findings/README.md");
    let mut count = 0;
    for folder in fs::read_dir(root().join("docs/findings")).expect("a folder").flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension == "md") {
                continue;
            }
            let program = fs::read_to_string(&path).expect("the program can be read");
            let report = path.with_extension("md");
            let text = fs::read_to_string(&report).unwrap_or_default();
            assert!(text.contains(&program), "{} lacks its program", report.display());
            assert!(program.lines().count() <= 40, "{} is too long", path.display());
            for part in
                ["Found by", "**Expected**", "**Observed**", "**Cause**", "**Suggested fix**"]
            {
                assert!(text.contains(part), "{} lacks {part}", report.display());
            }
            let name =
                |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            let link = format!("]({}/{})", name(&folder.path()), name(&report));
            assert!(index.contains(&link), "the index lacks {link}");
            count += 1;
        }
    }
    assert!(count >= 19, "only {count} findings");
}

/// A page that is not in the summary is not in the book, and links to it would lead nowhere there.
#[test]
fn every_page_is_in_the_summary_of_the_book() {
    let summary = read("docs/SUMMARY.md");
    let mut pending = vec![root().join("docs")];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let shown =
                path.strip_prefix(root().join("docs")).expect("inside").display().to_string();
            if path.is_dir() {
                pending.push(path);
            } else if shown.ends_with(".md") && shown != "SUMMARY.md" {
                assert!(summary.contains(&format!("]({shown})")), "docs/SUMMARY.md lacks {shown}");
            }
        }
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
fn an_unknown_requirement_is_reported_at_its_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("unknown.scenario");
    let text = "# A question.\n# covers EOF-1 EOF-99\n\nmain        pipe r w\nmain        close r\n\
                main        close r                     => closed\n";
    fs::write(&path, text).expect("the scenario is written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .arg("check")
        .arg(&path)
        .output()
        .expect("the harness starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("error: no requirement is called EOF-99"), "{errors}");
    assert!(errors.contains("2 | # covers EOF-1 EOF-99\n  |                ^^^^^^"), "{errors}");
}

/// A fault that is listed and not in the source would change nothing, and one that is not listed would never run.
#[test]
fn each_fault_of_the_posix_adapter_is_listed_and_in_its_source() {
    let list = FaultList::read(&root().join("adapters/posix")).expect("the list can be read");
    let listed: BTreeSet<String> = list.faults.iter().map(|fault| fault.name.clone()).collect();
    assert!(listed.len() >= 80, "{}", listed.len());
    let mut in_source = BTreeSet::new();
    for file in fs::read_dir(root().join("adapters/posix/src")).expect("the folder can be read") {
        let path = file.expect("the entry can be read").path();
        let source = fs::read_to_string(&path).expect("the file can be read");
        let places = source.split("fault!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        in_source.extend(places.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    assert_eq!(listed, in_source);
}

#[test]
fn each_fault_of_the_asyncio_adapter_is_listed_and_in_its_source() {
    let list = FaultList::read(&root().join("adapters/asyncio")).expect("the list can be read");
    let listed: BTreeSet<String> = list.faults.iter().map(|fault| fault.name.clone()).collect();
    assert!(listed.len() >= 15, "{}", listed.len());
    let source = read("adapters/asyncio/faulty_agent.py");
    let functions = source.split("@fault\ndef ").skip(1).filter_map(|rest| rest.split('(').next());
    let in_source: BTreeSet<String> = functions.map(|name| name.replace('_', "-")).collect();
    assert_eq!(listed, in_source);
}

#[test]
fn the_scenario_named_for_each_fault_exists() {
    for adapter in ["posix", "asyncio"] {
        let list = FaultList::read(&root().join("adapters").join(adapter)).expect("it can be read");
        for fault in list.faults {
            let file = root().join("scenarios").join(format!("{}.scenario", fault.scenario));
            assert!(file.is_file(), "{adapter}: {}: there is no {}", fault.name, fault.scenario);
        }
    }
}

#[test]
fn the_protocol_schemas_and_their_page_are_up_to_date() {
    for (name, text) in gipc_harness::adapter::schema::files() {
        let path = format!("docs/protocol/{name}");
        assert!(
            read(&path) == text,
            "{path} is outdated: run `cargo harness adapter schema docs/protocol`"
        );
    }
}

/// All messages of both sides, in runs of several themes, are valid by the schemas.
#[test]
fn every_message_of_a_run_matches_its_schema() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let mut compile = |name: &str| {
        let text = read(&format!("docs/protocol/{name}.json"));
        let schema = serde_json::from_str(&text).expect("the schema is JSON");
        compiler.add_resource(name, schema).expect("the name is unique");
        compiler.compile(name, &mut schemas).expect("the schema is valid")
    };
    let (from_agent, to_agent) = (compile("from-agent"), compile("to-agent"));
    let folder = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(root())
        .args(["run", "frame", "task", "process", "--keep", "--record"])
        .arg(folder.path())
        .output()
        .expect("the harness starts");
    assert!(output.status.success());
    // How many messages came from agents, and how many went to them.
    let mut counts = [0, 0];
    let mut pending = vec![folder.path().to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending
                .extend(fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.ends_with("record.jsonl") {
            for line in fs::read_to_string(&path).expect("a record").lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
                let sent = line["event"] == "sent";
                // The runner sends one verb that does not exist, to see whether the agent refuses it.
                let is_unknown_verb = line["is"]["do"]["verb"] == "no-such-verb";
                if line["is"]["type"].is_string() && !is_unknown_verb {
                    let index = if sent { to_agent } else { from_agent };
                    let valid = schemas.validate(&line["is"], index);
                    assert!(
                        valid.is_ok(),
                        "{}: {}",
                        line["is"],
                        valid.expect_err("the message is invalid")
                    );
                    counts[usize::from(sent)] += 1;
                }
            }
        }
    }
    assert!(counts[0] > 1000 && counts[1] > 500, "{counts:?} messages are too few");
}

/// The reason of each known failure of each adapter begins with the violated requirements.
#[test]
fn every_known_failure_names_the_requirement_it_violates() {
    for folder in fs::read_dir(root().join("adapters")).expect("a folder").flatten() {
        let path = folder.path().join("adapter.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let shown = path.display().to_string();
        let manifest = Manifest::parse(&text, &shown).unwrap_or_else(|error| panic!("{error}"));
        assert!(folder.path().join("skips.txt").is_file(), "{shown} has no skips.txt next to it");
        for known in manifest.known {
            let ids: Vec<&str> = known
                .reason
                .split([' ', ',', '.', ':'])
                .filter(|word| !word.is_empty())
                .take_while(|word| requirements::requirement(word).is_some())
                .collect();
            assert!(
                !ids.is_empty(),
                "{shown}: the reason of {} does not begin with a requirement",
                known.scenarios[0]
            );
        }
    }
}

#[test]
fn the_readme_of_the_node_kit_shows_what_adapter_new_generates() {
    let page = read("adapters/kit/node/README.md");
    let shown = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
    let written = read("gipc-harness/src/suite/scaffold/node/agent.mjs").replace("NAME", "mine");
    assert_eq!(shown, Some(written.as_str()));
}

/// For each fix on the page of releases, the stored matrix shows a failure before that release and a pass after it.
#[test]
fn the_fixes_on_the_releases_page_show_in_the_matrix() {
    let columns = matrix("docs/releases").columns;
    let cell = |release: &str, scenario: &str| {
        let name = format!("gipc-python@{release}");
        let column = columns.iter().find(|column| column.adapter == name);
        column.expect("the matrix has the release").cells[scenario].clone()
    };
    let page = read("docs/releases/README.md");
    let rows = page.lines().filter(|line| line.starts_with("| 0."));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (scenario, before, after) = (cells[3], cells[4], cells[5]);
        let before = cell(before, scenario);
        assert!(before.verdict == Status::Known || before.sometimes, "{row}");
        assert_eq!(cell(after, scenario).verdict, Status::Pass, "{row}");
        count += 1;
    }
    assert!(count >= 9 && columns.len() == 20, "{count} rows, {} releases", columns.len());
}

/// Each row of the table in the README has the numbers of the stored matrix.
#[test]
fn the_numbers_in_the_readme_match_the_matrix() {
    let page = read("README.md");
    let suite = format!("the suite has {} scenarios", suite().len());
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(&suite), "{suite}");
    // Heavy scenarios are not run on every implementation, so that rows with them could not be compared.
    let found = Suite::find(Some(root().join("scenarios")), None).expect("the suite is here");
    let files = found.select(&[]).expect("the scenarios are here");
    let (heavy, light): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.is_heavy());
    let heavy: BTreeSet<&str> = heavy.into_iter().map(|file| file.id.as_str()).collect();
    let sentence = format!("The table counts {} scenarios", light.len());
    assert!(page.contains(&sentence), "README.md does not say {sentence:?}");
    for column in matrix("docs/matrix").columns {
        let name = column.adapter.as_str();
        // A variant of an adapter has no row.
        if name.contains('@') {
            continue;
        }
        let mut cells = column.cells.clone();
        cells.retain(|id, _| !heavy.contains(id.as_str()));
        let count = |is: &dyn Fn(&Cell) -> bool| cells.values().filter(|cell| is(cell)).count();
        let is_known = |cell: &Cell| cell.verdict == Status::Known;
        let is_defect = |cell: &Cell| cell.sort == Some(FailureSort::Defect);
        let numbers = [
            count(&|cell| cell.verdict == Status::Pass),
            count(&|cell| is_known(cell) && is_defect(cell)),
            count(&|cell| is_known(cell) && !is_defect(cell)),
            count(&|cell| cell.verdict == Status::Skip),
        ];
        assert_eq!(numbers.iter().sum::<usize>(), cells.len(), "{name} has other verdicts");
        let numbers = numbers.map(|number| number.to_string()).join(" | ");
        let row = page.lines().find(|line| line.starts_with(&format!("| [{name}](")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {name}"));
        assert!(row.ends_with(&format!(" | {numbers} |")), "{row} should end with {numbers}");
        if name == "gipc-python" {
            let (count, causes) = column.of_sort(FailureSort::Defect);
            let sentence = format!("The {count} defects of gipc-python have {causes} root causes");
            assert!(page.contains(&sentence), "README.md does not say {sentence:?}");
        }
    }
}
