//! Two runs of one scenario as one picture, side by side, with the first difference marked in both.

use super::{STYLE, Svg};
use crate::diagram::{Diagram, Mark};
use maud::{Markup, PreEscaped, html};

/// The style of the mark.
const MARK: &str =
    ".space-time .difference { fill: var(--stuck-fill); stroke: var(--bad); stroke-width: 1.5; }";
/// The space between the two pictures.
const GAP: usize = 24;

/// The picture as a file. `difference` is the first step that differs.
#[must_use]
pub fn svg_pair(left: &Diagram, right: &Diagram, difference: Option<usize>) -> String {
    let [left, right] = [left, right].map(|diagram| {
        let mut svg = Svg::new(diagram);
        svg.difference = difference;
        svg
    });
    let (width, height) = (left.width + GAP + right.width, left.height().max(right.height()));
    let offset = left.width + GAP;
    let picture = html! {
        svg.space-time xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            title { (left.diagram.title) ": " (left.diagram.subtitle) " and " (right.diagram.subtitle) }
            style { (PreEscaped(STYLE)) (MARK) }
            rect.ground width=(width) height=(height) {}
            (left.picture(false))
            g transform=(format!("translate({offset} 0)")) { (right.picture(false)) }
            line.lane x1=(offset - GAP / 2) y1="0" x2=(offset - GAP / 2) y2=(height) {}
        }
    };
    format!("{}\n", picture.into_string())
}

impl Svg<'_> {
    /// The mark behind the first step that differs.
    pub(super) fn first_difference(&self) -> Markup {
        let is_first = |mark: &&Mark| mark.step.is_some() && mark.step == self.difference;
        html! {
            @for mark in self.diagram.marks.iter().filter(is_first) {
                @let (x, y) = (self.lanes[mark.lane], self.y(mark.row));
                rect.difference x=(x - 12) y=(y - 12) width=(super::LABEL + super::label_width(mark) + 24) height="24" rx="4" {
                    title { "the first difference" }
                }
            }
        }
    }
}
