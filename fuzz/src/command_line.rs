//! The command line and the environment.
//!
//! Each line of the input is an argument, or with `ECS_DISCOVERY_…=` an environment variable.
//!
//! Invariant: any arguments and variables give settings or an error. An error is one line that says why and one with the
//! usage, without characters that control a terminal. Settings are valid: there are identities, each once, regions can be
//! parts of host names, and the interval is positive. They are the same if every variable is given as a flag instead, and if
//! the flags that the status page shows are given.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use ecs_discovery::cli::{FLAGS, Parsed, parse};
use ecs_discovery::config::{Config, Interval, Output};
use ecs_discovery::inventory::{ScopeRequest, is_region};
use ecs_discovery::printable::is_unsafe;

use crate::input::lines;
use crate::memory::within;

const PREFIX: &[u8] = b"ECS_DISCOVERY_";

/// Runs the target.
pub fn run(data: &[u8]) {
    let (variables, arguments): (Vec<_>, Vec<_>) =
        lines(data).partition(|line| line.starts_with(PREFIX) && line.contains(&b'='));
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from_vec).collect();
    let variables: Vec<(String, OsString)> = variables.iter().map(|line| variable(line)).collect();
    let get = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let parsed = within((2 << 20) + 500 * data.len(), || parse(arguments.clone(), get));
    match &parsed {
        Err(error) => check_error(&error.to_string()),
        Ok(Parsed::Run(config) | Parsed::Explain(config, _)) => {
            check(config);
            let flags = FLAGS.iter().filter_map(|flag| Some((flag, get(&flag.environment_variable())?)));
            // A variable does not count beside its flag, which another flag's value may look like.
            let flags = flags.filter(|(flag, _)| !arguments.iter().any(|argument| may_set(argument, flag.name)));
            let mut given: Vec<OsString> = flags.map(|(flag, value)| written(flag.name, &value)).collect();
            given.extend(arguments.iter().cloned());
            let hidden = |name: &str| {
                let flag = FLAGS.iter().find(|flag| flag.environment_variable() == name)?;
                get(name).filter(|_| arguments.iter().any(|argument| may_set(argument, flag.name)))
            };
            assert_eq!(parse(given, hidden), parsed, "variables as flags");
            check_shown(config);
        }
        Ok(Parsed::HealthCheck(_) | Parsed::Print(_)) => {}
    }
}

fn variable(line: &[u8]) -> (String, OsString) {
    let at = line.iter().position(|byte| *byte == b'=').unwrap();
    (String::from_utf8_lossy(&line[..at]).into_owned(), OsString::from_vec(line[at + 1..].to_vec()))
}

fn may_set(argument: &OsString, flag: &str) -> bool {
    argument.to_string_lossy().trim_start_matches('-').split('=').next() == Some(flag)
}

fn written(name: &str, value: &OsString) -> OsString {
    let mut flag = OsString::from(format!("-{name}="));
    flag.push(value);
    flag
}

fn check_error(error: &str) {
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("Usage: "), "{error:?}");
    assert!(lines[0].strip_prefix("ecs-discovery: ").is_some_and(|why| !why.is_empty()), "{error:?}");
    assert!(!error.contains(|c| c != '\n' && is_unsafe(c)), "{error:?}");
}

fn check(config: &Config) {
    let aws = &config.aws;
    assert!(!aws.identities.is_empty() && each_once(&aws.identities) && each_once(&aws.regions), "{aws:?}");
    assert!(aws.regions.iter().all(|region| is_region(region)), "{aws:?}");
    assert!(config.refresh.interval != Interval::Every(std::time::Duration::ZERO), "{:?}", config.refresh);
    assert!(config.output != Output::Nowhere || config.web.is_some(), "there is an output");
    let request = ScopeRequest { identities: &aws.identities, regions: &aws.regions, selection: &aws.clusters };
    if !aws.regions.is_empty() || !aws.clusters.needs_regions() {
        let plan = request.plan(None).expect("checked while parsing");
        assert!(!plan.is_empty() && plan.iter().all(|planned| !planned.clusters.is_empty()), "{plan:?}");
    }
    if let (Some(cache), Output::File { path, .. }) = (&aws.cache, &config.output) {
        assert_eq!(cache.parent(), path.parent(), "the cache file is beside the output");
        assert_ne!(cache.file_name(), path.file_name());
    }
}

fn each_once<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))
}

/// The flags that the status page shows say all there is to say, apart from the external ID.
fn check_shown(config: &Config) {
    let Some(web) = &config.web else { return };
    let shown = web.flags.iter().filter(|(name, _)| !["config.external-id", "explain"].contains(name));
    let flags = shown.map(|(name, value)| written(name, &value.into()));
    let external_id = config.aws.external_id.as_ref().map(|id| written("config.external-id", &id.into()));
    let Ok(Parsed::Run(again)) = parse(flags.chain(external_id), |_| None) else {
        panic!("not accepted: {:?}", web.flags);
    };
    let without_page = |config: &Config| Config { web: None, ..config.clone() };
    assert_eq!(without_page(&again), without_page(config), "shown flags");
}
