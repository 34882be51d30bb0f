//! Tests of the matrix: changes, merging, the file format, and the text that reports show.

use super::*;
use rstest::rstest;

/// A column with a cell for each line, such as `close/twice PASS`; a third word is the outcome of the first mismatch,
/// and a line that ends with `sometimes` is an intermittent result.
fn column(adapter: &str, cells: &str) -> Column {
    let cell = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, status, got) = (words.next().expect("an id"), words.next(), words.next());
        let verdict = serde_json::from_value(status.into()).expect("a status");
        let first = got.map(|got| Wrong {
            step: "main get r".into(),
            expected: "eof".into(),
            because: String::new(),
            got: got.into(),
            detail: None,
        });
        let mut cell = Cell::new(verdict);
        (cell.first, cell.sometimes) = (first, line.ends_with("sometimes"));
        if got.is_some() {
            cell.notes.push("it forgets".into());
            cell.came = Some("main get r  blocks\n".into());
        }
        (id.to_owned(), cell)
    };
    let cells = cells.lines().map(str::trim).filter(|line| !line.is_empty()).map(cell).collect();
    let implementation = format!("{adapter} 1");
    Column { adapter: adapter.into(), implementation, cells, ..Column::default() }
}

fn matrix(columns: impl IntoIterator<Item = Column>) -> Matrix {
    let scenario = |id: &str, covers: &str| {
        let info = ScenarioInfo {
            about: "A sentence.".into(),
            text: format!("# {id}\n"),
            covers: covers.split(' ').map(str::to_owned).collect(),
            heavy: id.starts_with("heavy"),
            model: "main get r  eof\n".into(),
            digest: id.into(),
        };
        (id.to_owned(), info)
    };
    let scenarios = [
        scenario("close/a", "EOF-1"),
        scenario("close/b", "EOF-1 EOF-2"),
        scenario("heavy/c", "EOF-2"),
    ];
    let mut matrix = Matrix::new("2020-01-01T00:00:00Z".into(), scenarios.into());
    matrix.columns = columns.into_iter().collect();
    matrix
}

#[test]
fn a_result_that_is_not_expected_is_shown_with_its_reason() {
    let found = matrix([
        column("one", "close/a PASS\nclose/b KNOWN never"),
        column("two", "close/a ERROR\nclose/b FAIL never"),
    ]);
    let text = table(&found, None);
    assert!(text.contains("  ERROR close/a on two\n"), "{text}");
    let failed = "  FAIL close/b on two\n    main get r: expected eof, got never\n    it forgets\n";
    assert!(text.contains(failed), "{text}");
    assert!(!text.contains("close/b on one"), "{text}");
}

/// The page with this name.
fn page(matrix: &Matrix, name: &str) -> String {
    let found = pages(matrix, None).into_iter().find(|(page, _)| page == name);
    found.unwrap_or_else(|| panic!("there is no {name}")).1
}

#[rstest]
#[case::the_same_results_are_no_change("close/a PASS", "close/a PASS", &[])]
#[case::a_new_failure_is_worse("close/a PASS", "close/a FAIL never", &["worse close/a"])]
#[case::a_new_known_failure_is_worse("close/a PASS", "close/a KNOWN never", &["worse close/a"])]
#[case::a_fixed_failure_is_better("close/a KNOWN never", "close/a PASS", &["better close/a"])]
#[case::a_fixed_failure_that_is_still_listed_is_better("close/a KNOWN never", "close/a FIXED", &["better close/a"])]
#[case::another_outcome_is_another_failure("close/a KNOWN never", "close/a KNOWN eof", &["other close/a"])]
#[case::a_new_skip_is_worse("close/a PASS", "close/a SKIP", &["worse close/a"])]
#[case::an_intermittent_failure_is_no_change("close/a PASS", "close/a KNOWN never sometimes", &[])]
#[case::a_first_result_is_new("", "close/a PASS", &["new close/a"])]
#[case::a_scenario_that_did_not_run_is_no_change("close/a PASS\nclose/b PASS", "close/a PASS", &[])]
#[case::a_scenario_that_the_suite_no_longer_has_is_gone("close/old PASS", "", &["gone close/old"])]
#[case::the_worst_change_comes_first(
    "close/a KNOWN never\nclose/b PASS", "close/a PASS\nclose/b FAIL eof", &["worse close/b", "better close/a"]
)]
fn the_changes_between_two_matrices(
    #[case] before: &str,
    #[case] now: &str,
    #[case] expected: &[&str],
) {
    let [before, now] = [before, now].map(|cells| matrix([column("it", cells)]));
    let changes: Vec<String> = changes(&before, &now)
        .iter()
        .map(|change| format!("{} {}", change.way.name(), change.scenario))
        .collect();
    assert_eq!(changes, expected);
}

#[rstest]
#[case::a_skipped_scenario_has_run("close/a PASS\nclose/b SKIP", &[])]
#[case::a_scenario_without_a_result_is_missing("close/a PASS", &["it ran 1 of 2 scenarios"])]
fn a_matrix_is_partial_if_an_ordinary_scenario_is_missing(
    #[case] cells: &str,
    #[case] expected: &[&str],
) {
    assert_eq!(matrix([column("it", cells)]).partial(), expected);
}

#[test]
fn a_matrix_is_partial_if_an_implementation_could_not_run() {
    let absent = Column { absent: Some("no ruby".into()), ..column("it", "") };
    assert_eq!(matrix([absent]).partial(), ["it did not run: no ruby"]);
}

#[test]
fn merging_joins_the_cells_of_an_implementation() {
    let mut first = matrix([column("it", "close/a PASS"), column("other", "close/a PASS")]);
    let second = matrix([column("it", "close/b FAIL eof")]);
    first.merge(second).expect("they can be merged");
    assert_eq!(
        first.columns[0].sum(["close/a", "close/b"]).worst,
        Some((Status::Fail, "close/b".into()))
    );
    assert_eq!(first.partial(), ["other ran 1 of 2 scenarios"]);
}

#[test]
fn matrices_of_two_suites_or_two_versions_cannot_be_merged() {
    let mut first = matrix([column("it", "close/a PASS")]);
    let mut other = matrix([]);
    other.scenarios.get_mut("close/a").expect("the entry exists").digest = "another".into();
    let error = first.merge(other).expect_err("a scenario differs");
    assert!(error.contains("close/a"), "{error}");
    let newer = Column { implementation: "it 2".into(), ..column("it", "close/b PASS") };
    let error = first.merge(matrix([newer])).expect_err("the version differs");
    assert!(error.contains("it is it 1 in one and it 2 in the other"), "{error}");
}

#[test]
fn a_matrix_survives_writing_and_reading_and_another_format_is_refused() {
    let mut column = column("it", "close/a FAIL eof\nclose/b PASS\nheavy/c PASS sometimes");
    column.environment = serde_json::json!({ "facts": [{ "name": "kernel", "found": "6.1" }] });
    column.cells.get_mut("close/a").expect("the entry exists").notes.push("it leaks".into());
    let matrix = matrix([column]);
    let text = stored::results(&matrix);
    let mut read = stored::parse(&text).expect("the same format");
    assert_eq!(stored::results(&read), text);
    assert!(read.scenarios["close/a"].text.is_empty(), "the results are without the evidence");
    stored::add_evidence(&mut read, &stored::evidence(&matrix)).expect("the same format");
    assert_eq!(read.scenarios, matrix.scenarios);
    assert_eq!(read.columns[0].cells, matrix.columns[0].cells);
    assert_eq!(read.columns[0].environment, matrix.columns[0].environment);
    let error = stored::parse(&text.replacen("\"format\": 2", "\"format\": 9", 1))
        .expect_err("no such format");
    assert!(error.contains("it has the format 9"), "{error}");
}

#[test]
fn evidence_of_another_matrix_is_not_used() {
    let older = matrix([column("it", "close/a FAIL eof")]);
    let mut newer = matrix([column("it", "close/a FAIL never")]);
    newer.made = "2020-01-02T00:00:00Z".into();
    let mut read = stored::parse(&stored::results(&newer)).expect("the same format");
    stored::add_evidence(&mut read, &stored::evidence(&older)).expect("the same format");
    assert_eq!(read.columns[0].cells["close/a"].came, None);
}

#[test]
fn a_result_is_one_line_of_the_file() {
    let [before, after] = ["close/a PASS\nclose/b FAIL eof", "close/a PASS\nclose/b FAIL never"]
        .map(|cells| stored::results(&matrix([column("it", cells)])));
    let differences = before.lines().zip(after.lines()).filter(|(old, new)| old != new).count();
    assert_eq!((before.lines().count(), differences), (after.lines().count(), 1), "{after}");
}

#[test]
fn a_requirement_has_the_worst_status_of_its_scenarios() {
    let matrix = matrix([column("it", "close/a PASS\nclose/b KNOWN never")]);
    let text = markdown(&matrix, None);
    let row = text.lines().find(|line| line.starts_with("| EOF-1 |")).expect("it has a row");
    assert!(row.ends_with("| known 1/2 |"), "{row}");
    assert!(text.contains("- it forgets\n  - close/b: `main get r` gives never\n"), "{text}");
    assert!(text.contains("| it | 1/2 | – | 1 | 1 | 0 | 0 |"), "{text}");
}

#[rstest]
#[case::all_were_asked("close/a PASS\nclose/b PASS", "| pass |", "title=\"PASS: close/a\">✓<")]
#[case::one_of_two_was_asked(
    "close/a PASS\nclose/b SKIP",
    "| 1 of 2 |",
    "title=\"not asked: close/b\">1 of 2<"
)]
#[case::the_one_that_was_asked_fails(
    "close/a KNOWN never\nclose/b SKIP",
    "| known 0/1 of 2 |",
    "title=\"not asked: close/b\"> 0/1 of 2<"
)]
fn a_requirement_says_how_many_of_its_scenarios_were_asked(
    #[case] cells: &str,
    #[case] row: &str,
    #[case] html: &str,
) {
    let matrix = matrix([column("it", cells)]);
    let text = markdown(&matrix, None);
    let line = text.lines().find(|line| line.starts_with("| EOF-1 |")).expect("it has a row");
    assert!(line.ends_with(row), "{line}");
    let page = page(&matrix, "index.html");
    assert!(page.contains(html), "{}", page.split("EOF-1").nth(1).unwrap_or_default());
}

#[test]
fn failures_with_one_cause_are_counted_as_one_cause() {
    let mut column = column("it", "close/a KNOWN never\nclose/b KNOWN never");
    for cell in column.cells.values_mut() {
        cell.sort = Some(FailureSort::Defect);
    }
    assert_eq!(column.sorts(), "2 defect");
    for cell in column.cells.values_mut() {
        cell.cause = Some("it forgets".into());
    }
    assert_eq!(column.sorts(), "2 defect (1 cause)");
}

#[test]
fn text_of_an_implementation_is_escaped_in_html_and_markdown() {
    let markup = "</script><img src=x onerror=alert(1)> | \" & \\";
    let mut column = column("it", "close/a KNOWN eof");
    let cell = column.cells.get_mut("close/a").expect("the entry exists");
    (cell.notes, cell.came, cell.stuck) =
        (vec![markup.into()], Some(markup.into()), Some(markup.into()));
    cell.first.as_mut().expect("it has a mismatch").detail = Some(markup.into());
    (column.about, column.implementation) = (markup.into(), markup.into());
    let matrix = matrix([column]);
    for (name, html) in pages(&matrix, None) {
        assert!(!html.contains("<img"), "a tag is not escaped in {name}");
        assert_eq!(html.matches("</script>").count(), usize::from(name == "index.html"), "{name}");
    }
    let html = page(&matrix, "it.html");
    assert!(html.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; | &quot; &amp; \\"));
    let text = markdown(&matrix, None);
    assert!(
        !text.contains("<img") && text.contains("&lt;img src=x onerror=alert(1)> \\|"),
        "{text}"
    );
}

#[test]
fn the_evidence_of_a_cell_shows_both_traces_and_marks_the_first_difference() {
    let matrix = matrix([column("it", "close/a KNOWN never")]);
    assert!(page(&matrix, "index.html").contains("href=\"it.html#close+a\""));
    let html = page(&matrix, "it.html");
    assert!(html.contains("id=\"close+a\""));
    let row = html.split("<tr class=\"first-difference differs\">").nth(1).expect("one is marked");
    let row = row.split("</tr>").next().unwrap_or_default();
    assert!(
        row.contains("main get r") && row.contains(">eof<") && row.contains(">blocks<"),
        "{row}"
    );
}

#[test]
fn a_known_failure_shows_its_verdict_its_sort_and_whether_it_fails_in_some_runs_only() {
    let mut matrix = matrix([column("it", "close/a KNOWN never sometimes")]);
    for cell in matrix.columns.iter_mut().flat_map(|column| column.cells.values_mut()) {
        cell.sort = Some(FailureSort::Defect);
        cell.failed_with = Some("DEADLOCK".into());
    }
    let own = page(&matrix, "it.html");
    for part in ["DEADLOCK, known", "in some runs", "1 defect"] {
        assert!(own.contains(part), "{part} is not in\n{own}");
    }
    let index = page(&matrix, "index.html");
    for part in ["✗~", "fails in some runs only"] {
        assert!(index.contains(part), "{part} is not in\n{index}");
    }
}

#[test]
fn every_link_of_the_pages_leads_to_an_element() {
    let cells = "close/a KNOWN never\nclose/b SKIP\nheavy/c FAIL eof";
    let pages = pages(&matrix([column("it", cells), column("it@other", "close/a PASS")]), None);
    let mut count = 0;
    for (name, html) in &pages {
        for link in html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let target = pages.iter().find(|(name, _)| name == file);
            let (_, target) = target.unwrap_or_else(|| panic!("{name}: no page {file}"));
            let is_there = fragment.is_empty() || target.contains(&format!("id=\"{fragment}\""));
            assert!(is_there, "{name}: {link} leads nowhere");
            count += 1;
        }
    }
    assert!(count > 20, "{count} links");
}
