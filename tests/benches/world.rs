//! The deterministic worlds of the benchmarks: some tenths of the tasks on EC2 in bridge mode, the others on Fargate.
//!
//! The records have the members that AWS returns for tasks of a service (`Task`, `Container` and `TaskDefinition` in
//! the API reference), so that responses have a realistic size.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simaws::{Cluster, Container, ContainerDefinition, ContainerInstance, Instance, Task, TaskDefinition, World};

/// The port on which every container `app` exports metrics.
pub(crate) const PORT: u16 = 9102;

/// The default clusters, with the share of the tasks in each, in thousandths.
const CLUSTERS: [(&str, usize); 3] = [("production", 505), ("payments", 300), ("staging", 195)];

/// The regions, of which small organisations use the first ones.
const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "eu-north-1", "ap-south-1"];

/// The number of tasks on one container instance.
const TASKS_PER_INSTANCE: usize = 10;

const SERVICES: [&str; 8] = ["basket", "billing", "catalog", "checkout", "images", "mailer", "pricing", "search"];

/// The size of a world.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) tasks: usize,
    pub(crate) definitions: usize,
    /// Three clusters have the default names and sizes. Any other number of clusters have equal sizes.
    pub(crate) clusters: usize,
    pub(crate) tenths_on_ec2: usize,
    /// The number of scopes, each of which has all of the above.
    pub(crate) scopes: usize,
    /// Whether some task definitions have most of the tasks (Zipf's law) instead of all equally many.
    pub(crate) skewed: bool,
}

impl Shape {
    /// Returns the default shape: six task definitions per hundred tasks, three clusters, 30 % of the tasks on EC2.
    pub(crate) fn usual(tasks: usize) -> Self {
        Self {
            tasks,
            definitions: (tasks * 6 / 100).max(2),
            clusters: CLUSTERS.len(),
            tenths_on_ec2: 3,
            scopes: 1,
            skewed: false,
        }
    }

    /// Returns the regions, in each of which every account has a scope: up to four.
    pub(crate) fn regions(self) -> &'static [&'static str] {
        let regions = (1..=REGIONS.len()).rev().find(|regions| self.scopes.is_multiple_of(*regions));
        &REGIONS[..regions.unwrap_or(1)]
    }

    /// Returns which of the task definitions the nth task has. Skewed, the kth definition has 1/k as many tasks as the first
    /// one, in no order: multiples of the golden ratio are spread evenly.
    fn definition_of(self, nth: usize, definitions: usize) -> usize {
        const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
        if !self.skewed {
            return nth % definitions;
        }
        let harmonic = |count: usize| (1..=count).map(|k| 1.0 / k as f64).sum::<f64>();
        let mut left = (nth as f64 * GOLDEN_RATIO).fract() * harmonic(definitions);
        let has_it = |definition: &usize| {
            left -= 1.0 / (definition + 1) as f64;
            left < 0.0
        };
        (0..definitions).find(has_it).unwrap_or(0)
    }

    /// Returns the names of the clusters with their numbers of tasks.
    fn clusters(self) -> Vec<(String, usize)> {
        let cluster = |at: usize| match CLUSTERS.get(at) {
            Some((name, share)) if self.clusters == CLUSTERS.len() => ((*name).to_owned(), self.tasks * share / 1000),
            _ => (format!("cluster-{at}"), self.tasks / self.clusters),
        };
        let mut clusters: Vec<_> = (0..self.clusters).map(cluster).collect();
        let placed: usize = clusters.iter().map(|(_, size)| size).sum();
        if let Some((_, last)) = clusters.last_mut() {
            *last += self.tasks - placed;
        }
        clusters
    }
}

/// Returns the world of this shape.
pub(crate) fn of(shape: Shape) -> World {
    let mut scopes = (0..shape.scopes).map(|nth| scope(shape, nth));
    let home = scopes.next().unwrap_or_default();
    scopes.fold(home, World::with_other)
}

/// Returns the number of the nth account.
pub(crate) fn account(nth: usize) -> String {
    (123_456_789_012 + nth).to_string()
}

/// Returns the nth scope, whose tasks and instances have addresses of their own.
fn scope(shape: Shape, nth: usize) -> World {
    let regions = shape.regions();
    let on_ec2 = (shape.definitions * shape.tenths_on_ec2 / 10).max(usize::from(shape.tenths_on_ec2 > 0));
    let mode = |n| if n < on_ec2 { "bridge" } else { "awsvpc" };
    let definitions: Vec<_> = (0..shape.definitions).map(|n| definition(n, mode(n))).collect();
    let (ec2, fargate) = definitions.split_at(on_ec2);
    let (kinds, mut placed) = ([ec2, fargate], [0, 0]);
    let mut world = World::new(&account(nth / regions.len()), regions[nth % regions.len()]);
    let first_instance = nth * (shape.tasks * shape.tenths_on_ec2 / 10 / TASKS_PER_INSTANCE + shape.clusters);
    for (name, size) in shape.clusters() {
        let mut cluster = Cluster::new(&name);
        let mut on_instances = 0;
        for n in 0..size {
            let kind = usize::from(n % 10 >= shape.tenths_on_ec2);
            let definition = &kinds[kind][shape.definition_of(placed[kind], kinds[kind].len())];
            let on = (kind == 0)
                .then(|| instance(&mut world, &mut cluster, on_instances / TASKS_PER_INSTANCE, first_instance));
            on_instances += usize::from(on.is_some());
            let containers = definition.container_definitions.len();
            let serial = nth * shape.tasks + placed[0] + placed[1];
            cluster.add_task(task(&world, &name, &definition.name(), containers, on.as_deref(), serial));
            placed[kind] += 1;
        }
        world.add_cluster(cluster);
    }
    world.task_definitions = definitions;
    world
}

/// Returns the task with this serial number and number of containers, on this container instance or on Fargate.
pub(crate) fn task(
    scope: &World,
    cluster: &str,
    definition: &str,
    containers: usize,
    on: Option<&str>,
    serial: usize,
) -> Task {
    let id = format!("{:016x}{:016x}", mixed(serial), mixed(!serial));
    let family = definition.split(':').next().unwrap_or_default();
    let mut task = match on {
        Some(instance) => Task::ec2(&id, definition, instance).member("capacityProviderName", json!("fleet")),
        None => on_fargate(&id, definition, serial),
    };
    task = task.group(&format!("service:{family}"));
    (task.availability_zone, task.connectivity) = (Some("us-east-1a".into()), Some("CONNECTED".into()));
    (task.health_status, task.version) = (Some("HEALTHY".into()), Some(5));
    let started = 1_790_000_000.123 + serial as f64;
    for (name, value) in [
        ("attributes", json!([{"name": "ecs.cpu-architecture", "value": "x86_64"}])),
        ("connectivityAt", json!(started - 30.0)),
        ("cpu", json!("512")),
        ("createdAt", json!(started - 45.0)),
        ("enableExecuteCommand", json!(false)),
        ("memory", json!("1024")),
        ("overrides", json!({"containerOverrides": [{"name": "app"}], "inferenceAcceleratorOverrides": []})),
        ("pullStartedAt", json!(started - 20.0)),
        ("pullStoppedAt", json!(started - 5.0)),
        ("startedAt", json!(started)),
        ("startedBy", json!(format!("ecs-svc/{:019}", mixed(serial) >> 4))),
    ] {
        task = task.member(name, value);
    }
    let names = ["app", "log-router"].into_iter().take(containers);
    task.containers = names.map(|name| container(scope, cluster, &task, family, name, serial)).collect();
    task
}

fn on_fargate(id: &str, definition: &str, serial: usize) -> Task {
    let address = address(serial);
    let detail = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut task = Task::fargate(id, definition)
        .member("capacityProviderName", json!("FARGATE"))
        .member("ephemeralStorage", json!({"sizeInGiB": 20}))
        .member("fargateEphemeralStorage", json!({"sizeInGiB": 20}));
    (task.platform_family, task.platform_version) = (Some("Linux".into()), Some("1.4.0".into()));
    task.attachments.push(json!({
        "id": uuid(serial),
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [
            detail("subnetId", "subnet-0f3c8a12d9e74b6f8"),
            detail("networkInterfaceId", &format!("eni-{:017x}", mixed(serial) >> 4)),
            detail("macAddress", "0e:1c:4a:6f:0b:3e"),
            detail("privateDnsName", &format!("ip-{}.ec2.internal", address.replace('.', "-"))),
            detail("privateIPv4Address", &address),
        ],
    }));
    task
}

fn container(scope: &World, cluster: &str, task: &Task, family: &str, name: &str, serial: usize) -> Container {
    let mut container = Container::new(name)
        .member("cpu", json!("256"))
        .member("healthStatus", json!("HEALTHY"))
        .member("image", json!(image(family)))
        .member("imageDigest", json!(format!("sha256:{}", digest(serial))))
        .member("memory", json!("512"))
        .member("runtimeId", json!(format!("{}-{:010}", task.id, mixed(serial) >> 32)));
    container.container_arn = Some(scope.container_arn(cluster, &task.id, &uuid(serial + name.len())));
    if task.container_instance.is_none() {
        let interface = json!({"attachmentId": uuid(serial), "privateIpv4Address": address(serial)});
        container.network_interfaces.push(interface);
    } else if name == "app" {
        container = container.binding(PORT, host_port(serial)).binding(8080, host_port(serial) + 1);
    }
    container
}

/// Returns an ephemeral port. The tasks on one instance have different ports.
fn host_port(serial: usize) -> u16 {
    let from_the_first = u16::try_from(serial % 14_000 * 2).unwrap_or_default();
    32_768 + from_the_first
}

fn address(serial: usize) -> String {
    format!("10.{}.{}.{}", 32 + serial / 65_536, serial / 256 % 256, serial % 256)
}

/// Returns the id of the nth container instance of the cluster. Adds it, with its EC2 instance, if it is the next one.
/// The instances of the scope are numbered from `first`.
fn instance(world: &mut World, cluster: &mut Cluster, nth: usize, first: usize) -> String {
    if nth == cluster.container_instances.len() {
        let n = first + world.instances.len();
        let id = format!("i-{:017x}", mixed(n) >> 4);
        let instance = Instance::new(&id, &format!("10.{}.{}.10", 16 + n / 256, n % 256));
        world.add_instance(instance.tag("Name", "fleet").tag("aws:autoscaling:groupName", "fleet"));
        let container_instance = format!("{:016x}{:016x}", mixed(n), mixed(n + 1));
        cluster.add_container_instance(ContainerInstance::new(&container_instance, &id));
    }
    cluster.container_instances[nth].id.clone()
}

/// Returns the nth task definition. Every second one has a sidecar without metrics.
fn definition(n: usize, network_mode: &str) -> TaskDefinition {
    let family = format!("{}-{n}", SERVICES[n % SERVICES.len()]);
    let mut labels = vec![
        ("com.example.commit", digest(n)),
        ("com.example.team", SERVICES[n % 5].to_owned()),
        ("PROMETHEUS_EXPORTER_PORT", PORT.to_string()),
    ];
    if n.is_multiple_of(2) {
        labels.push(("PROMETHEUS_EXPORTER_JOB_NAME", family.clone()));
    }
    if n.is_multiple_of(3) {
        labels.push(("PROMETHEUS_EXPORTER_PATH", "/actuator/prometheus".to_owned()));
    }
    let labels: BTreeMap<_, _> = labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let app = ContainerDefinition { docker_labels: labels, ..container_definition("app", &family) };
    let revision = i64::try_from(1 + n % 40).unwrap_or_default();
    let definition = TaskDefinition::new(&family, revision, network_mode).with_container(app);
    let definition = if n.is_multiple_of(2) {
        definition.with_container(container_definition("log-router", "log-router"))
    } else {
        definition
    };
    definition
        .member("cpu", json!("512"))
        .member("memory", json!("1024"))
        .member("registeredAt", json!(1_780_000_000.5))
        .member("registeredBy", json!("arn:aws:sts::123456789012:assumed-role/deploy/pipeline"))
        .member("taskRoleArn", json!(format!("arn:aws:iam::123456789012:role/{family}")))
        .member("volumes", json!([]))
}

fn container_definition(name: &str, family: &str) -> ContainerDefinition {
    let variable = |n: usize| json!({"name": format!("SETTING_{n}"), "value": format!("{:032x}", mixed(n))});
    let mapping = |port: u16| json!({"containerPort": port, "hostPort": 0, "protocol": "tcp"});
    let environment: Vec<Value> = (0..12).map(variable).collect();
    let logs = json!({
        "logDriver": "awslogs",
        "options": {"awslogs-group": family, "awslogs-region": "us-east-1", "awslogs-stream-prefix": name},
    });
    ContainerDefinition { port_mappings: vec![mapping(PORT), mapping(8080)], ..ContainerDefinition::new(name, &[]) }
        .image(&image(family))
        .member("cpu", json!(256))
        .member("environment", Value::Array(environment))
        .member("logConfiguration", logs)
        .member("memory", json!(512))
        .member("mountPoints", json!([]))
        .member("volumesFrom", json!([]))
}

fn image(family: &str) -> String {
    format!("shop-platform/{family}:2026.11.3-4f2a91c03b")
}

fn digest(n: usize) -> String {
    (0..4).map(|part| format!("{:016x}", mixed(n * 4 + part))).collect()
}

fn uuid(n: usize) -> String {
    let (a, b) = (mixed(n), mixed(n + 1));
    let (time, version) = (a >> 32, a & 0xfff);
    format!("{time:08x}-{:04x}-4{version:03x}-a{:03x}-{:012x}", a >> 16 & 0xffff, b >> 52, b & 0xffff_ffff_ffff)
}

/// Returns a pseudorandom number (Vigna's `splitmix64`).
pub(crate) fn mixed(n: usize) -> u64 {
    let mut z = (n as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
