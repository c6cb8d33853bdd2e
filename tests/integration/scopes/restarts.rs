//! Restarts: last known targets and the cache file, scope by scope.

use simaws::{Calls, Fault, FaultKind, World};

use super::{ONE, PROD, REGIONS, ROLES, TWO, everywhere};
use crate::fixtures::{on_fargate, with_definitions};
use crate::harness::{Scene, Signal, run_concurrently};

const THREE: &str = "333333333333";

/// The address of a task that is new after a restart.
const NEW: &str = "10.0.1.9:9102";

/// Returns a scene with the file of a run that `signal` has ended.
fn after_a_run(signal: Signal) -> Scene {
    let mut scene = everywhere("p*");
    scene.start_and_wait_for(&PROD);
    scene.send(signal);
    scene
}

#[test]
fn restart_while_a_scope_is_down_keeps_its_targets_and_the_others_move() {
    let cases = [
        (Signal::TERM, "*", FaultKind::Denied),
        (Signal::TERM, "*", FaultKind::Hang),
        (Signal::KILL, "*", FaultKind::Reset),
        (Signal::KILL, "sts:AssumeRole", FaultKind::Denied),
        (Signal::KILL, "sts:AssumeRole", FaultKind::Hang),
    ];
    run_concurrently(&cases, |(signal, operation, kind)| {
        let mut scene = after_a_run(*signal);
        let reader = scene.reader(&[PROD[0], PROD[1], PROD[2]]);
        scene.aws.add_fault(Fault::always(operation, kind.clone()).account(TWO).region("us-east-1"));
        scene.aws.change(|world| {
            world.scope_mut(TWO, "us-east-1").cluster_mut("prod").tasks.clear();
            world.scope_mut(ONE, "eu-west-1").cluster_mut("prod").add_task(on_fargate("new", "web:1", "10.0.1.9"));
        });
        scene.start_and_wait_for(&[PROD[0], PROD[1], PROD[2], NEW]);
        reader.stop();
        scene.aws.clear_faults();
        scene.wait_for_targets(&[PROD[0], PROD[1], NEW]);
        scene.send(Signal::KILL);
    });
}

/// The account of the process's own credentials is not known before a task of it has been listed.
#[test]
fn restart_while_the_own_account_is_down_keeps_its_targets() {
    let mut scene = after_a_run(Signal::KILL);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied).account(ONE));
    scene.aws.change(|world| world.scope_mut(TWO, "us-east-1").cluster_mut("prod").tasks.clear());
    scene.start_and_wait_for(&PROD[..2]);
    scene.stop();
}

#[test]
fn scope_that_is_no_longer_configured_loses_its_targets() {
    let scene = after_a_run(Signal::TERM);
    // What is down and still configured stays.
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied).account(TWO));
    let mut scene = scene.flag("-config.region=us-east-1");
    scene.start_and_wait_for(&[PROD[0], PROD[2]]);
    scene.stop();
    let mut scene = scene.flag("-config.role-arn=self");
    scene.start_and_wait_for(&PROD[..1]);
    scene.stop();
}

/// The number of task definitions in each scope. At a restart, 40 of the restored definitions are compared with AWS.
const DEFINITIONS: usize = 100;

/// Runs one refresh with these flags. Returns how many definitions were described in each scope.
fn described(scene: Scene, roles: &str, regions: &str) -> (Scene, [usize; 4]) {
    let mut scene = scene.flag(roles).flag(regions);
    scene.aws.take_calls();
    assert_eq!(scene.run().code, Some(0), "{roles} {regions}");
    let calls: Calls = scene.aws.take_calls();
    let scopes = [(ONE, "us-east-1"), (ONE, "eu-west-1"), (TWO, "us-east-1"), (THREE, "us-east-1")];
    let counts = scopes.map(|(account, region)| calls.in_scope(account, region).get("ecs:DescribeTaskDefinition"));
    (scene, counts)
}

#[test]
fn cache_file_serves_all_scopes_after_a_restart() {
    let fleet = |account, region| with_definitions(World::new(account, region), DEFINITIONS);
    let world = fleet(ONE, "us-east-1")
        .with_other(fleet(ONE, "eu-west-1"))
        .with_other(fleet(TWO, "us-east-1"))
        .with_other(fleet(THREE, "us-east-1"));
    let scene = Scene::of(world).flag("-config.cluster=prod").flag("-config.scrape-times=1");
    let two_roles = format!("-config.role-arn=self,arn:aws:iam::{TWO}:role/reader");
    let (scene, cold) = described(scene, &two_roles, REGIONS);
    assert_eq!(cold, [DEFINITIONS, DEFINITIONS, DEFINITIONS, 0]);
    // The own account is not known at the start: what is compared there is of all accounts in the region.
    let is_warm = |own: usize| own <= 40;
    let (scene, [own, warm @ ..]) = described(scene, &two_roles, REGIONS);
    assert!(is_warm(own) && warm == [40, 40, 0], "{own} {warm:?}");
    let (scene, [own, warm @ ..]) = described(scene, ROLES, "-config.region=us-east-1");
    assert!(is_warm(own) && warm == [0, 40, DEFINITIONS], "a region less, an account more: {own} {warm:?}");
    let (_, [own, warm @ ..]) = described(scene, ROLES, REGIONS);
    assert!(is_warm(own) && warm == [DEFINITIONS, 40, 40], "what is not configured is not kept: {own} {warm:?}");
}
