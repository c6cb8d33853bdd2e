//! What was expected and what came instead, for all worlds at once: a change of a rule shows in many.

use std::fmt;

/// A text that is not as it ought to be.
pub(crate) struct Difference {
    world: String,
    what: String,
    expected: String,
    got: String,
}

impl Difference {
    /// The difference between two texts, where there is one.
    pub(crate) fn between(world: &str, what: &str, expected: &str, got: &str) -> Option<Self> {
        (expected != got).then(|| Self {
            world: world.to_owned(),
            what: what.to_owned(),
            expected: expected.to_owned(),
            got: got.to_owned(),
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== {}: {} (- expected, + got)", self.world, self.what)?;
        for (sign, line) in compared(&lines(&self.expected), &lines(&self.got)) {
            writeln!(f, "{sign} {line}")?;
        }
        Ok(())
    }
}

/// Lines with their ends, so that a missing newline at the end of a text shows.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(|line| line.escape_debug().to_string().replace("\\'", "'")).collect()
}

/// The lines of both texts in one list, with the longest common ones shown once.
fn compared<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
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
            all.push((' ', old[i].as_str()));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            all.push(('-', old[i].as_str()));
            i += 1;
        } else {
            all.push(('+', new[j].as_str()));
            j += 1;
        }
    }
    all
}

/// Fails with every difference.
pub(crate) fn assert_none(differences: &[Difference]) {
    let told: String = differences.iter().map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{} differences\n{told}", differences.len());
}

#[test]
fn a_difference_shows_what_both_have_once() {
    let difference = Difference::between("w", "f", "a\nb\nc\n", "a\nc\nd").unwrap();
    assert_eq!(difference.to_string(), "== w: f (- expected, + got)\n  a\\n\n- b\\n\n  c\\n\n+ d\n");
    assert!(Difference::between("w", "f", "a", "a").is_none());
}
