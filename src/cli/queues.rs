//! URLs of queues.

use hyper::Uri;

use crate::config::Queue;
use crate::inventory::is_region;

/// The flag.
const FLAG: &str = "config.events-queue";

/// The form of a queue's URL.
const FORM: &str = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME";

/// Parses a comma-separated list of URLs of queues.
pub(super) fn queues(text: &str) -> Result<Vec<Queue>, String> {
    let mut queues: Vec<Queue> = Vec::new();
    for url in text.split(',').map(str::trim).filter(|url| !url.is_empty()) {
        let queue = queue(url)
            .ok_or_else(|| format!("invalid value {url:?} for -{FLAG}: expected a queue's URL, {}", form(url)))?;
        if !queues.contains(&queue) {
            queues.push(queue);
        }
    }
    Ok(queues)
}

/// Returns the form of the URL that was expected, with what an ARN (`arn:aws:sqs:REGION:ACCOUNT:NAME`) tells of it.
fn form(given: &str) -> String {
    match given.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "sqs", region, account, name] => {
            let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("not its ARN: https://sqs.{region}.{suffix}/{account}/{name}")
        }
        _ => format!("such as {FORM}"),
    }
}

fn queue(url: &str) -> Option<Queue> {
    let uri = url.parse::<Uri>().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let mut path = uri.path().split('/').filter(|part| !part.is_empty());
    let (account, name) = (path.next(), path.next());
    let is_url =
        matches!(scheme, "http" | "https") && name.is_some() && uri.query().is_none() && !authority.host().is_empty();
    let has_user = authority.as_str().contains('@');
    (is_url && !has_user).then(|| {
        let (region, standard) = region(authority.host());
        let endpoint = (!standard).then(|| format!("{scheme}://{authority}"));
        let account = account.filter(|account| is_account(account)).map(Into::into);
        Queue { url: url.to_owned(), region: region.map(Into::into), account, endpoint }
    })
}

/// Returns whether this is the ID of an account. The paths of stand-ins for AWS may start with something else.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the region in the name of a host, and whether the host is the region's usual one. The others are FIPS and
/// dual-stack endpoints, VPC endpoints (`vpce-….sqs.REGION.vpce.amazonaws.com`) and stand-ins for AWS.
fn region(host: &str) -> (Option<&str>, bool) {
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        // The endpoints of before 2014 ("Amazon SQS endpoints and quotas").
        ["queue", "amazonaws", "com"] => return (Some("us-east-1"), true),
        [region, "queue", "amazonaws", ..] if is_region(region) => return (Some(region), true),
        _ => {}
    }
    let at = labels.iter().position(|label| matches!(*label, "sqs" | "sqs-fips"));
    let region = at.and_then(|at| labels.get(at + 1).copied()).filter(|label| is_region(label) && label.contains('-'));
    let suffix = labels.get(2..).unwrap_or_default().join(".");
    (region, region.is_some() && labels[0] == "sqs" && SUFFIXES.contains(&suffix.as_str()))
}

/// What the names of the usual hosts end in (botocore, `partitions.json`).
const SUFFIXES: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_tells_the_region_and_the_endpoint() {
        for (origin, region, standard) in [
            ("https://sqs.eu-west-1.amazonaws.com", Some("eu-west-1"), true),
            ("https://sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1"), true),
            ("https://sqs.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"), true),
            ("https://sqs.us-iso-east-1.c2s.ic.gov", Some("us-iso-east-1"), true),
            ("https://sqs.us-isob-east-1.sc2s.sgov.gov", Some("us-isob-east-1"), true),
            ("https://sqs.us-isof-south-1.csp.hci.ic.gov", Some("us-isof-south-1"), true),
            ("https://sqs.eu-isoe-west-1.cloud.adc-e.uk", Some("eu-isoe-west-1"), true),
            ("https://sqs.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1"), true),
            ("https://eu-west-1.queue.amazonaws.com", Some("eu-west-1"), true),
            ("https://queue.amazonaws.com", Some("us-east-1"), true),
            ("https://sqs-fips.us-east-1.amazonaws.com", Some("us-east-1"), false),
            ("https://sqs.us-east-1.api.aws", Some("us-east-1"), false),
            ("https://sqs-fips.us-east-1.api.aws", Some("us-east-1"), false),
            ("https://vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com", Some("eu-west-1"), false),
            ("http://sqs.us-east-1.localhost.localstack.cloud:4566", Some("us-east-1"), false),
            ("http://127.0.0.1:4566", None, false),
            ("http://localhost:4566", None, false),
            ("http://sqs.example:4566", None, false),
        ] {
            let url = format!("{origin}/123456789012/tasks");
            let endpoint = (!standard).then(|| origin.to_owned());
            let (region, account) = (region.map(Into::into), Some("123456789012".into()));
            let expected = Queue { url: url.clone(), region, account, endpoint };
            assert_eq!(queues(&url), Ok(vec![expected]), "{origin}");
        }
    }

    #[test]
    fn account_is_that_of_the_url_if_it_has_one() {
        for (path, account) in [("123456789012/tasks", Some("123456789012")), ("queue/tasks", None), ("1/tasks", None)]
        {
            let queue = queue(&format!("http://localhost:4566/{path}"));
            assert_eq!(queue.unwrap().account.as_deref(), account, "{path}");
        }
    }

    #[test]
    fn queues_are_listed_once_each() {
        assert_eq!(queues(" , "), Ok(vec![]));
        let (one, two) = ("https://sqs.eu-west-1.amazonaws.com/1/a", "https://sqs.eu-west-1.amazonaws.com/1/b");
        let urls =
            queues(&format!("{one}, {two},{one}")).map(|queues| queues.into_iter().map(|queue| queue.url).collect());
        assert_eq!(urls, Ok(vec![one.to_owned(), two.to_owned()]));
    }

    #[test]
    fn error_shows_the_form_of_the_url() {
        for invalid in [
            "tasks",
            "sqs.eu-west-1.amazonaws.com/1/tasks",
            "https://sqs.eu-west-1.amazonaws.com/",
            "https://sqs.eu-west-1.amazonaws.com/tasks",
            "ftp://sqs.eu-west-1.amazonaws.com/1/tasks",
            "https://key:secret@sqs.eu-west-1.amazonaws.com/1/tasks",
            "https://host/1/tasks?x=y",
        ] {
            let error = queues(invalid).unwrap_err();
            assert!(error.contains(FORM) && error.contains(&format!("{invalid:?}")), "{error}");
        }
        let error = queues("arn:aws:sqs:eu-west-1:123456789012:tasks").unwrap_err();
        assert!(error.ends_with("not its ARN: https://sqs.eu-west-1.amazonaws.com/123456789012/tasks"), "{error}");
        let error = queues("arn:aws-cn:sqs:cn-north-1:123456789012:tasks").unwrap_err();
        assert!(error.ends_with("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/tasks"), "{error}");
    }
}
