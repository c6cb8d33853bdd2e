//! The parts of an input.

/// What stands for a line feed within a line.
const LINE_FEED: u8 = 0x1f;

/// Returns the lines of an input. The byte 0x1F stands for a line feed in one.
pub(crate) fn lines(data: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    data.split(|byte| *byte == b'\n')
        .map(|line| line.iter().map(|byte| if *byte == LINE_FEED { b'\n' } else { *byte }).collect())
}

/// Returns the lines as text, with replacement characters for what is not UTF-8.
pub(crate) fn texts(data: &[u8]) -> impl Iterator<Item = String> {
    lines(data).map(|line| String::from_utf8_lossy(&line).into_owned())
}
