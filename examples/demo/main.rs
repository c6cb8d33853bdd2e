//! Shows ecs-discovery at work without an AWS account: `cargo run --example demo`.
//!
//! A simulated AWS (`tests/simaws`) has tasks at loopback addresses, real HTTP exporters listen at these addresses, and
//! the real discovery loop writes the file that Prometheus would read. The demo changes the world and checks everything
//! that it prints: if something is not true, it exits with 1.
//!
//! * `world`: the tasks, and the exporters at their addresses.
//! * `exporters`: HTTP servers with metrics, and a scrape.
//! * `discovery`: the loop in a child process, its log and its file. The child is this program with a hidden argument,
//!   because the AWS SDK is configured by environment variables.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the demo prints to a terminal")]

mod discovery;
mod exporters;
mod world;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};

use discovery::{Discovery, Outcome, Reader, Seen, label, text, url};
use ecs_discovery::file_sd::{Format, TargetGroup, render};
use simaws::{Fault, FaultKind, SimAws, Task};
use world::{BILLING, Start, WEB};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let result = match arguments.next() {
        None => run(Until::Done),
        Some(argument) if argument == "--keep" => run(Until::Interrupted),
        Some(argument) if argument == discovery::AS_DISCOVERY => discovery::run_discovery(arguments),
        Some(_) => Err("usage: cargo run --example demo [-- --keep]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// When the demo ends.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// After its last step.
    Done,
    /// On Ctrl-C after its last step.
    Interrupted,
}

/// Runs the demo in a temporary directory, which is also removed on Ctrl-C.
fn run(until: Until) -> Outcome<()> {
    let directory = tempfile::Builder::new().prefix("ecs-discovery-demo-").tempdir()?;
    let (interrupt, interrupted) = channel();
    let path = directory.path().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wait = (until == Until::Interrupted).then_some(interrupted);
    let mut demo = runtime.spawn_blocking(move || demo(&path, wait).map_err(|error| error.to_string()));
    let result = runtime.block_on(async {
        tokio::select! {
            result = &mut demo => result,
            _ = tokio::signal::ctrl_c(), if until == Until::Done => Ok(Err("interrupted".into())),
            _ = tokio::signal::ctrl_c(), if until == Until::Interrupted => {
                drop(interrupt);
                demo.await
            }
        }
    });
    runtime.shutdown_background();
    Ok(result??)
}

/// Runs all steps. If `interrupted` is given, waits until its sender is dropped before the last step.
fn demo(directory: &Path, interrupted: Option<Receiver<()>>) -> Outcome<()> {
    println!("ecs-discovery with a simulated AWS and real HTTP exporters, all on the loopback interface");
    let file = directory.join("ecs_file_sd.yml");
    // A second try with other ports, in case another process takes a port after it was found free.
    let start = Start::new().or_else(|_| Start::new())?;
    let aws = SimAws::start_blocking(start.world.clone())?;
    show_world(&start);
    let reader = Reader::start(file.clone());
    // The default of a minute is too slow to watch.
    let flags = ["-config.cluster=shop,payments", "-config.scrape-interval=300ms"];
    let mut discovery = Discovery::start(&aws.url(), &file, &flags)?;

    first_file(&mut discovery, &start)?;
    rolling_deployment(&mut discovery, &aws, &start)?;
    throttled_cluster(&mut discovery, &aws, &start)?;
    if let Some(interrupted) = interrupted {
        println!("\nRunning until Ctrl-C. A prometheus.yml for it:\n\n{}", prometheus_config(&file)?);
        let _ = interrupted.recv();
    }
    shut_down(discovery, reader, directory, &aws)
}

fn show_world(start: &Start) {
    println!("\n1. ECS runs these containers");
    for container in &start.expected {
        let (cluster, name, runs, labelled) =
            (container.cluster, container.container, container.runs, &container.labelled);
        println!("   {cluster:<9} {name:<26} {runs:<26} {labelled}");
    }
}

fn first_file(discovery: &mut Discovery, start: &Start) -> Outcome<()> {
    let written = discovery.wait_for_log(0, "targets written")?;
    let groups = discovery.groups()?;
    println!("\n2. ecs_file_sd.yml has {} targets, each with its labels:\n", groups.len());
    let web = groups.iter().find(|group| label(group, "container_name") == "web").ok_or("web is not a target")?;
    let yaml = String::from_utf8(render(std::slice::from_ref(web), Format::Yaml))?;
    for line in yaml.lines() {
        println!("     {line}");
    }
    println!("\n   Scraped as by Prometheus:");
    scrape_all(&groups)?;
    let expected: BTreeSet<(&str, &str, &str)> = start
        .expected
        .iter()
        .flat_map(|it| it.targets.iter().map(|target| (it.cluster, it.container, target.as_str())))
        .collect();
    let urls: Vec<String> = groups.iter().map(url).collect();
    let found = groups.iter().zip(&urls).map(|(group, url)| (cluster(group), label(group, "container_name"), &**url));
    let found: BTreeSet<_> = found.collect();
    claim(found == expected, || format!("wrong targets: {found:?}, expected {expected:?}"))?;

    println!("\n   Not in the file, and why:");
    let skipped = text(&written, "skipped");
    claim(skipped == "invalid_port=1 not_in_task_definition=1", || format!("skipped: {skipped}"))?;
    println!("   the log counts {skipped}");
    let mistake = discovery.wait_for_log(0, "container misconfigured")?;
    let (container, reason, remedy) = (text(&mistake, "container"), text(&mistake, "reason"), text(&mistake, "remedy"));
    println!("   and reports for {container}: {reason}; {remedy}");
    Ok(())
}

fn rolling_deployment(discovery: &mut Discovery, aws: &SimAws, start: &Start) -> Outcome<()> {
    println!("\n3. A deployment replaces web:1 with web:2");
    let at = |addresses: &[Ipv4Addr]| web_targets(addresses, start);
    aws.change(|world| {
        world.add_task_definition(world::web_definition(2, start.ports));
        // A pending task has no address.
        let pending = Task::fargate("web-b", "web:2").group("service:web").last_status("PENDING");
        world.cluster_mut("shop").add_task(pending.with_container(simaws::Container::new("web")));
    });
    wait_for_refresh(discovery, aws)?;
    step(discovery, "web:2 is PENDING", &at(&WEB[..1]))?;
    world::serve_web(WEB[1], start.ports)?;
    aws.change(|world| *world.cluster_mut("shop").task_mut("web-b") = web_task("web-b", WEB[1]));
    step(discovery, "web:2 is RUNNING", &at(&WEB[..2]))?;
    aws.change(|world| {
        let old = world.cluster_mut("shop").task_mut("web-a");
        old.desired_status = Some("STOPPED".into());
    });
    step(discovery, "web:1 is stopping", &at(&WEB[1..2]))?;
    aws.change(|world| world.cluster_mut("shop").remove_task("web-a"));
    Ok(())
}

fn throttled_cluster(discovery: &mut Discovery, aws: &SimAws, start: &Start) -> Outcome<()> {
    println!("\n4. AWS throttles every call for cluster payments while both clusters change");
    let before = discovery.logged();
    aws.add_fault(Fault::always("ecs:ListTasks", FaultKind::Throttle).cluster("payments"));
    world::serve_web(WEB[2], start.ports)?;
    world::serve_billing(BILLING[1], start.ports)?;
    aws.change(|world| {
        world.cluster_mut("shop").add_task(web_task("web-c", WEB[2]));
        let payments = world.cluster_mut("payments");
        payments.remove_task("billing-a");
        payments.add_task(world::billing_task("billing-b", BILLING[1]));
    });
    let failure = discovery.wait_for_log(before, "ListTasks failed")?;
    println!("   the log: {} ({})", text(&failure, "message"), text(&failure, "code"));
    step(discovery, "shop is updated", &web_targets(&WEB[1..], start))?;
    let known = world::billing_targets(BILLING[0], start.ports);
    step(discovery, "payments keeps its last known", &known)?;
    claim(text(&failure, "message").contains("keeping 2 targets"), || failure.to_string())?;

    println!("\n5. AWS responds again");
    aws.clear_faults();
    step(discovery, "payments is updated", &world::billing_targets(BILLING[1], start.ports))?;
    println!("   Scraped again:");
    scrape_all(&discovery.groups()?)
}

/// Waits until a refresh that started after this call has ended.
fn wait_for_refresh(discovery: &mut Discovery, aws: &SimAws) -> Outcome<()> {
    let begun = aws.calls().get("ecs:DescribeTasks");
    // There are two clusters: up to two calls in progress, two of a complete refresh, and the first of the next one.
    discovery.wait_for("a refresh", |_| Ok((aws.calls().get("ecs:DescribeTasks") >= begun + 5).then_some(())))
}

/// Waits until the container has exactly these targets, and prints them.
fn step(discovery: &mut Discovery, what: &str, targets: &[String]) -> Outcome<()> {
    let container = if targets.iter().any(|target| target.contains("/jvm")) { "billing" } else { "web" };
    discovery.wait_for_targets(container, targets)?;
    println!("   {what:<32} {container}: {}", targets.join("  "));
    Ok(())
}

fn shut_down(discovery: Discovery, reader: Reader, directory: &Path, aws: &SimAws) -> Outcome<()> {
    let took = discovery.stop()?;
    let Seen { reads, versions } = reader.stop()?;
    println!("\n6. Shut down within {} ms; only the file and the cache are left", took.as_millis() + 1);
    let mut left: Vec<_> = std::fs::read_dir(directory)?.flatten().map(|entry| entry.file_name()).collect();
    left.sort_unstable();
    claim(left == [".ecs_file_sd.yml.cache", "ecs_file_sd.yml"], || format!("left {left:?}"))?;
    let without = |name: &str| {
        versions.iter().filter(|groups| !groups.iter().any(|group| label(group, "container_name") == name)).count()
    };
    let written = versions.len();
    println!("   A reader read the file {reads} times and saw {written} versions of it, all complete;");
    for name in ["web", "node", "api", "billing"] {
        claim(without(name) == 0, || format!("{name} is missing in {} versions", without(name)))?;
    }
    println!("   web, node, api and billing were never missing");
    let definitions = aws.calls().get("ecs:DescribeTaskDefinition");
    let registered = aws.world().task_definitions.len();
    claim(definitions == registered, || format!("{definitions} calls for {registered} task definitions"))?;
    println!(
        "   {} API calls, of which {definitions} described task definitions: one call for each",
        aws.calls().total()
    );
    claim(aws.unexpected().is_empty(), || format!("calls that simaws rejected: {:?}", aws.unexpected()))
}

fn prometheus_config(file: &Path) -> Outcome<String> {
    let file = serde_json::to_string(file)?;
    Ok(format!(
        "global:\n  scrape_interval: 5s\nscrape_configs:\n  - job_name: ecs\n    file_sd_configs:\n      - files: [{file}]\n"
    ))
}

fn web_task(id: &str, address: Ipv4Addr) -> Task {
    Task::fargate(id, "web:2").group("service:web").container("web", &address.to_string())
}

fn web_targets(addresses: &[Ipv4Addr], start: &Start) -> Vec<String> {
    addresses.iter().map(|address| format!("{address}:{}/metrics", start.ports.web)).collect()
}

/// Scrapes every target and checks that the exporter is the container that the labels name.
fn scrape_all(groups: &[TargetGroup]) -> Outcome<()> {
    for group in groups {
        let (target, container) = (group.targets.join(","), label(group, "container_name"));
        let url = url(group);
        let sample = exporters::scrape(&target, &url[target.len()..])?;
        claim(sample.contains(&format!("in=\"{container}\"")), || format!("{url} is not {container}: {sample}"))?;
        println!("   {:<9} {url:<40} {sample}", cluster(group));
    }
    Ok(())
}

fn cluster(group: &TargetGroup) -> &str {
    let arn = label(group, "cluster_arn");
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Fails unless the condition holds.
fn claim(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
