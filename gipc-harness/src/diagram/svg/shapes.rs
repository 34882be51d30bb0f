//! The shapes of a picture: the marks of steps, the curves of arrows and their heads.

use crate::diagram::MarkKind;
use maud::{Markup, html};

/// The shape of a mark at a point.
pub(super) fn shape(kind: MarkKind, x: usize, y: usize) -> Markup {
    html! {
        @match kind {
            MarkKind::Start => {},
            MarkKind::Put => circle.shape.full cx=(x) cy=(y) r="5" {},
            MarkKind::Get => circle.shape cx=(x) cy=(y) r="5" {},
            MarkKind::Eof => {
                circle.shape cx=(x) cy=(y) r="5" {}
                path.shape d=(format!("M{} {}l7 7m0 -7l-7 7", x as f64 - 3.5, y as f64 - 3.5)) {}
            },
            MarkKind::Close => line.shape x1=(x - 6) y1=(y) x2=(x + 6) y2=(y) {},
            MarkKind::Exit => path.shape d=(format!("M{} {y}h14m-3 4h-8", x - 7)) {},
            MarkKind::Fault => path.shape d=(format!("M{} {}l-7 9h5l-3 8l9 -11h-5l3 -6z", x + 2, y - 9)) {},
            MarkKind::Step => rect.shape x=(x - 5) y=(y - 5) width="10" height="10" {},
            MarkKind::Gap => line.gap x1=(x) y1=(y - 10) x2=(x) y2=(y + 10) {},
        }
    }
}

/// The line of an arrow, where it ends, and in which direction it arrives there.
pub(super) struct Path {
    pub(super) d: String,
    pub(super) end: (usize, usize),
    pub(super) direction: Direction,
}

/// The direction in which an arrow arrives, as a vector.
pub(super) type Direction = (f64, f64);

impl Path {
    /// A curve that leaves and arrives almost horizontally.
    pub(super) fn curve(x1: usize, y1: usize, x2: usize, y2: usize) -> Self {
        let (dx, dy) = (x2 as f64 - x1 as f64, y2 as f64 - y1 as f64);
        let bend = (dx.abs() / 2.0).min(60.0) * dx.signum();
        // The last part rises or falls with the curve, so that the head does not look broken off.
        let direction = (bend.clamp(-40.0, 40.0), (dy / 6.0).clamp(-12.0, 12.0));
        let (cx1, cx2) = (x1 as f64 + bend, x2 as f64 - bend);
        let cy2 = y2 as f64 - direction.1;
        let d = format!("M{x1} {y1}C{cx1:.0} {y1} {cx2:.0} {cy2:.0} {x2} {y2}");
        Self { d, end: (x2, y2), direction }
    }

    /// A loop at the left of a lane, from one of its marks to another one.
    pub(super) fn loop_at_the_left(x: usize, y1: usize, y2: usize) -> Self {
        let out = x as f64 - 14.0;
        Self {
            d: format!("M{x} {y1}C{out} {y1} {out} {y2} {x} {y2}"),
            end: (x, y2),
            direction: (1.0, 0.0),
        }
    }

    /// An arc below the lanes.
    pub(super) fn arc_below(x1: usize, x2: usize, y: usize, depth: usize) -> Self {
        let low = y + depth;
        let d = match x1 == x2 {
            true => format!(
                "M{} {y}C{} {low} {} {low} {} {y}",
                x1 - 2,
                x1.saturating_sub(36),
                x1 + 38,
                x1 + 4
            ),
            false => format!("M{x1} {y}C{x1} {low} {x2} {low} {x2} {y}"),
        };
        let end = if x1 == x2 { (x1 + 4, y) } else { (x2, y) };
        Self { d, end, direction: (0.0, -1.0) }
    }
}

/// The head of an arrow with its tip at a point.
pub(super) fn arrowhead((x, y): (usize, usize), (dx, dy): Direction) -> Markup {
    let length = dx.hypot(dy).max(0.001);
    let (ux, uy) = (dx / length, dy / length);
    let (x, y) = (x as f64, y as f64);
    let corner = |side: f64| (x - 9.0 * ux - side * 4.0 * uy, y - 9.0 * uy + side * 4.0 * ux);
    let ((ax, ay), (bx, by)) = (corner(1.0), corner(-1.0));
    html! { path.head d=(format!("M{x:.1} {y:.1}L{ax:.1} {ay:.1}L{bx:.1} {by:.1}z")) {} }
}
