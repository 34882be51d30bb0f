//! The frame of each HTML page: the head, and the styles that all pages share. A page loads nothing from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A page with this title and this `body`. `styles` are added to those that all pages share.
#[must_use]
pub(super) fn document(title: &str, styles: &[&str], body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style {
                    (PreEscaped(include_str!("document.css")))
                    @for style in styles { (PreEscaped(style)) }
                }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// A text whose parts between backticks become code.
#[must_use]
pub(super) fn prose(text: &str) -> Markup {
    let is_paired = text.matches('`').count() % 2 == 0;
    html! {
        @if is_paired {
            @for (place, part) in text.split('`').enumerate() {
                @if place % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}
