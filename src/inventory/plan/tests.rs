//! Which scopes are planned, with what.

use super::*;

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:ecs:{region}:{account}:cluster/{name}")
}

fn identities(accounts: &[&str]) -> Vec<Identity> {
    let identity = |account: &&str| match *account {
        "self" => Identity::Own,
        account => Identity::Role(RoleArn::parse(&format!("arn:aws:iam::{account}:role/reader")).unwrap()),
    };
    accounts.iter().map(identity).collect()
}

fn selection(items: &[&str]) -> Selection {
    let (exclude, include): (Vec<&str>, Vec<&str>) = items.iter().partition(|item| item.starts_with('!'));
    let patterns =
        |items: Vec<&str>| items.iter().map(|item| Pattern::parse(item.trim_start_matches('!')).unwrap()).collect();
    Selection { include: patterns(include), exclude: patterns(exclude) }
}

/// Calls `look` with the request for these identities (`self` or accounts), regions and items.
fn with<T>(accounts: &[&str], regions: &[&str], items: &[&str], look: impl Fn(ScopeRequest<'_>) -> T) -> T {
    let regions: Vec<Shared> = regions.iter().map(|region| (*region).into()).collect();
    look(ScopeRequest { identities: &identities(accounts), regions: &regions, selection: &selection(items) })
}

/// Returns the planned scopes with the named clusters and whether others are listed, or the error.
fn plan(accounts: &[&str], regions: &[&str], items: &[&str], own: Option<&str>) -> Result<Vec<String>, String> {
    let describe = |planned: Planned| {
        let names: Vec<&str> = planned.clusters.named.iter().map(ClusterRef::name).collect();
        let listed = if planned.clusters.listed.is_some() { " +" } else { "" };
        format!("{} {}{listed}", planned.scope, names.join(","))
    };
    let planned = with(accounts, regions, items, |request| request.plan(own));
    planned.map(|planned| planned.into_iter().map(describe).collect()).map_err(|error| error.to_string())
}

fn asks(accounts: &[&str], items: &[&str]) -> bool {
    with(accounts, &["eu-west-1", "eu-north-1"], items, |request| request.needs_own_account())
}

#[test]
fn scopes_are_identities_times_regions() {
    let all = plan(&["self", ONE], &["eu-west-1", "eu-north-1"], &[], None).unwrap();
    let expected = ["eu-west-1  +", "eu-north-1  +", "111111111111/eu-west-1  +", "111111111111/eu-north-1  +"];
    assert_eq!(all, expected);
    let named = plan(&[ONE, TWO], &["eu-west-1"], &["prod", "!web"], None).unwrap();
    assert_eq!(named, ["111111111111/eu-west-1 prod", "222222222222/eu-west-1 prod"]);
}

#[test]
fn arns_are_planned_where_they_can_match() {
    let regions = &["eu-west-1", "us-east-1"];
    let of_two = arn("us-east-1", TWO, "prod");
    let planned = |items: &[&str]| plan(&[ONE, TWO], regions, items, None).unwrap();
    assert_eq!(planned(&[&of_two]), ["222222222222/us-east-1 prod"]);
    assert_eq!(planned(&["arn:aws:ecs:eu-*:*:cluster/*"]), ["111111111111/eu-west-1  +", "222222222222/eu-west-1  +"]);
    let glob = arn("*", ONE, "web-*");
    assert_eq!(planned(&[&glob]), ["111111111111/eu-west-1  +", "111111111111/us-east-1  +"]);
    assert_eq!(
        planned(&["*", &format!("!{}", arn("*", ONE, "*"))]),
        ["222222222222/eu-west-1  +", "222222222222/us-east-1  +"]
    );
}

#[test]
fn arn_adds_its_region() {
    for item in [arn("us-east-1", ONE, "prod"), arn("us-east-1", "*", "pro?")] {
        let planned = plan(&[ONE], &["eu-west-1"], &[&item], None).unwrap();
        assert_eq!(planned.len(), 1, "{planned:?}");
        assert!(planned[0].starts_with("111111111111/us-east-1 "), "{planned:?}");
    }
    let with_name = plan(&[ONE], &["eu-west-1"], &["web", &arn("us-east-1", ONE, "prod")], None).unwrap();
    assert_eq!(with_name, ["111111111111/eu-west-1 web", "111111111111/us-east-1 web,prod"], "names in every scope");
    let excluded = plan(&[ONE], &["eu-west-1"], &["!arn:aws:ecs:*:*:cluster/a"], None).unwrap();
    assert_eq!(excluded, ["111111111111/eu-west-1  +"]);
}

#[test]
fn own_account_decides_if_it_is_known() {
    let (one, two) = (arn("eu-west-1", ONE, "a"), arn("eu-west-1", TWO, "b"));
    let planned = |own| plan(&["self"], &["eu-west-1"], &[&one, "!arn:*:222222222222:*", "c"], own);
    assert_eq!(planned(Some(ONE)), Err(no_scope("arn:*:222222222222:*")));
    assert_eq!(planned(None), Ok(vec!["eu-west-1 a,c".into()]));
    assert_eq!(plan(&["self"], &["eu-west-1"], &[&two], Some(ONE)), Err(no_scope(&two)));
    let both = plan(&["self", TWO], &["eu-west-1"], &[&one, &two], Some(ONE)).unwrap();
    assert_eq!(both, ["111111111111/eu-west-1 a", "222222222222/eu-west-1 b"]);
    let unknown = plan(&["self", TWO], &["eu-west-1"], &[&one, &two], None).unwrap();
    assert_eq!(unknown, ["eu-west-1 a", "222222222222/eu-west-1 b"], "what is of a role is not of the process itself");
}

#[test]
fn own_account_is_asked_for_only_where_it_matters() {
    let (one, two, any) = (arn("eu-west-1", ONE, "a"), arn("eu-west-1", TWO, "a"), arn("eu-*", "*", "a-1"));
    let glob = arn("*", ONE, "a*");
    for (accounts, items, expected) in [
        (&["self"][..], &[][..], false),
        (&["self"], &["a", "b*", "!c"], false),
        (&["self"], &[&one], false),
        (&["self"], &[&one, "b", &any], false),
        (&["self"], &[&one, "a"], true),
        (&["self"], &[&one, &two], true),
        (&["self"], &[&glob], true),
        (&["self", TWO], &[&one], true),
        (&["self", TWO], &["a"], false),
        (&["self", TWO], &[&two], false),
        (&["self", ONE], &[&glob, "a"], false),
        (&[ONE, TWO], &[&one, &glob], false),
        (&["self"], &["a", &format!("!{one}")], true),
        (&["self"], &["a*", &format!("!{one}")], false),
        (&["self", ONE], &["a", &format!("!{one}")], false),
        (&["self"], &[&format!("!{}", arn("*", ONE, "*"))], true),
    ] {
        assert_eq!(asks(accounts, items), expected, "{accounts:?} {items:?}");
    }
}

fn no_scope(item: &str) -> String {
    format!(
        "invalid value {item:?} for -config.cluster: no account and region of -config.role-arn and -config.region can match"
    )
}

#[test]
fn items_that_can_match_nowhere_are_errors() {
    for item in [
        arn("eu-west-1", "333333333333", "a"),
        arn("*", "333333333333", "*"),
        arn("ap-*", "*", "*"),
        "arn:aws-cn:ecs:cn-north-1:111111111111:cluster/a".into(),
        "arn:aws:ecs:*:*:service/*".into(),
    ] {
        assert_eq!(plan(&[ONE, TWO], &["eu-west-1"], &["b", &item], None), Err(no_scope(&item)));
        let exclusion = format!("!{item}");
        assert!(plan(&[ONE, TWO], &["eu-west-1"], &["b", &exclusion], None).is_err(), "{exclusion}");
    }
    let nothing = plan(&[ONE], &["eu-west-1"], &["!*"], None);
    assert_eq!(nothing, Err("invalid value for -config.cluster: every cluster is excluded".into()));
}

#[test]
fn credentials_are_of_other_accounts_and_of_the_regions_partition() {
    let china = plan(&["self", ONE], &["cn-north-1"], &[], None).unwrap_err();
    assert!(china.ends_with("in partition aws, but region cn-north-1 is in aws-cn"), "{china}");
    let same = plan(&["self", ONE], &["eu-west-1"], &[], Some(ONE)).unwrap_err();
    assert!(same.contains("role/reader") && same.ends_with("as are the process's own credentials (self)"), "{same}");
}
