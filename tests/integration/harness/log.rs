//! The log of the program, one JSON object per line.

use serde_json::Value;

use super::{Scene, wait_until};

/// The messages that end a refresh. Each refresh logs exactly one of them.
const REFRESH_ENDS: [&str; 5] = [
    "targets unchanged",
    "targets written",
    "cannot write targets",
    "existing file not overwritten",
    "no file written",
];

impl Scene {
    /// Returns the log so far.
    pub(crate) fn log(&mut self) -> Vec<Value> {
        let lines = self.program().stderr();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
    }

    /// Waits for the first line of the log that matches, and returns it.
    pub(crate) fn wait_for_log(&mut self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_until(&format!("the log has {what}"), || {
            found = self.log().into_iter().find(&matches);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for a message that starts with this text, and returns its line.
    pub(crate) fn wait_for_message(&mut self, start: &str) -> Value {
        self.wait_for_log(start, |line| text(line, "message").starts_with(start))
    }

    /// Waits until the failure of this operation with this code is logged, and returns its line.
    pub(crate) fn wait_for_failure(&mut self, operation: &str, code: &str) -> Value {
        self.wait_for_log(&format!("{operation} failed with {code}"), |line| is_failure(line, operation, code))
    }

    /// Waits for this many complete refreshes that start from now on.
    pub(crate) fn wait_for_refreshes(&mut self, count: usize) {
        // One more than `count`: a refresh in progress may have seen the state before the call.
        let before = self.refreshes();
        wait_until(&format!("{count} more refreshes"), || self.refreshes() > before + count);
    }

    fn refreshes(&mut self) -> usize {
        self.log().iter().filter(|line| REFRESH_ENDS.iter().any(|end| text(line, "message").starts_with(end))).count()
    }
}

/// Returns a text field of a line of the log, or an empty text.
pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

/// Whether a line of the log reports the failure of this operation with this code.
pub(crate) fn is_failure(line: &Value, operation: &str, code: &str) -> bool {
    text(line, "level") == "WARN" && text(line, "operation") == operation && text(line, "code") == code
}
