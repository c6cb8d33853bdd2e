//! The containers, by scope, cluster and service, which open.
//!
//! A page has the rows of a limited number of containers. Services whose rows are on other pages are shown with their
//! counts and a link, so that everything is found from the first page.

use std::fmt::Write;
use std::ops::Range;

use super::html::escaped;
use crate::explain::Row;
use crate::filter::TargetFilter;

/// The number of containers on a page.
const ROWS: usize = 500;

/// The largest number of services on a page whose containers are on other pages.
const MOST_LINKS: usize = 1000;

/// Everything is open where there are no more containers than a person reads.
const OPEN_ROWS: usize = 100;

/// Returns the number of pages for this many rows.
pub(super) fn pages(rows: usize) -> usize {
    rows.div_ceil(ROWS).max(1)
}

/// Renders this page of the containers, which are sorted.
pub(super) fn containers(html: &mut String, rows: &[Row], filter: &TargetFilter, page: usize) {
    let pages = pages(rows.len());
    let page = page.min(pages);
    html.push_str("<h2>Containers</h2>");
    if pages > 1 {
        links(html, filter, page, pages);
    }
    let shown = (page - 1) * ROWS..(page * ROWS).min(rows.len());
    let mut groups = Groups { html, shown, open: rows.len() <= OPEN_ROWS, at: 0, links: 0, left_out: 0 };
    for of_scope in rows.chunk_by(|one, next| one.scope == next.scope) {
        if let Some(scope) = of_scope.first().and_then(|row| row.scope.as_ref()) {
            let _ = write!(groups.html, "<h3>{}</h3>", escaped(&scope.to_string()));
        }
        of_scope.chunk_by(|one, next| one.cluster == next.cluster).for_each(|rows| groups.cluster(rows));
    }
    let left_out = groups.left_out;
    if left_out > 0 {
        let _ = write!(html, "<p>and {left_out} more services: ask for a cluster, or see the other pages</p>");
    }
}

fn links(html: &mut String, filter: &TargetFilter, page: usize, pages: usize) {
    let _ = write!(html, "<p>Page {page} of {pages}");
    for (text, number) in [("previous", page - 1), ("next", page + 1)] {
        if (1..=pages).contains(&number) {
            let number = number.to_string();
            let link = link(filter.parameters().chain([("page", &*number)]));
            let _ = write!(html, " · <a href=\"{link}\">{text}</a>");
        }
    }
    html.push_str(" · ecs-discovery -explain shows all</p>");
}

fn link<'a>(parameters: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/?{}", escaped(&query))
}

/// The groups of rows, in order.
struct Groups<'a> {
    html: &'a mut String,
    /// The rows on this page, by their position among all.
    shown: Range<usize>,
    /// Whether everything is open.
    open: bool,
    /// The position of the next row.
    at: usize,
    links: usize,
    left_out: usize,
}

impl Groups<'_> {
    fn cluster(&mut self, rows: &[Row]) {
        let start = self.html.len();
        let name = rows.first().map(|row| row.cluster.as_str()).unwrap_or_default();
        let _ = write!(self.html, "<details open><summary>cluster <b>{}</b>{}</summary>", escaped(name), counts(rows));
        let before = self.html.len();
        rows.chunk_by(|one, next| one.group == next.group).for_each(|rows| self.group(rows));
        if self.html.len() == before {
            self.html.truncate(start);
        } else {
            self.html.push_str("</details>");
        }
    }

    fn group(&mut self, rows: &[Row]) {
        let (first, end) = (self.at, self.at + rows.len());
        self.at = end;
        let Some(row) = rows.first() else { return };
        let name = if row.group.is_empty() { "(no group)" } else { &row.group };
        let name = format!("{}{}", escaped(name), counts(rows));
        let here = self.shown.start.max(first)..self.shown.end.min(end);
        if here.is_empty() {
            self.link(row, &name);
            return;
        }
        let open = if self.open { " open" } else { "" };
        let _ = write!(self.html, "<details{open}><summary>{name}</summary>");
        table(self.html, rows[here.start - first..here.end - first].iter());
        if here.len() < rows.len() {
            let _ = write!(self.html, "<p><a href=\"{}\">all {}</a></p>", of_group(row), rows.len());
        }
        self.html.push_str("</details>");
    }

    fn link(&mut self, row: &Row, name: &str) {
        if self.links == MOST_LINKS {
            self.left_out += 1;
            return;
        }
        self.links += 1;
        let _ = write!(self.html, "<p><a href=\"{}\">{name}</a></p>", of_group(row));
    }
}

/// Returns the link to the containers of a group.
fn of_group(row: &Row) -> String {
    let scope = row.scope.iter().flat_map(|scope| {
        let account = scope.account.as_deref().map(|account| ("account", account));
        [("region", &*scope.region)].into_iter().chain(account)
    });
    let tasks = match row.group.split_once(':') {
        Some(("service", name)) => Some(("service", name)),
        Some(("family", name)) => Some(("family", name)),
        _ => None,
    };
    link(scope.chain([("cluster", row.cluster.as_str())]).chain(tasks))
}

/// Returns how many rows have each verdict.
fn counts(rows: &[Row]) -> String {
    let mut html = String::new();
    for word in ["target", "misconfigured", "unknown", "skipped"] {
        let count = rows.iter().filter(|row| row.verdict.word() == word).count();
        if count > 0 {
            let _ = write!(html, " · <span class=\"{word}\">{count} {word}</span>");
        }
    }
    html
}

/// Renders rows as a table.
pub(super) fn table<'a>(html: &mut String, rows: impl Iterator<Item = &'a Row>) {
    html.push_str(
        "<table><tr><th>cluster</th><th>service or group</th><th>container</th>\
         <th></th><th>target, or reason</th><th>task</th></tr>",
    );
    rows.for_each(|row| container(html, row));
    html.push_str("</table>");
}

fn container(html: &mut String, row: &Row) {
    let class = row.verdict.word();
    html.push_str("<tr>");
    for cell in [&row.cluster, &row.group, &row.container] {
        let _ = write!(html, "<td>{}</td>", escaped(cell));
    }
    let _ = write!(
        html,
        "<td class=\"verdict {class}\">{class}</td><td class=\"said {class}\">{}</td>\
         <td>{}<br><small><code>{}</code></small></td></tr>",
        escaped(&row.verdict.details()),
        escaped(&row.definition),
        escaped(&row.task),
    );
}
