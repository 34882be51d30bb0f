//! The page of the matrix in a real browser, opened from disk: a clicked cell shows its evidence, rows can be filtered,
//! and the browser reports no error.
//!
//! The test needs no browser automation: a script that is added to a copy of the page clicks and records what is shown.
//! Without Chromium the test is skipped, and prints that.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Clicks and filters like a user, and writes the results into the page as JSON.
const USER_SCRIPT: &str = r##"<script>
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
seen.unfiltered = shown(".rows tbody tr");
document.querySelector(".rows td.pass a").click();
seen.passing = dialog.querySelectorAll("pre").length;
const result = document.createElement("pre");
result.id = "result";
result.textContent = JSON.stringify(seen);
document.body.replaceChildren(result);
</script>"##;

/// Records script errors; it comes before all other scripts.
const ERROR_LISTENER: &str = r#"<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
</script>"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Renders the stored matrix into the folder, and returns the HTML of the page.
fn page(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gipc-harness"))
        .env("GIPC_HARNESS_CACHE", "")
        .current_dir(root())
        .args(["matrix", "--from", "docs/matrix", "--output"])
        .arg(folder)
        .output()
        .expect("the harness starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(folder.join("index.html")).expect("the page was written")
}

/// Opens a file in Chromium, and returns the final DOM and the console output of the page, or `None` without Chromium.
fn open_in_chromium(file: &Path, profile: &Path) -> Option<(String, String)> {
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
        assert!(!required.split(',').any(|name| name == "chromium"), "Chromium is not installed");
        let _ = writeln!(std::io::stdout(), "skipped: Chromium is not installed");
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
    let scripted = html.replacen("<head>", &format!("<head>{ERROR_LISTENER}"), 1);
    let scripted = scripted.replacen("</body>", &format!("{USER_SCRIPT}</body>"), 1);
    let file = folder.path().join("scripted.html");
    fs::write(&file, scripted).expect("the page is written");
    let Some((dom, console)) = open_in_chromium(&file, &folder.path().join("profile")) else {
        return;
    };
    assert_eq!(console, "", "the console is empty");
    let seen = dom.split("<pre id=\"result\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let seen = seen.unwrap_or_else(|| panic!("the script did not finish: {dom:.2000}"));
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let seen: Value = serde_json::from_str(&seen).expect("the result is JSON");
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
    assert_eq!(number("unfiltered"), number("all"), "{seen}");
    assert_eq!(number("passing"), 2, "{seen}");
}

#[test]
fn without_scripts_the_page_shows_the_tables_and_hides_the_controls() {
    let folder = tempfile::tempdir().expect("a folder");
    let html = page(folder.path());
    assert!(
        html.contains("<form class=\"controls\" hidden"),
        "controls that need a script are hidden"
    );
    for outside in ["<link", "src=\"", "@import", "url(", "href=\"http"] {
        assert!(!html.contains(outside), "{outside}: the page loads nothing from elsewhere");
    }
    assert!(html.matches("<tr").count() > 300, "the rows exist");
    // A cell links to its evidence, which the stylesheet shows while it is the target of the URL.
    let link = html.split("<td class=\"known\"><a href=\"#").nth(1).expect("a known failure");
    let target = link.split('"').next().unwrap_or_default();
    assert!(html.contains(&format!("<article id=\"{target}\"")), "{target} does not exist");
    assert!(html.contains("#evidence article:target"), "evidence can be the target of a link");
}
