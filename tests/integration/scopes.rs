//! Accounts, regions and patterns of clusters: what is asked, where, and what is found.

mod isolation;
mod restarts;
mod sessions;

use simaws::{Calls, Cluster, Fault, FaultKind, World};

use super::fixtures::{exporter, fargate, on_fargate};
use super::harness::{Scene, text, wait_until};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

const ROLES: &str = "-config.role-arn=self,arn:aws:iam::222222222222:role/reader,arn:aws:iam::333333333333:role/reader";
const REGIONS: &str = "-config.region=us-east-1,eu-west-1";

/// Returns a scope whose clusters have a task each, at this subnet and the number of the cluster.
fn scope(account: &str, region: &str, subnet: &str, clusters: &[&str]) -> World {
    let world = World::new(account, region).with_task_definition(exporter("web", 1, "awsvpc"));
    clusters.iter().enumerate().fold(world, |world, (n, name)| {
        let task = on_fargate(&format!("{name}-task"), "web:1", &format!("{subnet}.{}", n + 1));
        world.with_cluster(Cluster::new(name).with_task(task))
    })
}

/// Returns two regions of the process's own account and one of another.
fn organisation() -> World {
    scope(ONE, "us-east-1", "10.0.0", &["prod", "web-1", "web-2"])
        .with_other(scope(ONE, "eu-west-1", "10.0.1", &["prod"]))
        .with_other(scope(TWO, "us-east-1", "10.0.2", &["prod"]))
}

fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:ecs:{region}:{account}:cluster/{name}")
}

/// Runs one refresh, which must find these targets, and returns its calls.
fn refresh(world: World, flags: &[&str], targets: &[&str]) -> Calls {
    let mut scene = flags.iter().fold(Scene::of(world), |scene, flag| scene.flag(flag)).flag("-config.scrape-times=1");
    let exited = scene.run();
    assert_eq!(exited.code, Some(0), "{flags:?}");
    scene.wait_for_targets(targets);
    scene.aws.take_calls()
}

/// Returns the calls of a refresh of clusters with a task each.
fn scans(clusters: usize, others: &[(&str, usize)]) -> Calls {
    let scans = [("ecs:ListTasks", clusters), ("ecs:DescribeTasks", clusters), ("ecs:DescribeTaskDefinition", 1)];
    Calls::of(&[&scans, others].concat())
}

#[test]
fn globs_and_exclusions_select_listed_clusters() {
    const LISTED: &[(&str, usize)] = &[("ecs:ListClusters", 1)];
    let (one, two, prod) = ("10.0.0.2:9102", "10.0.0.3:9102", "10.0.0.1:9102");
    let excluded = format!("-config.cluster=prod,web-1,!{}", arn("us-*", "*", "web-?"));
    for (flag, targets, calls) in [
        ("-config.cluster=web-?", &[one, two][..], scans(2, LISTED)),
        ("-config.cluster=*,!web-2", &[prod, one], scans(2, LISTED)),
        ("-config.cluster=!web-*", &[prod], scans(1, LISTED)),
        ("-config.cluster=arn:aws:ecs:us-*:*:cluster/*-1", &[one], scans(1, LISTED)),
        ("-config.cluster=prod,p*", &[prod], scans(1, LISTED)),
        (&excluded, &[prod], scans(1, &[])),
    ] {
        assert_eq!(refresh(organisation(), &[flag], targets), calls, "{flag}");
    }
}

#[test]
fn cluster_that_is_given_by_name_and_by_arn_is_scanned_once() {
    let flag = format!("-config.cluster=prod,{}", arn("us-east-1", ONE, "prod"));
    let calls = refresh(organisation(), &[&flag], &["10.0.0.1:9102"]);
    assert_eq!(calls, scans(1, &[("sts:GetCallerIdentity", 1)]));
}

#[test]
fn arn_is_asked_for_in_its_own_region() {
    let flag = format!("-config.cluster={}", arn("eu-west-1", ONE, "prod"));
    for flags in [&["-config.region=us-east-1", &flag][..], &["-config.region=us-east-1,eu-west-1", &flag], &[&flag]] {
        let calls = refresh(organisation(), flags, &["10.0.1.1:9102"]);
        assert_eq!(calls.scopes(), [format!("{ONE}/eu-west-1")], "{flags:?}");
        assert_eq!(calls, scans(1, &[]));
    }
}

#[test]
fn arn_needs_no_configured_region() {
    let mut scene = Scene::of(organisation()).without_env("AWS_REGION").flag("-config.scrape-times=1");
    scene = scene.flag(&format!("-config.cluster={}", arn("eu-west-1", ONE, "p*")));
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&["10.0.1.1:9102"]);
}

#[test]
fn scopes_that_no_item_can_match_are_never_asked() {
    let regions = "-config.region=eu-west-1,us-east-1";
    for name in ["prod", "p*"] {
        let flag = format!("-config.cluster={}", arn("us-east-1", TWO, name));
        let calls = refresh(organisation(), &[ROLES, regions, &flag], &["10.0.2.1:9102"]);
        assert_eq!(calls.get("sts:GetCallerIdentity"), 0, "the account is that of the role");
        assert_eq!(calls.get("sts:AssumeRole"), 1, "{calls}");
        assert_eq!(calls.in_scope(TWO, "us-east-1").total() + 1, calls.total(), "{calls}");
        assert_eq!(calls.in_scope(TWO, "eu-west-1"), Calls::of(&[("sts:AssumeRole", 1)]), "in the first region");
    }
}

#[test]
fn arn_of_an_account_without_credentials_is_an_error() {
    let roles = format!("-config.role-arn=self,arn:aws:iam::{TWO}:role/reader");
    let foreign = arn("us-east-1", "333333333333", "prod");
    let flags = [roles, format!("-config.cluster=web-1,{foreign}")];
    let mut scene = flags.iter().fold(Scene::of(organisation()), |scene, flag| scene.flag(flag));
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    let error = exited.log().iter().map(|line| line.to_string()).collect::<String>();
    assert!(error.contains(&foreign) && error.contains("no account and region"), "{error}");
    assert_eq!(scene.aws.calls().get("sts:GetCallerIdentity"), 1);
    assert_eq!(scene.aws.calls().get("ecs:ListTasks"), 0);
}

#[test]
fn role_of_the_own_account_is_an_error_where_that_is_known() {
    let flags = [
        format!("-config.role-arn=self,arn:aws:iam::{ONE}:role/reader"),
        format!("-config.cluster={}", arn("us-east-1", "*1*", "prod")),
    ];
    let mut scene = flags.iter().fold(Scene::of(organisation()), |scene, flag| scene.flag(flag));
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    assert!(exited.stderr.contains("as are the process's own credentials (self)"), "{}", exited.stderr);
}

#[test]
fn unknown_own_account_does_not_stop_discovery() {
    for kind in [FaultKind::Denied, FaultKind::Hang, FaultKind::EmptyObject] {
        let mut scene = Scene::of(organisation()).flag(&format!("-config.cluster={}", arn("*", ONE, "web-?")));
        scene.aws.add_fault(Fault::always("sts:GetCallerIdentity", kind.clone()));
        scene.start_and_wait_for(&["10.0.0.2:9102", "10.0.0.3:9102"]);
        let warning = scene.wait_for_message("the account of the process's own credentials is not known");
        assert!(!text(&warning, "error").is_empty(), "{kind:?}");
        scene.stop();
    }
}

#[test]
fn names_do_not_ask_for_the_account() {
    let calls =
        refresh(fargate(1), &["-config.cluster=prod", "-config.region=us-east-1,us-east-1"], &["10.0.0.1:9102"]);
    assert_eq!(calls, scans(1, &[]));
}

/// The targets of `prod` in [`organisation`].
const PROD: [&str; 3] = ["10.0.0.1:9102", "10.0.1.1:9102", "10.0.2.1:9102"];

/// Returns a scene of accounts ONE, TWO and one without clusters, in two regions.
fn everywhere(clusters: &str) -> Scene {
    Scene::of(organisation()).flag(ROLES).flag(REGIONS).flag(&format!("-config.cluster={clusters}"))
}

#[test]
fn scopes_are_scanned_with_one_session_per_role() {
    let mut scene = everywhere("p*").flag("-config.scrape-times=2");
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&PROD);
    let calls = scene.aws.calls();
    assert_eq!((calls.get("sts:AssumeRole"), calls.get("sts:GetCallerIdentity")), (2, 0), "{calls}");
    for account in [ONE, TWO, "333333333333"] {
        for region in ["us-east-1", "eu-west-1"] {
            assert_eq!(calls.in_scope(account, region).get("ecs:ListClusters"), 2, "{account}/{region}");
        }
    }
    assert_eq!(calls.in_scope(TWO, "eu-west-1").total(), 2, "nothing is there");
}

#[test]
fn role_that_cannot_be_assumed_does_not_delay_the_others() {
    for kind in [FaultKind::Denied, FaultKind::Hang] {
        let mut scene = everywhere("prod*");
        scene.aws.add_fault(Fault::always("sts:AssumeRole", kind.clone()).account(TWO));
        scene.start_and_wait_for(&PROD[..2]);
        let ended = scene.aws.calls().spans().filter(|span| span.operation == "sts:AssumeRole").count();
        assert!(kind == FaultKind::Denied || ended == 1, "only the other role's call has ended");
        scene.aws.clear_faults();
        if kind == FaultKind::Denied {
            scene.wait_for_targets(&PROD);
        }
        scene.stop();
    }
}

#[test]
fn denied_scope_keeps_its_targets_and_the_others_move() {
    let mut scene = everywhere("p*");
    scene.start_and_wait_for(&PROD);
    scene.aws.add_fault(Fault::always("*", FaultKind::Denied).account(TWO).region("us-east-1"));
    scene.aws.change(|world| {
        world.scope_mut(TWO, "us-east-1").cluster_mut("prod").tasks.clear();
        world.scope_mut(ONE, "eu-west-1").cluster_mut("prod").add_task(on_fargate("new", "web:1", "10.0.1.9"));
    });
    scene.wait_for_targets(&[PROD[0], PROD[1], PROD[2], "10.0.1.9:9102"]);
    scene.aws.clear_faults();
    scene.wait_for_targets(&[PROD[0], PROD[1], "10.0.1.9:9102"]);
    scene.stop();
}

#[test]
fn name_that_some_scopes_lack_is_no_failure() {
    // `web-1` is in one of the scopes only, and `nowhere` in none.
    let mut scene = everywhere("web-1").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&["10.0.0.2:9102"]);
    let mut scene = everywhere("web-1,nowhere").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(1));
    scene.wait_for_targets(&["10.0.0.2:9102"]);
}

#[test]
fn explanation_and_page_say_which_scope() {
    let one_cluster = || everywhere("prod").flag("-log.level=error");
    let denied = Fault::always("ecs:ListTasks", FaultKind::Denied).account(TWO).region("us-east-1");
    let mut scene = one_cluster().flag("-explain");
    scene.aws.add_fault(denied.clone());
    let report = scene.run().stdout;
    for line in [
        "cluster prod in 111111111111/eu-west-1",
        "cluster prod in 222222222222/us-east-1 could not be read completely",
        "failed: ListTasks of cluster prod in 222222222222/us-east-1: AccessDeniedException",
    ] {
        assert!(report.contains(line), "{line} in {report}");
    }
    let mut scene = one_cluster().flag("-explain=json");
    let report: serde_json::Value = serde_json::from_str(&scene.run().stdout).unwrap();
    let places: Vec<_> =
        report["containers"].as_array().unwrap().iter().map(|it| [&it["account"], &it["region"]]).collect();
    assert_eq!(places, [[ONE, "eu-west-1"], [ONE, "us-east-1"], [TWO, "us-east-1"]]);
    let mut scene = everywhere("prod");
    scene.aws.add_fault(denied);
    let server = scene.serve();
    wait_until("the page shows the failure", || {
        let page = server.get("/").body;
        page.contains("in 222222222222/us-east-1: AccessDenied") && page.contains(PROD[0]) && page.contains(PROD[1])
    });
    let page = server.get("/").body;
    let (failure, containers) = (page.find("AccessDenied").unwrap(), page.find("<h2>Containers").unwrap());
    assert!(failure < containers && page.contains("<h3>111111111111/us-east-1</h3>"), "{page}");
    let page = server.get("/?region=eu-west-1").body;
    assert!(page.contains(PROD[1]) && !page.contains(PROD[0]) && !page.contains("AccessDenied"), "{page}");
    scene.stop();
}
