//! A scope that fails in any way costs the others neither freshness nor time.

use std::time::{Duration, Instant};

use simaws::{Cluster, Fault, FaultKind, Span, World};

use super::{ONE, TWO, scope};
use crate::fixtures::on_fargate;
use crate::harness::{Scene, run_concurrently, text, wait_until};

/// How many scopes are refreshed concurrently (`CONCURRENT_SCOPES`).
const CONCURRENT: usize = 8;

/// Less than a hanging call takes, and more than a refresh does on a busy machine.
const SOON: Duration = Duration::from_secs(8);

/// Returns the calls of an operation in a scope that have ended.
fn spans(scene: &Scene, operation: &str, scope: &str) -> Vec<Span> {
    let calls = scene.aws.calls();
    let of_scope = calls.spans().filter(|span| span.operation == operation && span.scope == scope);
    of_scope.cloned().collect()
}

/// Returns a scene of accounts ONE and TWO in one region, in which `clusters` are scanned.
fn two_accounts(clusters: &[&str]) -> Scene {
    let world =
        scope(ONE, "us-east-1", "10.0.0", &clusters[..1]).with_other(scope(TWO, "us-east-1", "10.0.2", clusters));
    Scene::of(world)
        .flag(&format!("-config.role-arn=self,arn:aws:iam::{TWO}:role/reader"))
        .flag(&format!("-config.cluster={}", clusters.join(",")))
}

/// Adds a task to the first account.
fn add_task(scene: &Scene, cluster: &str, n: usize) -> String {
    let address = format!("10.0.1.{n}");
    let task = on_fargate(&format!("new-{n}"), "web:1", &address);
    scene.aws.change(|world| world.scope_mut(ONE, "us-east-1").cluster_mut(cluster).tasks.push(task));
    format!("{address}:9102")
}

#[test]
fn failing_scope_costs_the_others_neither_freshness_nor_time() {
    let cases = [
        ("*", FaultKind::Hang),
        ("*", FaultKind::Throttle),
        ("*", FaultKind::Denied),
        ("*", FaultKind::Reset),
        ("*", FaultKind::Unavailable),
        ("ecs:DescribeTasks", FaultKind::Hang),
        ("ecs:DescribeTaskDefinition", FaultKind::Throttle),
        ("sts:AssumeRole", FaultKind::Hang),
        ("sts:AssumeRole", FaultKind::Unavailable),
    ];
    run_concurrently(&cases, |(operation, kind)| {
        let mut scene = two_accounts(&["prod"]);
        scene.aws.add_fault(Fault::always(operation, kind.clone()).account(TWO));
        let mut targets = vec!["10.0.0.1:9102".to_owned()];
        scene.start();
        // Each change of the first account is published soon, whatever the other account is doing.
        for n in 1..=4 {
            scene.wait_for_targets(&targets.iter().map(String::as_str).collect::<Vec<_>>());
            targets.push(add_task(&scene, "prod", n));
            let changed = Instant::now();
            scene.wait_for_targets(&targets.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(changed.elapsed() < SOON, "{operation} {kind:?}: {:?}", changed.elapsed());
        }
        let listings = spans(&scene, "ecs:ListTasks", &format!("{ONE}/us-east-1"));
        let pauses = listings.windows(2).map(|two| two[1].begun.saturating_duration_since(two[0].ended));
        let longest = pauses.max().unwrap();
        assert!(longest < SOON, "{operation} {kind:?}: no refresh for {longest:?}");
        scene.stop();
    });
}

/// If the scopes shared a bucket, nobody would call for a second after a throttled call.
#[test]
fn throttled_scope_does_not_slow_down_the_others() {
    const THROTTLED: usize = 5;
    let mut scene = two_accounts(&["prod"]);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).account(TWO));
    scene.start_and_wait_for(&["10.0.0.1:9102"]);
    let throttled = |scene: &Scene| spans(scene, "ecs:ListTasks", &format!("{TWO}/us-east-1"));
    wait_until("calls are throttled", || throttled(&scene).len() > THROTTLED);
    let others = spans(&scene, "ecs:ListTasks", &format!("{ONE}/us-east-1"));
    // A call that is in progress had its token before.
    let within = Duration::from_millis(200)..Duration::from_millis(900);
    let followed =
        |call: &Span| others.iter().any(|other| within.contains(&other.begun.saturating_duration_since(call.ended)));
    assert!(throttled(&scene).iter().any(followed), "{} calls in the other scope", others.len());
    scene.stop();
}

/// If the scopes shared circuit breakers, those of a failing scope would be closed by each refresh of another scope.
#[test]
fn circuit_breakers_are_those_of_a_scope() {
    let names: Vec<String> = (0..40).map(|n| format!("c-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = two_accounts(&names);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Unavailable).account(TWO));
    scene.start_and_wait_for(&["10.0.0.1:9102"]);
    let skipped = scene.wait_for_failure("ListTasks", "Skipped");
    assert!(text(&skipped, "scope").contains(TWO), "{skipped}");
    let target = add_task(&scene, "c-0", 1);
    scene.wait_for_targets(&["10.0.0.1:9102", &target]);
    let of_first = |line: &serde_json::Value| text(line, "code") == "Skipped" && !text(line, "scope").contains(TWO);
    assert!(!scene.log().iter().any(of_first), "nothing was skipped in the scope that does not fail");
    scene.stop();
}

/// More scopes hang than are refreshed concurrently, and they come first.
#[test]
fn many_hanging_scopes_do_not_starve_the_others() {
    let accounts: Vec<String> =
        (1..=2 * CONCURRENT).map(|n| format!("{:012}", 222_222_222_222_u64 + n as u64)).collect();
    let (healthy, hanging) = accounts.split_last().unwrap();
    let scopes = accounts.iter().map(|account| World::new(account, "us-east-1").with_cluster(Cluster::new("prod")));
    let mut world = scopes.fold(World::new(ONE, "us-east-1"), World::with_other);
    *world.scope_mut(healthy, "us-east-1") = scope(healthy, "us-east-1", "10.0.3", &["prod"]);
    let roles: Vec<_> = accounts.iter().map(|account| format!("arn:aws:iam::{account}:role/reader")).collect();
    let mut scene =
        Scene::of(world).flag("-config.cluster=prod").flag(&format!("-config.role-arn={}", roles.join(",")));
    for account in hanging {
        scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Hang).account(account));
    }
    let start = Instant::now();
    scene.start_and_wait_for(&["10.0.3.1:9102"]);
    assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
    scene.aws.change(|world| {
        let task = on_fargate("new", "web:1", "10.0.3.9");
        world.scope_mut(healthy, "us-east-1").cluster_mut("prod").tasks.push(task);
    });
    let changed = Instant::now();
    scene.wait_for_targets(&["10.0.3.1:9102", "10.0.3.9:9102"]);
    assert!(changed.elapsed() < SOON, "{:?}", changed.elapsed());
    scene.stop();
}
