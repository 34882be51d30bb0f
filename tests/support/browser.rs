//! Opens pages in headless Chromium, with scripts that report what they see. One start of the browser shows a page on all
//! screens.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The size of the page, and the preferred color scheme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

/// Comes before all other scripts: records errors, and defines `seen` and `report()`.
const RECORDER: &str = r#"<script>
const seen = { errors: [] };
addEventListener("error", (event) => seen.errors.push(event.message));
const report = () => {
  seen.width = [innerWidth, document.documentElement.scrollWidth];
  seen.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const colors = getComputedStyle(document.body);
  seen.colors = [colors.backgroundColor, colors.color];
  const scrolling = [...document.querySelectorAll("*")].filter((one) => one.scrollWidth > one.clientWidth + 1
    && getComputedStyle(one).overflowX === "auto");
  seen.unreachable = scrolling.filter((one) => one.tabIndex !== 0).map((one) => one.outerHTML.slice(0, 80));
  parent.postMessage(JSON.stringify(seen), "*");
};
</script>"#;

/// Shows a page in a frame for each screen, since a window of the browser cannot be as narrow as a phone, and waits for their
/// reports. The frames lie on each other, so that all are inside the window.
const FRAMES: &str = r#"<!DOCTYPE html><meta name="color-scheme" content="light dark">FRAMES<script>
const frames = [...document.querySelectorAll("iframe")];
const results = frames.map(() => null);
addEventListener("message", (event) => {
  results[frames.findIndex((frame) => frame.contentWindow === event.source)] = JSON.parse(event.data);
  if (results.includes(null)) return;
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(results);
  document.body.replaceChildren(result);
});
</script>"#;

/// Opens an address in a folder of pages on several screens at once, and returns what the page reported on each by
/// `report()`; `None` without Chromium. `scripts` are added to pages, by the name of the file.
///
/// Panics if the page did not report on each screen, if the browser reported an error, if the page is wider than the
/// screen, if a part that scrolls sideways cannot be reached by the keyboard, or if the colors do not fit the scheme.
pub(crate) fn open_in_chromium(
    pages: &Path,
    address: &str,
    screens: &[Screen],
    scripts: &[(&str, &str)],
) -> Option<Vec<Value>> {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(pages).expect("the pages").flatten() {
        let name = entry.file_name();
        let mut html = fs::read_to_string(entry.path()).expect("a page");
        if let Some((_, script)) = scripts.iter().find(|(file, _)| name.to_str() == Some(*file)) {
            html = html.replacen("<head>", &format!("<head>{RECORDER}"), 1);
            let script = format!("addEventListener('load', () => setTimeout(() => {{{script}}}));");
            html = html.replacen("</body>", &format!("<script>{script}</script></body>"), 1);
        }
        fs::write(folder.path().join(name), html).expect("the page is written");
    }
    let frames: String = screens.iter().map(|screen| frame(address, *screen)).collect();
    let html = FRAMES.replace("FRAMES", &frames);
    fs::write(folder.path().join("frames.html"), html).expect("the frames are written");
    let url = format!("file://{}/frames.html", folder.path().display());
    let width = screens.iter().map(|screen| screen.width).max().unwrap_or_default();
    let height = screens.iter().map(|screen| screen.height).max().unwrap_or_default();
    let (dom, console) = run(&url, (width, height), &folder.path().join("profile"))?;
    assert_eq!(console, "", "the console is empty");
    let seen = dom.split("<pre id=\"result\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let seen =
        seen.unwrap_or_else(|| panic!("{address} did not report on all screens: {dom:.2000}"));
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let seen: Vec<Value> = serde_json::from_str(&seen).expect("the result is JSON");
    assert_eq!(seen.len(), screens.len(), "{address}");
    screens.iter().zip(&seen).for_each(|(screen, seen)| check(*screen, seen));
    Some(seen)
}

/// The frame of a screen. The color scheme of the frame is the one that the page in it prefers.
fn frame(address: &str, screen: Screen) -> String {
    let Screen { width, height, dark } = screen;
    let scheme = if dark { "dark" } else { "light" };
    format!(
        "<iframe src=\"{address}\" style=\"position: absolute; left: 0; top: 0; width: {width}px; \
         height: {height}px; border: 0; color-scheme: {scheme}\"></iframe>"
    )
}

/// Checks what holds for every page.
fn check(screen: Screen, seen: &Value) {
    assert_eq!(seen["errors"], serde_json::json!([]), "{screen:?}");
    assert_eq!(seen["width"][0], screen.width, "{screen:?}: {seen}");
    assert!(seen["width"][1].as_u64() <= seen["width"][0].as_u64(), "{screen:?}: {seen}");
    assert_eq!(seen["unreachable"], serde_json::json!([]), "{screen:?}");
    assert_eq!(seen["dark"], screen.dark, "{screen:?}");
    let [background, text] = [0, 1].map(|at| brightness(&seen["colors"][at]));
    assert_eq!(background < text, screen.dark, "{screen:?}: {}", seen["colors"]);
    assert!(background.abs_diff(text) > 500, "{screen:?}: {}", seen["colors"]);
}

/// The sum of the parts of a color such as `rgb(22, 24, 27)`.
fn brightness(color: &Value) -> u32 {
    let parts = color.as_str().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse::<u32>().ok()).take(3).sum()
}

/// The final DOM of a page in a window of this width and height, and what it wrote to the console.
fn run(url: &str, (width, height): (u32, u32), profile: &Path) -> Option<(String, String)> {
    let found = ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|program| {
        Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--hide-scrollbars", "--enable-logging=stderr"])
            .args(["--virtual-time-budget=10000", "--dump-dom"])
            .arg(format!("--window-size={},{}", width + 100, height + 100))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
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
