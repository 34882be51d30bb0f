//! What a matrix says of made-up runs.

use super::*;
use rstest::rstest;

/// `close/twice PASS`, a line each; a third word is what the first wrong step came to.
fn column(adapter: &str, cells: &str) -> Column {
    let cell = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, word, got) = (words.next().expect("an id"), words.next(), words.next());
        let verdict = serde_json::from_value(word.into()).expect("it is a word");
        let first = got.map(|got| Wrong {
            step: "main get r".into(),
            expected: "eof".into(),
            because: String::new(),
            got: got.into(),
            detail: None,
        });
        let said = got.is_some();
        let cell = Cell {
            verdict,
            first,
            notes: said.then(|| "it forgets".to_owned()).into_iter().collect(),
            sometimes: line.ends_with("sometimes"),
            sort: None,
            stuck: None,
            model: None,
            came: said.then(|| "main get r  blocks\n".to_owned()),
        };
        (id.to_owned(), cell)
    };
    let cells = cells.lines().map(str::trim).filter(|line| !line.is_empty()).map(cell).collect();
    let implementation = format!("{adapter} 1");
    Column { adapter: adapter.into(), implementation, cells, ..Column::default() }
}

fn matrix(columns: impl IntoIterator<Item = Column>) -> Matrix {
    let asked = |id: &str, covers: &str| {
        let asked = ScenarioInfo {
            about: "A sentence.".into(),
            text: format!("# {id}\n"),
            covers: covers.split(' ').map(str::to_owned).collect(),
            heavy: id.starts_with("heavy"),
            model: "main get r  eof\n".into(),
        };
        (id.to_owned(), asked)
    };
    let scenarios =
        [asked("close/a", "EOF-1"), asked("close/b", "EOF-1 EOF-2"), asked("heavy/c", "EOF-2")];
    let mut matrix = Matrix::new("2020-01-01T00:00:00Z".into(), scenarios.into());
    matrix.columns = columns.into_iter().collect();
    matrix
}

#[rstest]
#[case::all_as_before("close/a PASS", "close/a PASS", &[])]
#[case::it_fails_now("close/a PASS", "close/a FAIL never", &["worse close/a"])]
#[case::it_is_known_to_fail_now("close/a PASS", "close/a KNOWN never", &["worse close/a"])]
#[case::it_is_mended("close/a KNOWN never", "close/a PASS", &["better close/a"])]
#[case::it_is_mended_and_still_listed("close/a KNOWN never", "close/a FIXED", &["better close/a"])]
#[case::it_fails_in_another_way("close/a KNOWN never", "close/a KNOWN eof", &["other close/a"])]
#[case::it_cannot_be_asked_any_more("close/a PASS", "close/a SKIP", &["worse close/a"])]
#[case::it_wavers("close/a PASS", "close/a KNOWN never sometimes", &[])]
#[case::it_is_asked_now("", "close/a PASS", &["new close/a"])]
#[case::this_run_did_not_ask("close/a PASS\nclose/b PASS", "close/a PASS", &[])]
#[case::it_is_not_there_any_more("close/old PASS", "", &["gone close/old"])]
#[case::the_worst_comes_first(
    "close/a KNOWN never\nclose/b PASS", "close/a PASS\nclose/b FAIL eof", &["worse close/b", "better close/a"]
)]
fn what_changed(#[case] before: &str, #[case] now: &str, #[case] expected: &[&str]) {
    let [before, now] = [before, now].map(|cells| matrix([column("it", cells)]));
    let all = changes(&before, &now);
    let all: Vec<String> =
        all.iter().map(|one| format!("{} {}", one.way.word(), one.scenario)).collect();
    assert_eq!(all, expected);
}

#[rstest]
#[case::whole("close/a PASS\nclose/b SKIP", &[])]
#[case::one_is_missing("close/a PASS", &["it ran 1 of 2 scenarios"])]
fn what_makes_it_partial(#[case] cells: &str, #[case] expected: &[&str]) {
    assert_eq!(matrix([column("it", cells)]).partial(), expected);
}

#[test]
fn who_could_not_run_makes_it_partial() {
    let absent = Column { absent: Some("no ruby".into()), ..column("it", "") };
    assert_eq!(matrix([absent]).partial(), ["it did not run: no ruby"]);
}

#[test]
fn parts_come_together() {
    let mut first = matrix([column("it", "close/a PASS"), column("other", "close/a PASS")]);
    let second = matrix([column("it", "close/b FAIL eof")]);
    first.merge(second).expect("they fit");
    assert_eq!(
        first.columns[0].sum(["close/a", "close/b"]).worst,
        Some((Status::Fail, "close/b".into()))
    );
    assert_eq!(first.partial(), ["other ran 1 of 2 scenarios"]);
}

#[test]
fn parts_of_two_suites_or_two_releases_do_not_come_together() {
    let mut first = matrix([column("it", "close/a PASS")]);
    let mut other = matrix([]);
    other.scenarios.get_mut("close/a").expect("it is there").text = "# another\n".into();
    let error = first.merge(other).expect_err("it asks something else");
    assert!(error.contains("close/a"), "{error}");
    let newer = Column { implementation: "it 2".into(), ..column("it", "close/b PASS") };
    let error = first.merge(matrix([newer])).expect_err("it is another release");
    assert!(error.contains("it is it 1 in one and it 2 in the other"), "{error}");
}

#[test]
fn what_is_written_can_be_read() {
    let text =
        serde_json::to_string(&matrix([column("it", "close/a FAIL eof")])).expect("it is data");
    let read = Matrix::parse(&text).expect("it was written so");
    assert_eq!(serde_json::to_string(&read).expect("it is data"), text);
    let error = Matrix::parse(&text.replacen("\"format\":1", "\"format\":9", 1))
        .expect_err("no such format");
    assert!(error.contains("it has the format 9"), "{error}");
}

#[test]
fn a_requirement_is_as_good_as_its_worst_scenario() {
    let matrix = matrix([column("it", "close/a PASS\nclose/b KNOWN never")]);
    let text = markdown(&matrix, None);
    let row = text.lines().find(|line| line.starts_with("| EOF-1 |")).expect("it has a row");
    assert!(row.ends_with("| known 1/2 |"), "{row}");
    assert!(text.contains("- **close/b**: `main get r` comes to never. it forgets"), "{text}");
    assert!(text.contains("| it | 1/2 | – | 1 | 1 | 0 | 0 |"), "{text}");
}

/// Words of an implementation that would be more than words on a page.
#[test]
fn no_word_of_an_implementation_is_more_than_a_word() {
    let evil = "</script><img src=x onerror=alert(1)> | \" & \\";
    let mut one = column("it", "close/a KNOWN eof");
    let cell = one.cells.get_mut("close/a").expect("it is there");
    (cell.notes, cell.came, cell.stuck) = (vec![evil.into()], Some(evil.into()), Some(evil.into()));
    cell.first.as_mut().expect("it is wrong").detail = Some(evil.into());
    (one.about, one.implementation) = (evil.into(), evil.into());
    let matrix = matrix([one]);
    let html = page(&matrix, None);
    assert!(!html.contains("<img"), "a tag came through");
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(html.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; | &quot; &amp; \\"));
    let text = markdown(&matrix, None);
    assert!(
        !text.contains("<img") && text.contains("&lt;img src=x onerror=alert(1)> \\|"),
        "{text}"
    );
}

#[test]
fn a_cell_leads_to_two_traces_with_the_first_difference_marked() {
    let html = page(&matrix([column("it", "close/a KNOWN never")]), None);
    assert!(html.contains("href=\"#close+a!it\"") && html.contains("id=\"close+a!it\""));
    let row = html.split("<tr class=\"first-difference differs\">").nth(1).expect("one is marked");
    let row = row.split("</tr>").next().unwrap_or_default();
    assert!(
        row.contains("main get r") && row.contains(">eof<") && row.contains(">blocks<"),
        "{row}"
    );
}
