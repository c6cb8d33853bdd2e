//! Targets are written as they are learned if none are known yet.

use simaws::{Fault, FaultKind};

use crate::fixtures::{API, SHOP, TWO_CLUSTERS, two_clusters};
use crate::harness::{Scene, wait_until};

/// Returns a scene in which the response for one task definition takes for ever.
fn one_definition_hangs() -> Scene {
    let scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other");
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Hang).matching("/web:1"));
    scene
}

#[test]
fn targets_are_there_before_the_first_refresh_ends() {
    let mut scene = one_definition_hangs();
    let server = scene.serve();
    wait_until("some targets are written", || scene.targets().contains(API));
    assert_eq!(server.metrics().value("refreshes_total"), Some(0.0));
    wait_until("they are served", || server.get("/targets").body.contains(API));
    assert_eq!(server.get("/-/ready").status, 503, "the set is not whole");
    let reader = scene.reader(&[API]);
    scene.aws.clear_faults();
    scene.wait_for_targets(&TWO_CLUSTERS);
    wait_until("the set is whole", || server.get("/-/ready").status == 200);
    reader.stop();
    scene.stop();
}

#[test]
fn targets_are_there_before_a_call_for_hosts_ends() {
    let mut scene = one_definition_hangs();
    scene.aws.add_fault(Fault::always("ec2:DescribeInstances", FaultKind::Hang));
    let server = scene.serve();
    wait_until("some targets are written", || scene.targets().contains(SHOP));
    assert_eq!(server.metrics().value("refreshes_total"), Some(0.0));
    assert_eq!(scene.targets().len(), 1, "the others wait for a host or for a task definition");
    scene.aws.clear_faults();
    scene.wait_for_targets(&TWO_CLUSTERS);
    scene.stop();
}

#[test]
fn known_targets_are_not_replaced_by_some() {
    let mut scene = Scene::of(two_clusters()).flag("-config.cluster=prod,other").flag("-config.cache=off");
    scene.start_and_wait_for(&TWO_CLUSTERS);
    scene.stop();
    scene.aws.add_fault(Fault::always("ecs:DescribeTaskDefinition", FaultKind::Hang).matching("/web:1"));
    let reader = scene.reader(&TWO_CLUSTERS);
    scene.start();
    scene.wait_for_refreshes(1);
    reader.stop();
    scene.stop();
}

#[test]
fn one_shot_run_writes_once() {
    let mut scene = one_definition_hangs().flag("-config.scrape-times=1");
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    assert!(scene.targets().contains(API));
    assert_eq!(exited.stderr.matches("targets written").count(), 1);
}
