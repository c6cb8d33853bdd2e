use std::sync::Arc;

use super::*;
use crate::file_sd::TargetGroup;
use crate::output::{Earlier, Output};
use crate::publish::Publisher;
use crate::refresh::Refresher;
use crate::refresh::fixtures::{Script, Step, rules, running};
use crate::status::SharedStatus;

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

fn scope(account: &str, region: &str) -> Scope {
    Scope { region: region.into(), account: Some(account.into()) }
}

/// Refreshes these scopes as a run does, of which `outstanding` more have not been refreshed yet.
async fn publish(metrics: &Metrics, status: &SharedStatus, scopes: &[Scope], outstanding: usize) {
    let places = std::iter::repeat_n(Arc::<Vec<TargetGroup>>::default(), scopes.len() + outstanding);
    let mut publisher = Publisher::new(Output::Nowhere, &Earlier::Nothing, places);
    for (n, scope) in scopes.iter().enumerate() {
        metrics.refresh_started(scope);
        metrics.interval(scope, Duration::from_secs(60));
        metrics.events_missing(scope, false);
        for (operation, code) in [(Operation::ListTasks, "ok"), (Operation::DescribeTasks, "ThrottlingException")] {
            let took = Duration::from_millis(20);
            metrics.attempt(&Attempt { scope, operation, code, throttled: code != "ok", took });
        }
        let script = Script::of([Step::Learns(running(&["a"]))]).in_scope(scope.clone());
        let mut refresher = Refresher::new(script, rules(), Arc::default(), None);
        publisher.refreshed(n, Arc::new(refresher.refresh(None).await));
    }
    let publication = Arc::new(publisher.publish().await);
    status.published(publication.clone());
    metrics.published(&publication);
}

/// Returns the samples with these labels.
fn series(metrics: &Metrics, status: &SharedStatus, account: &str, region: &str) -> BTreeSet<String> {
    let (account, region) = (format!("account_id=\"{account}\""), format!("region=\"{region}\""));
    let text = metrics.render(&status.get(), MetricsFormat::Classic);
    text.lines().filter(|line| line.contains(&account) && line.contains(&region)).map(String::from).collect()
}

#[tokio::test]
async fn series_of_a_scope_that_is_gone_are_removed() {
    let (metrics, status) = (Metrics::new(), SharedStatus::default());
    let scopes = [scope(ONE, "us-east-1"), scope(TWO, "us-east-1"), scope(ONE, "eu-west-1")];
    publish(&metrics, &status, &scopes, 0).await;
    let count = |account, region| series(&metrics, &status, account, region).len();
    let all = count(ONE, "us-east-1");
    // Stages, operations with their buckets, and the metrics of a scope.
    assert!(all > 100, "{all}");
    assert_eq!([count(TWO, "us-east-1"), count(ONE, "eu-west-1")], [all, all]);

    publish(&metrics, &status, &scopes[..1], 1).await;
    // It may still come. Of its cluster nothing is known yet.
    assert_eq!(count(TWO, "us-east-1"), all - 2);
    publish(&metrics, &status, &scopes[..1], 0).await;
    assert_eq!(count(ONE, "us-east-1"), all);
    for (account, region) in [(TWO, "us-east-1"), (ONE, "eu-west-1")] {
        assert_eq!(series(&metrics, &status, account, region), BTreeSet::new());
    }
}

#[tokio::test]
async fn series_of_a_queue_stay_when_the_scope_of_its_account_and_region_goes() {
    let (metrics, status) = (Metrics::new(), SharedStatus::default());
    let scopes = [scope(ONE, "us-east-1"), scope(TWO, "us-east-1")];
    metrics.queue_added("https://sqs.us-east-1.amazonaws.com/222222222222/tasks", &scopes[1]);
    let took = Duration::from_secs(20);
    let (operation, code) = (Operation::ReceiveMessage, "RequestThrottled");
    metrics.attempt(&Attempt { scope: &scopes[1], operation, code, throttled: true, took });
    let of_queue = series(&metrics, &status, TWO, "us-east-1");
    publish(&metrics, &status, &scopes, 0).await;
    publish(&metrics, &status, &scopes[..1], 0).await;
    assert_eq!(series(&metrics, &status, TWO, "us-east-1"), of_queue);
    assert!(of_queue.iter().all(|series| series.contains("service=\"sqs\"")) && !of_queue.is_empty());
}
