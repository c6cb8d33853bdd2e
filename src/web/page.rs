//! The status page: what needs attention, why each container is or is not a target, and the flags in force.
//!
//! Its size is limited, however many containers there are: see [`mod@containers`].

mod attention;
mod containers;
mod html;

use std::fmt::Write;

use self::attention::attention;
use self::containers::{containers, pages};
use self::html::{STYLE, ago, escaped};
use crate::explain::explain_selected;
use crate::filter::TargetFilter;
use crate::publish::Publication;
use crate::status::Status;

/// Returns the number of the page that a query asks for, if there can be such a page. Pages count from 1.
pub(super) fn number(query: Option<&str>, publication: Option<&Publication>) -> Option<usize> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, number)) = pairs.find(|(name, _)| name == "page") else { return Some(1) };
    let rows = publication.map_or(0, |publication| {
        let refreshes = publication.refreshes.iter();
        let others = refreshes.map(|refresh| refresh.derived.skipped.len() + refresh.derived.unknown.len());
        publication.targets.len() + others.sum::<usize>()
    });
    number.parse().ok().filter(|number| (1..=pages(rows)).contains(number))
}

/// Renders the start of the page, which changes between refreshes. Everything here takes no longer with more targets.
pub(super) fn start(status: &Status, telemetry_path: &str) -> String {
    let targets = status.targets.as_ref().map_or("no targets known yet".into(), |known| match known.len() {
        1 => "1 target".to_owned(),
        number => format!("{number} targets"),
    });
    let (class, went) = match status.publication.as_deref() {
        None => ("unknown", "the first refresh has not ended"),
        Some(publication) if publication.failed() => ("failed", "the last refresh had failures"),
        Some(_) => ("good", "the last refresh succeeded"),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>ecs-discovery</title><style>{STYLE}</style></head><body>\
         <h1>ecs-discovery {}</h1><p><a href=\"{}\">metrics</a> · <a href=\"/targets\">targets</a> · \
         <a href=\"/-/healthy\">healthy</a> · <a href=\"/-/ready\">ready</a></p>\
         <p class=\"state\">{targets} · <span class=\"{class}\">{went}</span></p>\
         <p>Last refresh started: {} · last refresh without failures: {}</p>",
        env!("CARGO_PKG_VERSION"),
        escaped(telemetry_path),
        ago(status.last_refresh),
        ago(status.last_success),
    )
}

/// Renders the rest of the page: what is selected of a publication, this page of its containers, and the flags in force.
pub(super) fn rest(
    publication: Option<&Publication>,
    flags: &[(&'static str, String)],
    filter: &TargetFilter,
    page: usize,
) -> String {
    let mut html = String::new();
    if let Some(publication) = publication {
        let explanation = explain_selected(publication, filter);
        if !filter.is_empty() {
            selected(&mut html, filter, explanation.targets);
        }
        attention(&mut html, &explanation);
        containers(&mut html, &explanation.rows, filter, page);
    }
    html.push_str("<h2>Flags in force</h2><table>");
    for (name, value) in flags {
        let _ = write!(html, "<tr><td><code>-{name}</code></td><td><code>{}</code></td></tr>", escaped(value));
    }
    html.push_str("</table></body></html>\n");
    html
}

fn selected(html: &mut String, filter: &TargetFilter, targets: usize) {
    let parameters: Vec<String> = filter.parameters().map(|(name, value)| format!("{name}={value}")).collect();
    let _ = write!(
        html,
        "<p>Only <code>{}</code>: {targets} targets · <a href=\"/\">show everything</a></p>",
        escaped(&parameters.join(" "))
    );
}
