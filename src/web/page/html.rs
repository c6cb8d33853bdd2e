//! HTML.

use std::time::SystemTime;

use crate::printable;

pub(super) const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.2rem .3rem 0;border-bottom:1px solid #d8dee4;overflow-wrap:break-word}\
th{white-space:nowrap}code{font-size:.9em}small{color:#57606a}.verdict{white-space:nowrap;font-weight:600}\
.said,td:nth-child(2):last-child{overflow-wrap:anywhere}.said{min-width:18rem}\
.target,.good{color:#116329}.misconfigured,.unknown,.failed{color:#953800}.skipped{color:#57606a}.state{font-size:1.1rem;font-weight:600}\
summary{cursor:pointer;padding:.2rem 0}details details,details p{margin:.2rem 0 .2rem 1.2rem}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}small{color:#8b949e}\
.target,.good{color:#7ee787}.misconfigured,.unknown,.failed{color:#ffa657}.skipped{color:#8b949e}a{color:#79c0ff}}";

/// Returns how long ago something was.
pub(super) fn ago(time: Option<SystemTime>) -> String {
    match time.map(|time| time.elapsed().unwrap_or_default().as_secs()) {
        Some(seconds) if seconds >= 7_200 => format!("{} h {} min ago", seconds / 3_600, seconds / 60 % 60),
        Some(seconds) if seconds >= 120 => format!("{} min ago", seconds / 60),
        Some(seconds) => format!("{seconds} s ago"),
        None => "never".into(),
    }
}

/// Escapes text for HTML: docker labels and names are untrusted.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable::escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
