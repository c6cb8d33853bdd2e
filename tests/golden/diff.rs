//! A line diff for the messages of failing tests.

use std::fmt::Write;

/// Lists the lines of both texts: `-` only expected, `+` only got, common lines once.
pub(crate) fn diff(expected: &str, got: &str) -> String {
    let (old, new) = (lines(expected), lines(got));
    compared(&old, &new).into_iter().fold(String::new(), |mut text, (sign, line)| {
        let _ = writeln!(text, "    {sign} {}", visible(line));
        text
    })
}

/// Splits a text into lines with their ends, so that a missing newline at the end of a text is a difference.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Escapes what a terminal would not show.
fn visible(line: &str) -> String {
    let (line, end) = line.strip_suffix('\n').map_or((line, " (no newline at end of file)"), |line| (line, ""));
    let escaped: String = line
        .chars()
        .map(|char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() })
        .collect();
    escaped + end
}

/// Puts the lines of both texts in one list, the longest common subsequence once.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let kept = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { 0 };
            common[i][j] = kept.max(common[i + 1][j]).max(common[i][j + 1]);
        }
    }
    let (mut i, mut j, mut all) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            all.push(('-', old[i]));
            i += 1;
        } else {
            all.push(('+', new[j]));
            j += 1;
        }
    }
    all
}

#[test]
fn diff_lists_common_lines_once_and_shows_a_missing_newline() {
    assert_eq!(diff("a\nb\nc\n", "a\nc\nd"), "      a\n    - b\n      c\n    + d (no newline at end of file)\n");
}
