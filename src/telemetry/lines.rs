//! Formats log lines, as logfmt or JSON.
//!
//! What is logged comes from AWS and from docker labels: no value may end a line, fake a field, control a terminal or
//! be endless. So values are escaped and cut here, once for every event. Readers of logfmt such as Go's
//! (<https://github.com/go-logfmt/logfmt>, used by Loki) unquote values as JSON strings, and reject Rust's `\u{1b}` and
//! `\'`.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use serde_json::Number;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::printable::is_unsafe;

/// The largest size of a value, in bytes as written.
const LARGEST_VALUE: usize = 1024;

const ELLIPSIS: char = '…';

/// Formats an event as a line.
pub(super) struct Lines(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line::new(self.0, &time, *event.metadata().level());
        event.record(&mut line);
        writeln!(out, "{}", line.finish())
    }
}

/// A line in progress.
struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    fn new(format: LogFormat, time: &str, level: Level) -> Self {
        let mut line = Self { format, text: String::new() };
        match format {
            LogFormat::Logfmt => {
                line.add("ts", time);
                line.add("level", level.as_str().to_ascii_lowercase());
            }
            LogFormat::Json => {
                line.add("timestamp", time);
                line.add("level", level.as_str());
            }
        }
        line
    }

    /// Adds a text.
    fn add(&mut self, name: &str, value: impl fmt::Display) {
        let mut escaped = Escaped::default();
        // Fails when the value is cut.
        let _ = write!(escaped, "{value}");
        let is_bare = |c| !matches!(c, ' ' | '=' | '\\');
        if self.format == LogFormat::Logfmt && !escaped.0.is_empty() && escaped.0.chars().all(is_bare) {
            self.add_bare(name, escaped.0);
        } else {
            self.add_bare(name, format_args!("\"{}\"", escaped.0));
        }
    }

    /// Adds a value that needs no quotes.
    fn add_bare(&mut self, name: &str, value: impl fmt::Display) {
        let name = name.strip_prefix("r#").unwrap_or(name);
        // Writing to memory cannot fail.
        let _ = match self.format {
            LogFormat::Logfmt => {
                let separator = if self.text.is_empty() { "" } else { " " };
                write!(self.text, "{separator}{name}={value}")
            }
            LogFormat::Json => {
                let separator = if self.text.is_empty() { '{' } else { ',' };
                write!(self.text, "{separator}\"{name}\":{value}")
            }
        };
    }

    fn finish(mut self) -> String {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        self.text
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_bare(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_bare(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_bare(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match Number::from_f64(value) {
            Some(number) => self.add_bare(field.name(), number),
            // JSON has no such numbers.
            None => self.add(field.name(), value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format_args!("{value:?}"));
    }
}

/// A value, escaped as in a JSON string, and cut where it would become too large.
#[derive(Default)]
struct Escaped(String);

impl Write for Escaped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        let before = self.0.len();
        match c {
            '"' | '\\' => self.0.extend(['\\', c]),
            '\n' => self.0.push_str("\\n"),
            '\r' => self.0.push_str("\\r"),
            '\t' => self.0.push_str("\\t"),
            c if is_unsafe(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.0, "\\u{unit:04x}")?;
                }
            }
            c => self.0.push(c),
        }
        if self.0.len() <= LARGEST_VALUE {
            return Ok(());
        }
        self.0.truncate(before);
        self.make_room_for_the_ellipsis();
        self.0.push(ELLIPSIS);
        Err(fmt::Error)
    }
}

impl Escaped {
    /// Removes whole characters from the end, and no part of an escape.
    fn make_room_for_the_ellipsis(&mut self) {
        let mut end = 0;
        let mut rest = self.0.as_str();
        while let Some(size) = size_of_first(rest).filter(|size| end + size + ELLIPSIS.len_utf8() <= LARGEST_VALUE) {
            end += size;
            rest = &rest[size..];
        }
        self.0.truncate(end);
    }
}

/// Returns the size of the first character, or of the escape that stands for it.
fn size_of_first(escaped: &str) -> Option<usize> {
    let mut chars = escaped.chars();
    match (chars.next()?, chars.next()) {
        ('\\', Some('u')) => Some(6),
        ('\\', _) => Some(2),
        (c, _) => Some(c.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn line(format: LogFormat, values: &[&str]) -> String {
        let mut line = Line::new(format, "2026-01-02T03:04:05Z", Level::WARN);
        values.iter().for_each(|value| line.add("field", value));
        line.finish()
    }

    /// Parses a line as go-logfmt's decoder does: a value is bare, without quotes, spaces or `=`, or else it is a JSON
    /// string.
    fn parse(mut line: &str) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let (name, rest) = line.split_once('=')?;
            if name.is_empty() || name.contains(|c| c <= ' ' || c == '"') {
                return None;
            }
            let end = if rest.starts_with('"') {
                let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let value = strings.next()?.ok()?;
                fields.push((name.to_owned(), value));
                strings.byte_offset()
            } else {
                let end = rest.find(' ').unwrap_or(rest.len());
                if rest[..end].contains(|c| c <= ' ' || c == '"' || c == '=') {
                    return None;
                }
                fields.push((name.to_owned(), rest[..end].to_owned()));
                end
            };
            match rest[end..].strip_prefix(' ') {
                Some(next) => line = next,
                None if rest.len() == end => return Some(fields),
                None => return None,
            }
        }
    }

    #[test]
    fn values_are_quoted_and_escaped_where_they_have_to_be() {
        for (value, logfmt) in [
            ("plain", "plain"),
            ("läden-中文", "läden-中文"),
            ("it's", "it's"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            ("say \"no\"", r#""say \"no\"""#),
            ("back\\slash", r#""back\\slash""#),
            ("a\nlevel=info\tb\r", r#""a\nlevel=info\tb\r""#),
            ("\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}", r#""\u001b[2J\u007f\u009b\u202e\u2028""#),
            ("\u{fffd}", "\u{fffd}"),
        ] {
            let expected = format!("ts=2026-01-02T03:04:05Z level=warn field={logfmt}");
            assert_eq!(line(LogFormat::Logfmt, &[value]), expected);
        }
    }

    #[test]
    fn long_values_are_cut_to_a_kilobyte() {
        for part in ["a", "ä", "\n", "\u{1b}", "🍞", "\"x"] {
            let long = part.repeat(5000);
            for format in [LogFormat::Logfmt, LogFormat::Json] {
                let line = line(format, &[&long]);
                let overhead = line.find("field").unwrap() + "\"field\":\"\"}".len();
                assert!(line.len() <= overhead + LARGEST_VALUE && line.len() > overhead + LARGEST_VALUE - 16, "{line}");
                assert!(line.contains(ELLIPSIS));
            }
        }
        let exact = "a".repeat(LARGEST_VALUE);
        assert!(line(LogFormat::Logfmt, &[&exact]).ends_with(&format!("={exact}")), "not cut");
    }

    proptest! {
        #[test]
        fn other_parsers_read_what_was_logged(values in proptest::collection::vec(any::<String>(), 0..4)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let logfmt = line(LogFormat::Logfmt, &values);
            prop_assert!(!logfmt.contains(is_unsafe), "{}", logfmt);
            let fields = parse(&logfmt).ok_or_else(|| TestCaseError::fail(logfmt.clone()))?;
            let logged: Vec<&str> = fields.iter().skip(2).map(|(_, value)| value.as_str()).collect();
            prop_assert_eq!(logged, values.clone());
            let json = line(LogFormat::Json, &values[..values.len().min(1)]);
            prop_assert!(!json.contains(is_unsafe), "{}", json);
            let parsed: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(parsed["field"].as_str(), values.first().copied());
        }

        #[test]
        fn a_cut_value_is_valid(text in "(\\n|\u{1b}|a|ä|🍞|\"){200,1200}") {
            let logfmt = line(LogFormat::Logfmt, &[&text]);
            let fields = parse(&logfmt).ok_or_else(|| TestCaseError::fail(logfmt.clone()))?;
            let logged = fields[2].1.as_str();
            prop_assert!(text == logged || text.starts_with(logged.strip_suffix(ELLIPSIS).unwrap()));
        }
    }
}
