//! Writes a diagram as SVG: one self-contained picture with real text, which is light or dark like the reader's system.

mod pair;
mod shapes;

use super::{Arrow, ArrowKind, Diagram, Mark, MarkKind, Wait};
use maud::{Markup, PreEscaped, html};
pub use pair::svg_pair;
use shapes::{Path, arrowhead, shape};
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// The height of a row.
const ROW: usize = 26;
/// The margin at each side.
const MARGIN: usize = 24;
/// The distance between a lane and its labels.
const LABEL: usize = 15;
/// The space after the longest label of a lane, in which arrows end.
const GUTTER: usize = 44;
/// The maximum length of a label, in characters. Its tooltip has the whole text.
const MAX_LABEL: usize = 44;
/// The width at which a text below the diagram is wrapped, in characters.
const WRAP: usize = 96;
/// The number of pipes that the legend names.
const MAX_PIPES: usize = 6;
/// The number of sentences below the diagram.
const MAX_FINDINGS: usize = 10;
/// The style sheet, which is part of each picture.
pub const STYLE: &str = include_str!("svg.css");

/// The picture as a file.
#[must_use]
pub fn svg(diagram: &Diagram) -> String {
    format!("{}\n", Svg::new(diagram).picture(true).into_string())
}

/// The picture as a part of an HTML page. The page must contain [`STYLE`] once.
#[must_use]
pub fn inline(diagram: &Diagram) -> Markup {
    Svg::new(diagram).picture(false)
}

/// The x positions of the status and of the subtitle, which follow the title.
fn head_positions(diagram: &Diagram) -> [usize; 2] {
    let status = MARGIN + diagram.title.width() * 10 + 14;
    let width = if diagram.status.is_empty() { 0 } else { diagram.status.len() * 11 + 14 };
    [status, status + width]
}

/// The positions of everything, in pixels.
struct Svg<'a> {
    diagram: &'a Diagram,
    /// The x of each lane.
    lanes: Vec<usize>,
    /// The color of each pipe, as a class.
    colors: BTreeMap<usize, String>,
    /// The y of the first row.
    top: usize,
    /// The y below the last row and the arcs below it.
    bottom: usize,
    width: usize,
    /// The step at which this run first differs from another one, if two are shown.
    difference: Option<usize>,
    /// The lines of text below the diagram: class and text.
    footer: Vec<(&'static str, String)>,
}

impl<'a> Svg<'a> {
    fn new(diagram: &'a Diagram) -> Self {
        let mut x = MARGIN + 13;
        let mut lanes = Vec::new();
        let mut widths: Vec<usize> = diagram
            .lanes
            .iter()
            .map(|lane| pixels(&chip_text(&lane.task_id.to_string(), lane.replicas)) + 36)
            .collect();
        for mark in diagram.marks.iter().filter(|mark| mark.kind != MarkKind::Start) {
            let width = LABEL + label_width(mark) + GUTTER;
            widths[mark.lane] = widths[mark.lane].max(width);
        }
        for width in widths {
            lanes.push(x);
            x += width;
        }
        let footer = footer(diagram);
        let longest = footer.iter().map(|(_, text)| pixels(text)).max().unwrap_or(0);
        let [_, aside] = head_positions(diagram);
        let head = aside + pixels(&diagram.subtitle) + MARGIN;
        let legend = legend_width(diagram);
        let width = (x + MARGIN).max(longest + 2 * MARGIN).max(head).max(legend).max(360);
        let top = 94;
        let depth = diagram
            .waits
            .iter()
            .flat_map(|wait| wait.on.iter().map(|(on, _)| arc_depth(wait.lane, *on)))
            .max();
        let bottom = top + diagram.rows * ROW + depth.unwrap_or(0);
        let colors = diagram
            .pipes
            .iter()
            .enumerate()
            .map(|(place, (pipe, _))| (*pipe, format!("p{}", place % 8)));
        Self {
            diagram,
            lanes,
            colors: colors.collect(),
            top,
            bottom,
            width,
            difference: None,
            footer,
        }
    }

    fn height(&self) -> usize {
        self.bottom + self.footer.len() * 19 + MARGIN
    }

    fn y(&self, row: usize) -> usize {
        self.top + row * ROW
    }

    fn color(&self, pipe: Option<usize>) -> &str {
        pipe.and_then(|pipe| self.colors.get(&pipe)).map_or("", String::as_str)
    }

    fn picture(&self, is_file: bool) -> Markup {
        let Diagram { title, subtitle, status, is_expected, .. } = self.diagram;
        let height = self.height();
        let (width, xmlns) = (self.width, is_file.then_some("http://www.w3.org/2000/svg"));
        let [status_x, aside_x] = head_positions(self.diagram);
        html! {
            svg.space-time xmlns=[xmlns] viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img" {
                title { (title) ", " (subtitle) @if !status.is_empty() { ": " (status) } }
                desc { (description(self.diagram)) }
                @if is_file { style { (PreEscaped(STYLE)) } }
                rect.ground width=(width) height=(height) {}
                text.title x=(MARGIN) y="30" { (title) }
                text class=(if *is_expected && status != "DEADLOCK" { "status fine" } else { "status alarm" }) x=(status_x) y="30" { (status) }
                text.aside x=(aside_x) y="30" { (subtitle) }
                (self.legend())
                (self.bands())
                (self.first_difference())
                @for lane in 0..self.lanes.len() { (self.lane(lane)) }
                @for mark in &self.diagram.marks { (self.bar(mark)) }
                @for arrow in &self.diagram.arrows { (self.arrow(arrow)) }
                @for wait in &self.diagram.waits { (self.wait(wait)) }
                g.halo { @for mark in &self.diagram.marks { (self.mark(mark)) } }
                @for (line, (class, text)) in self.footer.iter().enumerate() {
                    text class=(class) x=(MARGIN) y=(self.bottom + line * 19 + 14) { (text) }
                }
            }
        }
    }

    /// Explains the colors and lines that are used.
    fn legend(&self) -> Markup {
        let mut x = MARGIN;
        let mut items = Vec::new();
        for item in legend(self.diagram) {
            let at = x;
            x += 34 + item.text.width() * 8 + 20;
            items.push((at, item));
        }
        html! {
            g {
                @for (x, item) in &items {
                    @match item.kind {
                        LegendKind::Pipe(pipe) => g class=(self.color(Some(pipe))) {
                            line.arrow x1=(x) y1="54" x2=(x + 26) y2="54" {}
                            text.label x=(x + 34) y="58" { (item.text) }
                        },
                        LegendKind::Waits => g { rect.waits x=(x + 8) y="47" width="12" height="14" rx="4" {} text x=(x + 34) y="58" { (item.text) } },
                        LegendKind::Pending => g { rect.stuck x=(x + 8) y="47" width="12" height="14" rx="4" {} text x=(x + 34) y="58" { (item.text) } },
                        LegendKind::Dashed => g { line.arrow.dashed x1=(x) y1="54" x2=(x + 26) y2="54" {} text x=(x + 34) y="58" { (item.text) } },
                        LegendKind::More => text.faint x=(x) y="58" { (item.text) },
                    }
                }
            }
        }
    }

    /// A band behind each process that has tasks, from its own lane to that of its last task.
    fn bands(&self) -> Markup {
        let lanes = &self.diagram.lanes;
        let processes = lanes.iter().enumerate().filter(|(_, lane)| lane.task_id.task.is_none());
        let bands: Vec<(usize, usize, usize)> = processes
            .filter_map(|(first, lane)| {
                let is_task = |other: &usize| {
                    let other = &lanes[*other].task_id;
                    other.task.is_some() && other.process == lane.task_id.process
                };
                let last = (first + 1..lanes.len()).take_while(is_task).last()?;
                let right = self.lanes.get(last + 1).map_or(self.width - MARGIN + 18, |x| *x);
                Some((first, self.lanes[first] - 22, right - 22))
            })
            .collect();
        html! {
            @for (lane, left, right) in bands {
                @let (from, to) = (self.y(lanes[lane].first_row) - 18, self.y(lanes[lane].last_row) + 16);
                rect.band x=(left) y=(from) width=(right - left) height=(to - from) rx="6" {}
            }
        }
    }

    fn lane(&self, lane: usize) -> Markup {
        let entry = &self.diagram.lanes[lane];
        let x = self.lanes[lane];
        let text = chip_text(&entry.task_id.to_string(), entry.replicas);
        let (from, to) = (self.y(entry.first_row), self.y(entry.last_row));
        html! {
            g class=(if entry.task_id.task.is_some() { "task" } else { "process" }) {
                @if entry.replicas > 1 { rect.chip x=(x - 9) y=(from - 15) width=(pixels(&text) + 16) height="22" rx="5" opacity="0.4" {} }
                line.lane x1=(x) y1=(from) x2=(x) y2=(to) {}
                rect.chip x=(x - 13) y=(from - 11) width=(pixels(&text) + 16) height="22" rx="5" {}
                text.chip-text x=(x - 5) y=(from + 4) { (text) }
            }
        }
    }

    fn bar(&self, mark: &Mark) -> Markup {
        let Some(bar) = mark.bar else { return html! {} };
        let x = self.lanes[mark.lane];
        let (from, to) = (self.y(bar.from) - 6, self.y(bar.to) + 6);
        let class = if bar.forever { "stuck" } else { "waits" };
        html! { rect class=(class) x=(x - 6) y=(from) width="12" height=(to - from) rx="5" {} }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        if mark.kind == MarkKind::Start {
            return html! {};
        }
        let (x, y) = (self.lanes[mark.lane], self.y(mark.row));
        let state = match (&mark.expected, mark.kind) {
            (Some(_), _) => "wrong",
            (None, MarkKind::Fault) => "fault",
            (None, MarkKind::Gap) => "faint",
            (None, _) => "",
        };
        let label = shortened(&mark.text);
        html! {
            g class=(format!("{} {state}", self.color(mark.pipe)).trim()) {
                @if label != mark.text { title { (mark.text) } }
                (shape(mark.kind, x, y))
                text.label x=(x + LABEL) y=(y + 4) { (label) }
                @if let Some(expected) = &mark.expected {
                    text.expected x=(x + LABEL + pixels(&label) + 8) y=(y + 4) { (expected_text(expected)) }
                }
            }
        }
    }

    /// An arrow that starts after the label of its cause and ends before the label of its effect.
    fn arrow(&self, arrow: &Arrow) -> Markup {
        let (from, to) = (&self.diagram.marks[arrow.from], &self.diagram.marks[arrow.to]);
        let (y1, y2) = (self.y(from.row), self.y(to.row));
        // An arrow to a step that waited ends at its bar rather than at its label above.
        let is_at_bar = to
            .bar
            .is_some_and(|bar| from.row > to.row && from.row <= bar.to && from.lane != to.lane);
        let y2 = if is_at_bar { y1 } else { y2 };
        let (lane1, lane2) = (self.lanes[from.lane], self.lanes[to.lane]);
        let right_of = |mark: &Mark, x: usize| match mark.kind {
            MarkKind::Start => x - 13 + pixels(&mark.text) + 20,
            _ => x + LABEL + label_width(mark) + 5,
        };
        let left_of = |mark: &Mark, x: usize| match mark.kind {
            MarkKind::Start => x - 15,
            _ => x - 9,
        };
        let path = if from.lane == to.lane {
            Path::loop_at_the_left(left_of(from, lane1), y1, y2)
        } else if lane1 < lane2 {
            Path::curve(right_of(from, lane1), y1, left_of(to, lane2), y2)
        } else {
            let end = if is_at_bar { lane2 + 9 } else { right_of(to, lane2) };
            Path::curve(left_of(from, lane1), y1, end, y2)
        };
        let class = match arrow.kind {
            ArrowKind::Signal => "signal".to_owned(),
            _ => self.color(arrow.pipe).to_owned(),
        };
        let dashed = if arrow.kind == ArrowKind::Message { "" } else { " dashed" };
        html! {
            g class=(class) {
                path class=(format!("arrow{dashed}")) d=(path.d) {}
                (arrowhead(path.end, path.direction))
            }
        }
    }

    /// The arcs below the lanes from a step that waits to the processes that it waits for.
    fn wait(&self, wait: &Wait) -> Markup {
        let y = self.y(self.diagram.rows - 1) + 8;
        html! {
            @for (on, is_on_cycle) in &wait.on {
                @let path = Path::arc_below(self.lanes[wait.lane], self.lanes[*on], y, arc_depth(wait.lane, *on));
                g class=(if *is_on_cycle { "waits-for cycle" } else { "waits-for signal" }) {
                    path.arrow d=(path.d) {}
                    (arrowhead(path.end, path.direction))
                }
            }
        }
    }
}

/// An item of the legend.
struct LegendItem {
    kind: LegendKind,
    text: String,
}

#[derive(Clone, Copy)]
enum LegendKind {
    Pipe(usize),
    Waits,
    Pending,
    Dashed,
    More,
}

fn legend(diagram: &Diagram) -> Vec<LegendItem> {
    let item = |kind, text: &str| LegendItem { kind, text: text.to_owned() };
    let mut items: Vec<LegendItem> = Vec::new();
    for (pipe, name) in diagram.pipes.iter().take(MAX_PIPES) {
        items.push(item(LegendKind::Pipe(*pipe), name));
    }
    if diagram.pipes.len() > MAX_PIPES {
        let more = format!("and {} pipes more", diagram.pipes.len() - MAX_PIPES);
        items.push(item(LegendKind::More, &more));
    }
    let has_bar = |forever| {
        diagram.marks.iter().filter_map(|mark| mark.bar).any(|bar| bar.forever == forever)
    };
    if has_bar(false) {
        items.push(item(LegendKind::Waits, "waits"));
    }
    if has_bar(true) {
        items.push(item(LegendKind::Pending, "never returns"));
    }
    if diagram.arrows.iter().any(|arrow| arrow.kind != ArrowKind::Message) {
        items.push(item(LegendKind::Dashed, "start, end, exit"));
    }
    items
}

fn legend_width(diagram: &Diagram) -> usize {
    legend(diagram).iter().map(|item| 54 + item.text.width() * 8).sum::<usize>() + 2 * MARGIN
}

/// The name of a lane, with the number of processes that it stands for.
fn chip_text(name: &str, replicas: usize) -> String {
    if replicas == 1 { name.to_owned() } else { format!("{name} ×{replicas}") }
}

fn expected_text(expected: &str) -> String {
    format!("✗ expected {}", shortened(expected))
}

/// The width of a text in pixels: DejaVu Sans Mono has 7.22 for each character.
fn pixels(text: &str) -> usize {
    (text.width() * 29).div_ceil(4)
}

/// The width of a label in pixels, including the expected outcome after it.
fn label_width(mark: &Mark) -> usize {
    let expected =
        mark.expected.as_ref().map_or(0, |expected| pixels(&expected_text(expected)) + 8);
    pixels(&shortened(&mark.text)) + expected
}

fn shortened(text: &str) -> String {
    match text.chars().count() > MAX_LABEL {
        true => text.chars().take(MAX_LABEL - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// How far below the lanes an arc runs.
fn arc_depth(from: usize, to: usize) -> usize {
    if from == to { 44 } else { 26 + 10 * from.abs_diff(to).min(6) }
}

/// The lines below the diagram.
fn footer(diagram: &Diagram) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    let wrap = |lines: &mut Vec<(&'static str, String)>, class, text: &str| {
        lines.extend(textwrap::wrap(text, WRAP).into_iter().map(|line| (class, line.into_owned())));
    };
    if !diagram.waits.is_empty() {
        lines.push(("heading alarm", "Who waits for whom".to_owned()));
    }
    for wait in diagram.waits.iter().take(MAX_FINDINGS) {
        wrap(&mut lines, "", &wait.text);
    }
    if diagram.waits.len() > MAX_FINDINGS {
        lines.push(("faint", format!("and {} more", diagram.waits.len() - MAX_FINDINGS)));
    }
    if !diagram.findings.is_empty() {
        if !lines.is_empty() {
            lines.push(("", String::new()));
        }
        lines.push(("heading alarm", "What is wrong".to_owned()));
    }
    for finding in diagram.findings.iter().take(MAX_FINDINGS) {
        wrap(&mut lines, "", finding);
    }
    for omission in &diagram.omissions {
        wrap(&mut lines, "faint", &format!("Folded: {omission}."));
    }
    lines
}

/// The diagram in words, for screen readers: what happened, in the order of the rows.
fn description(diagram: &Diagram) -> String {
    let mut sentences: Vec<String> = Vec::new();
    let name = |lane: usize| &diagram.lanes[lane].task_id;
    for (index, mark) in diagram.marks.iter().enumerate() {
        let causes = diagram.arrows.iter().filter(|arrow| arrow.to == index);
        let causes: Vec<String> = causes
            .map(|arrow| &diagram.marks[arrow.from])
            .map(|cause| format!("{} {}", name(cause.lane), cause.text))
            .collect();
        let because = if causes.is_empty() {
            String::new()
        } else {
            format!(", after {}", causes.join(" and "))
        };
        let text = if mark.kind == MarkKind::Start { "starts" } else { &mark.text };
        sentences.push(format!("{} {text}{because}.", name(mark.lane)));
    }
    sentences.extend(diagram.waits.iter().map(|wait| format!("{}.", wait.text)));
    sentences.join("\n")
}
