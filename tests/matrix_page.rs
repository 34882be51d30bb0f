//! The matrix in a real browser, opened from disk: cells are clicked, rows searched, and nothing is complained about.
//!
//! Chromium does it without being steered: a script that is added to a copy of the page clicks, and writes down what it
//! sees. Skipped, with a word, where there is no Chromium.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Clicks where a visitor would, and leaves what came of it as JSON in the page.
const VISITOR: &str = r##"<script>
const seen = { errors };
const shown = (rows) => [...document.querySelectorAll(rows)].filter((row) => row.checkVisibility()).length;
const dialog = document.querySelector("dialog");
const known = document.querySelector(".rows td.known a");
known.click();
seen.opened = dialog.open;
seen.marked = dialog.querySelectorAll(".first-difference").length;
seen.sides = [...(dialog.querySelector(".first-difference")?.children ?? [])].map((cell) => cell.textContent);
seen.sentence = dialog.querySelector(".promises")?.textContent;
seen.address = location.hash === known.hash;
dialog.querySelector("button").click();
seen.closed = !dialog.open;
const all = shown(".rows tbody tr");
const form = document.querySelector(".controls");
const filtered = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  const left = shown(".rows tbody tr");
  form.elements[name].value = "";
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  return left;
};
seen.all = all;
seen.searched = filtered("text", "truncated");
seen.of_theme = filtered("theme", "close");
seen.failing = filtered("verdict", "known");
seen.again = shown(".rows tbody tr");
document.querySelector(".rows td.pass a").click();
seen.passing = dialog.querySelectorAll("pre").length;
const result = document.createElement("pre");
result.id = "visit";
result.textContent = JSON.stringify(seen);
document.body.replaceChildren(result);
</script>"##;

const EARS: &str = r#"<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
</script>"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The page that the kept matrix makes.
fn page(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .current_dir(root())
        .args(["matrix", "--from", "docs/matrix", "--output"])
        .arg(folder)
        .output()
        .expect("it is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(folder.join("index.html")).expect("it was written")
}

/// What Chromium shows of a file in the end, and what it logs of the page; none if there is no Chromium.
fn visit(file: &Path, profile: &Path) -> Option<(String, String)> {
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    let found = programs.iter().find_map(|program| {
        Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", file.display()))
            .stdin(Stdio::null())
            .output()
            .ok()
    });
    let Some(output) = found else {
        let required = std::env::var("GIPC_HARNESS_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "chromium"), "there is no Chromium");
        let _ = writeln!(std::io::stdout(), "skipped: there is no Chromium here");
        return None;
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let console = text(output.stderr).lines().filter(|line| line.contains("CONSOLE")).collect();
    Some((text(output.stdout), console))
}

#[test]
fn the_page_works_from_disk_and_a_clicked_cell_shows_the_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let html = page(folder.path());
    let visited = html.replacen("<head>", &format!("<head>{EARS}"), 1);
    let visited = visited.replacen("</body>", &format!("{VISITOR}</body>"), 1);
    let file = folder.path().join("visited.html");
    fs::write(&file, visited).expect("written");
    let Some((shown, console)) = visit(&file, &folder.path().join("profile")) else { return };
    assert_eq!(console, "", "the console is silent");
    let seen =
        shown.split("<pre id=\"visit\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let seen = seen.unwrap_or_else(|| panic!("the visit did not end: {shown:.2000}"));
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let seen: Value = serde_json::from_str(&seen).expect("it is JSON");
    let number = |name: &str| seen[name].as_u64().unwrap_or(0);
    assert_eq!(seen["errors"], serde_json::json!([]));
    for what in ["opened", "closed", "address"] {
        assert_eq!(seen[what], true, "{what}: {seen}");
    }
    assert_eq!(number("marked"), 1, "{seen}");
    assert_eq!(seen["sides"].as_array().map(Vec::len), Some(3), "{seen}");
    assert_ne!(seen["sides"][1], seen["sides"][2], "{seen}");
    assert!(
        seen["sentence"]
            .as_str()
            .is_some_and(|text| text.contains("MUST") || text.contains("SHOULD")),
        "{seen}"
    );
    assert!(number("all") > 300, "{seen}");
    for part in ["searched", "of_theme", "failing"] {
        assert!((1..number("all")).contains(&number(part)), "{part}: {seen}");
    }
    assert_eq!(number("again"), number("all"), "{seen}");
    assert_eq!(number("passing"), 2, "{seen}");
}

#[test]
fn without_scripts_the_tables_are_there_and_nothing_that_needs_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let html = page(folder.path());
    assert!(html.contains("<form class=\"controls\" hidden"), "what needs a script is hidden");
    for outside in ["<link", "src=\"", "@import", "url(", "href=\"http"] {
        assert!(!html.contains(outside), "{outside}: the page needs nothing from elsewhere");
    }
    assert!(html.matches("<tr").count() > 300, "the rows are there");
    // A cell is a link to its evidence, which is shown where it is the target.
    let link = html.split("<td class=\"known\"><a href=\"#").nth(1).expect("somebody fails");
    let target = link.split('"').next().unwrap_or_default();
    assert!(html.contains(&format!("<article id=\"{target}\"")), "{target} is nowhere");
    assert!(html.contains("#evidence article:target"), "evidence can be a target");
}
