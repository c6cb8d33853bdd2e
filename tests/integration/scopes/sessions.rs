//! Sessions of roles: one each, whatever STS does and however many scopes share it.

use std::time::Duration;

use simaws::{Fault, FaultKind, World};

use super::{ONE, TWO, scope};
use crate::harness::{Scene, run_concurrently, wait_until};

/// More than are refreshed concurrently, so that some begin when others have finished.
const REGIONS: usize = 20;

/// Returns a scene of a role in many regions, each with a task.
fn many_regions() -> (Scene, Vec<String>) {
    let regions: Vec<String> = (1..=REGIONS).map(|n| format!("eu-west-{n}")).collect();
    let worlds = regions.iter().enumerate().map(|(n, region)| scope(TWO, region, &format!("10.0.{n}"), &["prod"]));
    let world = worlds.fold(World::new(ONE, "us-east-1"), World::with_other);
    let scene = Scene::of(world)
        .flag("-config.cluster=prod")
        .flag(&format!("-config.role-arn=arn:aws:iam::{TWO}:role/reader"))
        .flag(&format!("-config.region={}", regions.join(",")));
    (scene, (0..REGIONS).map(|n| format!("10.0.{n}.1:9102")).collect())
}

#[test]
fn role_is_assumed_once_for_all_its_regions() {
    let cases = [
        (None, 1),
        (Some(Fault::always("sts:AssumeRole", FaultKind::Delay { millis: 2000 })), 1),
        // One fails, and the next one serves all.
        (Some(Fault::once("sts:AssumeRole", FaultKind::Denied)), 2),
        (Some(Fault::once("sts:AssumeRole", FaultKind::Unavailable)), 2),
        (Some(Fault::once("sts:AssumeRole", FaultKind::Reset)), 2),
    ];
    run_concurrently(&cases, |(fault, calls)| {
        let (mut scene, targets) = many_regions();
        if let Some(fault) = fault {
            scene.aws.add_fault(fault.clone());
        }
        scene.start_and_wait_for(&targets.iter().map(String::as_str).collect::<Vec<_>>());
        scene.wait_for_refreshes(2 * REGIONS);
        scene.stop();
        assert_eq!(scene.aws.calls().get("sts:AssumeRole"), *calls, "{fault:?}");
    });
}

/// Calls in all regions wait for the same credentials.
#[test]
fn denied_role_costs_one_call_and_not_one_for_each_call_that_needs_it() {
    let (scene, _) = many_regions();
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    let mut scene = scene.flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(1));
    let calls = scene.aws.calls();
    // Scopes that have to wait for their turn for longer than a failure is shared ask again.
    assert!((1..REGIONS / 2).contains(&calls.get("sts:AssumeRole")), "{calls}");
}

/// The SDK caches the credentials of 64 identities at most.
#[test]
fn many_roles_are_assumed_once_each() {
    const ROLES: u64 = 70;
    let accounts: Vec<String> = (0..ROLES).map(|n| format!("{:012}", 222_222_222_000 + n)).collect();
    let worlds = accounts.iter().map(|account| scope(account, "us-east-1", "10.0.0", &["prod"]));
    let world = worlds.fold(World::new(ONE, "us-east-1"), World::with_other);
    let roles: Vec<String> = accounts.iter().map(|account| format!("arn:aws:iam::{account}:role/reader")).collect();
    let mut scene =
        Scene::of(world).flag("-config.cluster=prod").flag(&format!("-config.role-arn={}", roles.join(",")));
    scene = scene.flag("-config.scrape-interval=1s");
    scene.start();
    let listings = |account: &String| scene.aws.calls().in_scope(account, "us-east-1").get("ecs:ListTasks");
    wait_until("every scope is refreshed three times", || accounts.iter().all(|account| listings(account) >= 3));
    assert_eq!(scene.aws.calls().get("sts:AssumeRole"), ROLES as usize);
    scene.stop();
}

/// Every call of a session that is about to expire needs a new one.
#[test]
fn session_is_renewed_once_for_all_regions() {
    let (mut scene, targets) = many_regions();
    scene.aws.set_options(simaws::Options { credentials_lifetime: Duration::from_secs(15), ..Default::default() });
    scene.start_and_wait_for(&targets.iter().map(String::as_str).collect::<Vec<_>>());
    let assumed = |scene: &Scene| scene.aws.calls().get("sts:AssumeRole");
    wait_until("the session is renewed", || assumed(&scene) >= 3);
    scene.stop();
    let begun: Vec<_> =
        scene.aws.calls().spans().filter(|span| span.operation == "sts:AssumeRole").map(|span| span.begun).collect();
    let shortest = begun.windows(2).map(|two| two[1] - two[0]).min().unwrap();
    // Ten seconds before its end, a session counts as expired.
    assert!(shortest > Duration::from_secs(3), "{shortest:?}");
}

/// The wall clock of the program may be behind, so that it takes an expired session for a valid one.
#[test]
fn session_that_aws_calls_expired_is_renewed() {
    let (mut scene, targets) = many_regions();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    scene.start_and_wait_for(&targets);
    let reader = scene.reader(&targets);
    scene.aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::ExpiredToken).account(TWO));
    wait_until("another session is started", || scene.aws.calls().get("sts:AssumeRole") == 2);
    scene.aws.clear_faults();
    scene.wait_for_refreshes(2 * REGIONS);
    // One more may have been on its way when the fault ended.
    assert!(scene.aws.calls().get("sts:AssumeRole") <= 3);
    reader.stop();
    scene.stop();
}
