//! Roles, regions and clusters: comma-separated lists, in which items that come up again count once.

use crate::inventory::{Identity, Pattern, RoleArn, ScopeRequest, Selection, Shared, is_region};

const ROLES: &str = "config.role-arn";
const REGIONS: &str = "config.region";
const CLUSTERS: &str = "config.cluster";

/// The item that stands for the process's own credentials.
const OWN: &str = "self";

/// Parses a list of role ARNs and `self`; an empty one is `self`.
pub(super) fn identities(list: &str) -> Result<Vec<Identity>, String> {
    let mut identities = Vec::new();
    for item in split_roles(list.trim()) {
        add(&mut identities, identity(item.trim(), list)?);
    }
    let roles: Vec<&RoleArn> = identities.iter().filter_map(Identity::role).collect();
    for (at, role) in roles.iter().enumerate() {
        let before = &roles[..at];
        if let Some(other) = before.iter().find(|other| other.account() == role.account()) {
            let (other, account) = (other.as_str(), role.account());
            return Err(invalid(
                role.as_str(),
                ROLES,
                &format!("in account {account}, as is {other:?}; expected one role per account"),
            ));
        }
        if let Some(other) = before.iter().find(|other| other.partition() != role.partition()) {
            let (own, theirs, other) = (role.partition(), other.partition(), other.as_str());
            return Err(invalid(role.as_str(), ROLES, &format!("in partition {own}, but {other:?} is in {theirs}")));
        }
    }
    Ok(identities)
}

fn identity(item: &str, list: &str) -> Result<Identity, String> {
    match item {
        "" if list.trim().is_empty() => Ok(Identity::Own),
        "" => Err(invalid(list, ROLES, "empty item")),
        OWN => Ok(Identity::Own),
        _ => RoleArn::parse(item).map(Identity::Role).ok_or_else(|| {
            invalid(
                item,
                ROLES,
                "expected arn:PARTITION:iam::ACCOUNT:role/NAME, or self for the process's own credentials",
            )
        }),
    }
}

/// Splits at the commas that an item follows, since the names of roles may have commas. A comma that ends an item is the
/// place of an empty one, unless it ends the whole list and thus may be part of a name.
fn split_roles(list: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(comma) = list[from..].find(',').map(|at| from + at) {
        from = comma + 1;
        if begins_role(list[from..].trim_start()) {
            items.push(&list[start..comma]);
            start = from;
        }
    }
    items.push(&list[start..]);
    let empty_follows = |item: &&str| item.trim_end().ends_with(',');
    if items.len() > 1 && items.iter().any(empty_follows) {
        items.push("");
    }
    items
}

fn begins_role(text: &str) -> bool {
    let is_own = |rest: &str| rest.is_empty() || rest.starts_with([',', ' ']);
    text.starts_with("arn:") || text.strip_prefix(OWN).is_some_and(is_own)
}

/// Parses a list of regions; an empty one leaves the region to the environment.
pub(super) fn regions(list: &str) -> Result<Vec<Shared>, String> {
    let mut regions = Vec::new();
    for item in split(list) {
        if item.is_empty() {
            return Err(invalid(list, REGIONS, "empty item"));
        }
        if !is_region(item) {
            return Err(invalid(item, REGIONS, "expected a region such as eu-west-1"));
        }
        add(&mut regions, item.into());
    }
    Ok(regions)
}

/// Parses a list of names, ARNs, and globs of either, of which those after a `!` exclude.
pub(super) fn clusters(list: &str) -> Result<Selection, String> {
    if !list.trim().is_empty() && split(list).all(str::is_empty) {
        return Err(invalid(list, CLUSTERS, "expected at least one cluster, or nothing for all"));
    }
    let mut selection = Selection::default();
    for item in split(list) {
        let (patterns, text) = match item.strip_prefix('!') {
            None => (&mut selection.include, item),
            Some(excluded) => (&mut selection.exclude, excluded.trim_start()),
        };
        let shown = if item.is_empty() { list } else { item };
        let pattern = match Pattern::parse(text) {
            Ok(pattern) => pattern,
            Err(_) if item == "!" => return Err(invalid(shown, CLUSTERS, "expected a name, an ARN or a glob after !")),
            Err(reason) => return Err(invalid(shown, CLUSTERS, reason)),
        };
        add(patterns, pattern);
    }
    Ok(selection)
}

/// Fails if an item can match nothing, as far as that is known without asking AWS.
pub(super) fn check(identities: &[Identity], regions: &[Shared], selection: &Selection) -> Result<(), String> {
    if regions.is_empty() && selection.needs_regions() {
        return Ok(());
    }
    let planned = ScopeRequest { identities, regions, selection }.plan(None);
    planned.map(drop).map_err(|error| error.to_string())
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    let items = Some(list).filter(|list| !list.trim().is_empty());
    items.into_iter().flat_map(|list| list.split(',')).map(str::trim)
}

fn add<T: PartialEq>(items: &mut Vec<T>, item: T) {
    if !items.contains(&item) {
        items.push(item);
    }
}

fn invalid(value: &str, flag: &str, reason: &str) -> String {
    format!("invalid value {value:?} for -{flag}: {reason}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "arn:aws:iam::111111111111:role/reader";
    const TWO: &str = "arn:aws:iam::222222222222:role/path/a,b,self-made,";

    fn names(list: &str) -> Vec<String> {
        identities(list).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn roles_are_split_where_a_role_begins() {
        assert_eq!(names(""), ["self"]);
        assert_eq!(names(" "), ["self"]);
        assert_eq!(names(ONE), [ONE]);
        assert_eq!(names(TWO), [TWO], "a single value is taken as it is");
        assert_eq!(names(&format!("{ONE}, self,{ONE},self")), [ONE, "self"]);
        let with_comma = TWO.trim_end_matches(',');
        assert_eq!(names(&format!("{with_comma},{ONE}")), [with_comma, ONE]);
    }

    #[test]
    fn invalid_roles() {
        let china = "arn:aws-cn:iam::333333333333:role/reader";
        for (list, expected) in [
            ("reader", "invalid value \"reader\" for -config.role-arn: expected arn:PARTITION:iam::ACCOUNT:role/NAME"),
            ("arn:aws:iam::1:user/x", "\"arn:aws:iam::1:user/x\" for -config.role-arn: expected"),
            ("self,", "\"self,\" for -config.role-arn: expected"),
            (",", "for -config.role-arn"),
            (&format!(",{ONE}"), "empty item"),
            (&format!("{ONE},,self"), "empty item"),
            (&format!("self,{ONE},"), "empty item"),
            (
                &format!("{ONE},arn:aws:iam::111111111111:role/other"),
                "in account 111111111111, as is \"arn:aws:iam::111111111111:role/reader\"",
            ),
            (&format!("{ONE},{china}"), "in partition aws-cn, but"),
        ] {
            let error = identities(list).unwrap_err();
            assert!(error.starts_with("invalid value \"") && error.contains(expected), "{list}: {error}");
        }
    }

    #[test]
    fn regions_are_trimmed_and_count_once() {
        assert_eq!(regions(" "), Ok(vec![]));
        assert_eq!(regions("eu-west-1, us-east-1,eu-west-1 "), Ok(vec!["eu-west-1".into(), "us-east-1".into()]));
        for (list, item) in
            [("eu-west-1,,us-east-1", "eu-west-1,,us-east-1"), ("a,", "a,"), ("a,eu west", "eu west"), ("a,-b", "-b")]
        {
            let error = regions(list).unwrap_err();
            assert!(error.starts_with(&format!("invalid value {item:?} for -config.region: ")), "{list}: {error}");
        }
    }

    #[test]
    fn invalid_clusters() {
        for (list, expected) in [
            (",", "\",\" for -config.cluster: expected at least one cluster"),
            ("a,", "\"a,\" for -config.cluster: empty item"),
            ("a,,b", "empty item"),
            ("a,!", "\"!\" for -config.cluster: expected a name, an ARN or a glob after !"),
            ("a,!!b*", "\"!!b*\" for -config.cluster: expected letters, digits"),
            ("a,arn:aws:ecs:x", "\"arn:aws:ecs:x\" for -config.cluster: expected arn:PARTITION:ecs:REGION"),
        ] {
            let error = clusters(list).unwrap_err();
            assert!(error.contains(expected), "{list}: {error}");
        }
    }

    proptest! {
        #[test]
        fn roles_round_trip(names in proptest::collection::vec("[a-z+=,.@_-]{0,6}[a-z]", 1..5), own in 0..5usize) {
            let role = |(at, name): (usize, &String)| if at == own {
                Identity::Own
            } else {
                Identity::Role(RoleArn::parse(&format!("arn:aws:iam::{at}:role/x{name}")).unwrap())
            };
            let expected: Vec<Identity> = names.iter().enumerate().map(role).collect();
            for separator in [",", ", ", " ,"] {
                let items: Vec<String> = expected.iter().map(ToString::to_string).collect();
                prop_assume!(!names.iter().any(|name| name.contains(",self")));
                prop_assert_eq!(identities(&items.join(separator)).unwrap(), expected.clone());
            }
        }

        #[test]
        fn clusters_round_trip(items in proptest::collection::hash_set("!?[a-z*?-]{1,5}", 0..5)) {
            let items: Vec<&String> = items.iter().collect();
            let list = items.iter().map(|item| item.as_str()).collect::<Vec<_>>().join(", ");
            let selection = clusters(&list).unwrap();
            let include = selection.include.iter().map(ToString::to_string);
            let mut parsed: Vec<String> = include.chain(selection.exclude.iter().map(|item| format!("!{item}"))).collect();
            let mut expected: Vec<String> = items.into_iter().cloned().collect();
            parsed.sort();
            expected.sort();
            prop_assert_eq!(parsed, expected);
        }
    }
}
