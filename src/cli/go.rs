//! The grammar and the values of Go's `flag` package, in which the original's command lines are written.
//!
//! Sources: the documentation of Go's packages `flag`, `time` (`ParseDuration`) and `strconv` (`ParseBool`, `ParseInt`
//! with base 0).

use std::time::Duration;

use crate::config::Interval;

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `-x` or `-x=V`, never `-x V`.
    Bool,
    /// `-x=V` or `-x V`.
    Value,
}

/// A translated command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translated {
    /// Each flag with its value, in order.
    Flags(Vec<(String, String)>),
    /// The help flag came before any error.
    Help,
}

/// Parses arguments in Go's grammar. `kind` returns the kind of a known flag.
pub(super) fn translate(
    arguments: impl IntoIterator<Item = String>,
    kind: impl Fn(&str) -> Option<Kind>,
) -> Result<Translated, String> {
    let mut arguments = arguments.into_iter();
    let mut flags: Vec<(String, String)> = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(flag) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            return Err(unexpected(&argument, flags.last().map(|(name, _)| name.as_str()), kind));
        };
        if flag == "-" {
            return match arguments.next() {
                None => Ok(Translated::Flags(flags)),
                Some(argument) => Err(unexpected(&argument, None, kind)),
            };
        }
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {argument}"));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let value = match (kind(name), value) {
            (None, _) if matches!(name, "h" | "help") => return Ok(Translated::Help),
            (None, _) => return Err(format!("unknown flag: -{name}")),
            (Some(_), Some(value)) => value,
            (Some(Kind::Bool), None) => "true".into(),
            (Some(Kind::Value), None) => arguments.next().ok_or(format!("flag needs an argument: -{name}"))?,
        };
        flags.push((name.into(), value));
    }
    Ok(Translated::Flags(flags))
}

/// Returns the error for an argument that is not a flag. Go stops parsing there, and the original silently ignores the
/// rest of the command line.
fn unexpected(argument: &str, last: Option<&str>, kind: impl Fn(&str) -> Option<Kind>) -> String {
    match last.filter(|name| kind(name) == Some(Kind::Bool)) {
        Some(name) => format!(
            "unexpected argument {argument:?}: the value of the boolean flag -{name} must be written as -{name}={argument} \
             (prometheus-ecs-discovery ignored this argument and all flags after it)"
        ),
        None => format!(
            "unexpected argument {argument:?}: expected a flag \
             (prometheus-ecs-discovery ignored this argument and all flags after it)"
        ),
    }
}

/// Parses as `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

/// Returns a parser of booleans, which it normalises to `true` and `false`, and of these words.
pub(super) fn bool_or(words: &'static [&'static str]) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| match parse_bool(text) {
        Ok(value) => Ok(value.to_string()),
        Err(_) if words.contains(&text) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error} or {}", words.join(" or "))),
    }
}

/// Parses as `strconv.ParseInt(text, 0, 64)`: decimal, `0x`, `0o`, `0` or `0b`, with `_` between digits.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    const EXPECTED: &str = "expected an integer";
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match (lower.get(..2), lower.as_bytes()) {
        (Some("0x"), _) => (16, &lower[2..]),
        (Some("0b"), _) => (2, &lower[2..]),
        (Some("0o"), _) => (8, &lower[2..]),
        (_, [b'0', _, ..]) => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore may follow the base prefix, and separate digits.
    let body = if radix == 10 { body } else { body.strip_prefix('_').unwrap_or(body) };
    let valid_underscores = !body.is_empty() && body.split('_').all(|part| !part.is_empty());
    let number: String = body.chars().filter(|c| *c != '_').collect();
    if !valid_underscores || !number.chars().all(|c| c.is_digit(radix)) {
        return Err(EXPECTED.into());
    }
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{number}"), radix).map_err(|_| format!("{EXPECTED} of 64 bits"))
}

/// Go's units in nanoseconds. Unicode has two micro signs.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses as `time.ParseDuration`, for positive durations.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse_limit(text) {
        Ok(Duration::ZERO) => Err("expected a positive duration".into()),
        parsed => parsed,
    }
}

/// Parses `auto` or a positive duration.
pub(super) fn parse_interval(text: &str) -> Result<Interval, String> {
    if text == "auto" {
        return Ok(Interval::Auto);
    }
    parse_duration(text).map(Interval::Every).map_err(|why| format!("{why}, or auto"))
}

/// Parses as `time.ParseDuration`, for durations that are not negative.
pub(super) fn parse_limit(text: &str) -> Result<Duration, String> {
    let nanoseconds = nanoseconds(text).ok_or("expected a duration such as 30s, 1m0s or 1.5h")?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| "expected a positive duration".into())
}

fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| number + end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == &rest[number..unit])?;
        total = total.checked_add(scaled(&rest[..number], *scale)?)?;
        rest = &rest[unit..];
    }
    let limit = if negative { 1 << 63 } else { (1 << 63) - 1 };
    let signed = i128::from(total.min(limit + 1)) * if negative { -1 } else { 1 };
    i64::try_from(signed).ok()
}

/// Parses `12`, `12.5`, `.5` or `12.` of a unit, rounded down to nanoseconds.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // An hour has 3.6e12 nanoseconds, so that further digits make no difference.
    let fraction = &fraction[..fraction.len().min(15)];
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let fraction = parts * u128::from(scale) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(scale)?.checked_add(u64::try_from(fraction).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(name: &str) -> Option<Kind> {
        match name {
            "b" => Some(Kind::Bool),
            "v" | "w" => Some(Kind::Value),
            _ => None,
        }
    }

    fn translated(arguments: &[&str]) -> Result<Translated, String> {
        translate(arguments.iter().map(ToString::to_string), kind)
    }

    fn flags(pairs: &[(&str, &str)]) -> Result<Translated, String> {
        Ok(Translated::Flags(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()))
    }

    #[test]
    fn accepts_gos_grammar() {
        for (arguments, expected) in [
            (&["-v=1"][..], &[("v", "1")][..]),
            (&["--v=1"], &[("v", "1")]),
            (&["-v", "1"], &[("v", "1")]),
            (&["--v", "1"], &[("v", "1")]),
            (&["-v", "-w"], &[("v", "-w")]),
            (&["-v", "--"], &[("v", "--")]),
            (&["-v="], &[("v", "")]),
            (&["-v", ""], &[("v", "")]),
            (&["-v=a=b"], &[("v", "a=b")]),
            (&["-b"], &[("b", "true")]),
            (&["-b=false", "-v=1"], &[("b", "false"), ("v", "1")]),
            (&["-v=1", "-v=2"], &[("v", "1"), ("v", "2")]),
            (&["-v=1", "--"], &[("v", "1")]),
            (&[], &[]),
        ] {
            assert_eq!(translated(arguments), flags(expected), "{arguments:?}");
        }
        for help in ["-h", "--h", "-help", "--help", "-help=x"] {
            assert_eq!(translated(&["-v=1", help, "-unknown"]), Ok(Translated::Help), "{help}");
        }
    }

    #[test]
    fn rejects_other_grammar_with_a_reason() {
        for (arguments, expected) in [
            (&["-x"][..], "unknown flag: -x"),
            (&["-x", "-h"], "unknown flag: -x"),
            (&["-v"], "flag needs an argument: -v"),
            (&["---v=1"], "bad flag syntax"),
            (&["-=1"], "bad flag syntax"),
            (&["--=1"], "bad flag syntax"),
            (&["-v=1", "stray"], "expected a flag"),
            (&["-"], "expected a flag"),
            (&[""], "expected a flag"),
            (&["--", "-v=1"], "expected a flag"),
            (&["-b", "true", "-v=1"], "must be written as -b=true"),
        ] {
            let error = translated(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn parses_integers_as_go_does() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("-5", Some(-5)),
            ("+5", Some(5)),
            ("0x1F", Some(31)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("1_000", Some(1000)),
            ("0x_f", Some(15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("08", None),
            ("0x", None),
            ("1.5", None),
            (" 1", None),
            ("--1", None),
            ("+-1", None),
            ("é", None),
        ] {
            assert_eq!(parse_int(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn parses_durations_as_go_does() {
        let (ns, s) = (1, 1_000_000_000);
        for (text, expected) in [
            ("1m0s", Some(60 * s)),
            ("300ms", Some(s / 10 * 3)),
            ("1.5h", Some(5400 * s)),
            ("1h1m1s1ms1us1ns", Some(3661 * s + 1_001_001)),
            ("1µs", Some(1000)),
            ("1μs", Some(1000)),
            (".5s", Some(s / 2)),
            ("5.s", Some(5 * s)),
            ("+1ns", Some(ns)),
            ("-1.5s", Some(-s / 2 * 3)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("1.0000000000000000000000001s", Some(s)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("9223372036854775808ns", None),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("2562048h", None),
            ("99999999999999999999s", None),
            ("", None),
            ("-", None),
            ("1", None),
            ("s", None),
            (".s", None),
            ("1..5s", None),
            ("1 s", None),
            ("1d", None),
            ("1S", None),
            ("1m-1s", None),
            ("10s5", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text:?}");
        }
        assert_eq!(parse_duration("15s"), Ok(Duration::from_secs(15)));
        for invalid in ["0", "0s", "-1s", "x"] {
            assert!(parse_duration(invalid).is_err(), "{invalid}");
        }
        assert_eq!(parse_limit("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_limit("1.5h"), Ok(Duration::from_secs(5400)));
        assert!(parse_limit("-1s").is_err() && parse_limit("x").is_err());
    }

    #[test]
    fn parses_booleans_as_go_does() {
        for (text, expected) in [("1", Some(true)), ("True", Some(true)), ("F", Some(false)), ("yes", None), ("", None)]
        {
            assert_eq!(parse_bool(text).ok(), expected, "{text:?}");
        }
    }

    /// Generates a flag with one of the spellings that Go accepts.
    fn spelled() -> impl Strategy<Value = ((String, String), Vec<String>)> {
        let value = ("[vw]", any::<String>(), any::<bool>(), any::<bool>()).prop_map(|(name, value, two, apart)| {
            let dashes = if two { "--" } else { "-" };
            let spelled = match apart {
                true => vec![format!("{dashes}{name}"), value.clone()],
                false => vec![format!("{dashes}{name}={value}")],
            };
            ((name, value), spelled)
        });
        let switch = any::<bool>().prop_map(|on| match on {
            true => (("b".into(), "true".into()), vec!["-b".into()]),
            false => (("b".into(), "false".into()), vec!["--b=false".into()]),
        });
        prop_oneof![value, switch]
    }

    proptest! {
        #[test]
        fn every_spelling_has_the_same_meaning(flags in proptest::collection::vec(spelled(), 0..6)) {
            let (meant, spelled): (Vec<_>, Vec<_>) = flags.into_iter().unzip();
            prop_assert_eq!(translate(spelled.concat(), kind), Ok(Translated::Flags(meant)));
        }

        #[test]
        fn never_panics(arguments: Vec<String>, text: String) {
            let _ = (translate(arguments, kind), parse_int(&text), nanoseconds(&text));
        }
    }
}
