//! Patterns of clusters, and lists of roles.
//!
//! The lines of the input are a pattern, a text, a comma-separated list of clusters, a list of roles, and an account.
//!
//! Invariant: a glob matches what it matches by definition, in time that grows at most with the product of the lengths. A pattern
//! that matches a cluster can match its scope. What is scanned of a scope is what the items of the list say of each of its clusters
//! by itself, each once. Every planned scope has something to scan.

use ecs_discovery::cli::{Parsed, parse};
use ecs_discovery::config::AwsConfig;
use ecs_discovery::inventory::{ClusterRef, Glob, Pattern, Scope, ScopeRequest, cluster_name};

use crate::input::texts;

/// Names of which the input's list may select some.
const NAMES: [&str; 6] = ["prod", "prod-1", "web", "a", "b_2", "PROD"];

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut lines = texts(data);
    let mut next = || lines.next().unwrap_or_default();
    let (pattern, text, clusters, roles, account) = (next(), next(), next(), next(), next());
    // Beyond this, the definition takes too long.
    if pattern.len() <= 2_000 && text.len() <= 2_000 {
        assert_eq!(Glob::from(&*pattern).matches(&text), by_definition(&pattern, &text), "{pattern:?} {text:?}");
    }
    if let Ok(pattern) = Pattern::parse(&pattern) {
        check_pattern(&pattern, &text);
    }
    let flags = [format!("-config.cluster={clusters}"), format!("-config.role-arn={roles}")];
    if let Ok(Parsed::Run(config)) = parse(flags.map(Into::into), |_| None) {
        check_selection(&config.aws);
        check_plan(&config.aws, Some(&*account).filter(|account| !account.is_empty()));
    }
}

fn check_pattern(pattern: &Pattern, text: &str) {
    assert!(pattern.is_exact() != pattern.as_str().contains(['*', '?']));
    for name in NAMES.into_iter().chain([text]) {
        let cluster = arn(name);
        let whole = if pattern.is_arn() { &cluster } else { cluster_name(&cluster) };
        let expected = by_definition(pattern.as_str(), whole);
        assert_eq!(pattern.matches(&cluster), expected, "{pattern} {cluster}");
        let (known, unknown) = (scope(Some("123456789012")), scope(None));
        let by_name = ClusterRef::from(name);
        let is_name = !by_name.is_arn() && !name.is_empty() && !name.contains(":cluster/");
        if expected && is_name {
            // Only names of AWS's kind can be matched by a glob of names.
            let is_valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            assert!(!is_valid || pattern.can_match(&known), "{pattern} {cluster}");
            assert!(!is_valid || pattern.can_match(&unknown), "{pattern} {cluster}");
            assert!(pattern.can_match_ref(&by_name, &unknown), "{pattern} {cluster}");
        }
        if is_name {
            assert_eq!(pattern.matches_ref(&by_name, &known), expected, "{pattern} {cluster}");
            assert!(!pattern.matches_ref(&by_name, &unknown) || expected, "{pattern} {cluster}: whatever the account");
        }
    }
}

/// What is scanned is what the items say of each cluster by itself.
fn check_selection(config: &AwsConfig) {
    let listed = NAMES.map(|name| ClusterRef::from(arn(name).as_str()));
    let in_scope = config.clusters.in_scope(&scope(Some("123456789012")));
    let scanned = in_scope.with_listed(listed.clone());
    for cluster in &listed {
        let matches = |pattern: &Pattern| {
            let whole = if pattern.is_arn() { cluster.as_str() } else { cluster.name() };
            by_definition(pattern.as_str(), whole)
        };
        let (include, exclude) = (&config.clusters.include, &config.clusters.exclude);
        let selected = (include.is_empty() || include.iter().any(matches)) && !exclude.iter().any(matches);
        let times = scanned.iter().filter(|scanned| scanned.matches(cluster.as_str())).count();
        assert_eq!(times, usize::from(selected), "{cluster} of {scanned:?}");
        assert_eq!(in_scope.selects(cluster.as_str()), selected, "{cluster}");
    }
}

fn check_plan(config: &AwsConfig, own: Option<&str>) {
    let regions = ["eu-west-1".into(), "us-east-1".into()];
    let request = ScopeRequest { identities: &config.identities, regions: &regions, selection: &config.clusters };
    let needs_account = request.needs_own_account();
    if let Ok(plan) = request.plan(own) {
        assert!(!plan.is_empty() && plan.iter().all(|planned| !planned.clusters.is_empty()), "{plan:?}");
        for (at, planned) in plan.iter().enumerate() {
            let same = |other: &&ecs_discovery::inventory::Planned| {
                other.scope == planned.scope && other.identity == planned.identity
            };
            assert_eq!(plan[..at].iter().find(same), None);
        }
        // The account is asked for only where the plan depends on it.
        if !needs_account
            && let Some(own) = own.filter(|own| own.len() == 12 && own.bytes().all(|byte| byte.is_ascii_digit()))
            && let (Ok(known), Ok(unknown)) = (request.plan(Some(own)), request.plan(None))
        {
            let clusters = |plan: Vec<ecs_discovery::inventory::Planned>| {
                plan.into_iter().map(|planned| planned.clusters.named).collect::<Vec<_>>()
            };
            assert_eq!(clusters(known), clusters(unknown), "account {own}");
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:cluster/{name}")
}

fn scope(account: Option<&str>) -> Scope {
    Scope { region: "eu-west-1".into(), account: account.map(Into::into) }
}

/// Matches by the definition: for each part of the pattern, which parts of the text it matches.
fn by_definition(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for (at, reached) in matched.iter().enumerate() {
            if wanted == '*' {
                next[at] = *reached || (at > 0 && next[at - 1]);
            } else if *reached && text.get(at).is_some_and(|found| wanted == '?' || wanted == *found) {
                next[at + 1] = true;
            }
        }
        matched = next;
    }
    matched[text.len()]
}
