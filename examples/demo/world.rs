//! The tasks on the simulated ECS, and the exporters at their addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::json;
use simaws::{Cluster, Container, ContainerInstance, Instance, Task, TaskDefinition, World};

use crate::exporters::{free_port, has_ipv6, serve};

/// A container, and the targets that it must become.
pub(crate) struct Expected {
    /// The cluster, the container and where it runs, for the output.
    pub(crate) cluster: &'static str,
    pub(crate) container: &'static str,
    pub(crate) runs: &'static str,
    pub(crate) labelled: String,
    /// Its targets with their paths; empty if it is not a target.
    pub(crate) targets: Vec<String>,
}

/// The ports that containers listen on.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) web: u16,
    jvm: u16,
    node: u16,
}

/// The state at the start of the demo.
pub(crate) struct Start {
    pub(crate) world: World,
    pub(crate) ports: Ports,
    pub(crate) expected: Vec<Expected>,
}

/// The addresses of the network interfaces of tasks in awsvpc mode.
pub(crate) const WEB: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 1, 11), Ipv4Addr::new(127, 0, 1, 12), Ipv4Addr::new(127, 0, 1, 13)];
pub(crate) const BILLING: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 2, 21), Ipv4Addr::new(127, 0, 2, 22)];
/// The address of the one EC2 instance.
const INSTANCE: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 31);

const PORT: &str = "PROMETHEUS_EXPORTER_PORT";
const PATH: &str = "PROMETHEUS_EXPORTER_PATH";
const JOB: &str = "PROMETHEUS_EXPORTER_JOB_NAME";
const METRICS: &str = "/metrics";
const ACTUATOR: &str = "/actuator/prometheus";

impl Start {
    /// Starts the exporters and describes them as ECS and EC2 would.
    pub(crate) fn new() -> io::Result<Self> {
        let ports = Ports { web: free_port(9102)?, jvm: free_port(9404)?, node: free_port(9100)? };
        let mut start = Self { world: World::default(), ports, expected: Vec::new() };
        start.world.add_cluster(Cluster::new("shop").with_container_instance(ContainerInstance::new("ci-1", "i-0a1")));
        start.world.add_cluster(Cluster::new("payments"));
        start.world.add_instance(Instance::new("i-0a1", &INSTANCE.to_string()));
        start.web()?;
        start.search()?;
        start.node()?;
        start.api()?;
        start.worker();
        start.billing()?;
        Ok(start)
    }

    /// A service with Service Connect, which injects a container that is not in the task definition.
    fn web(&mut self) -> io::Result<()> {
        self.world.add_task_definition(web_definition(1, self.ports));
        let sidecar = "ecs-service-connect-x7kq2";
        let address = WEB[0].to_string();
        let task = Task::fargate("web-a", "web:1").group("service:web");
        self.shop(task.container(sidecar, &address).container("web", &address));
        serve_web(WEB[0], self.ports)?;
        let port = self.ports.web;
        self.expect(
            "shop",
            "web",
            "Fargate, awsvpc",
            format!("{PORT}={port}"),
            vec![format!("{address}:{port}/metrics")],
        );
        self.expect("shop", sidecar, "injected by AWS", "-".into(), vec![]);
        Ok(())
    }

    /// A service in an IPv6-only subnet.
    fn search(&mut self) -> io::Result<()> {
        if !has_ipv6() {
            self.expect("shop", "search", "skipped: no ::1 on this machine", String::new(), vec![]);
            return Ok(());
        }
        let port = self.ports.web;
        let labels = [(PORT, &*port.to_string()), (JOB, "search")];
        self.world.add_task_definition(TaskDefinition::new("search", 4, "awsvpc").container("search", &labels));
        let interface = json!([{"attachmentId": "eni-6", "ipv6Address": Ipv6Addr::LOCALHOST.to_string()}]);
        let container = Container::new("search").member("networkInterfaces", interface);
        self.shop(Task::fargate("search-a", "search:4").group("service:search").with_container(container));
        serve(Ipv6Addr::LOCALHOST, port, METRICS, "search")?;
        self.expect(
            "shop",
            "search",
            "Fargate, IPv6 only",
            format!("{PORT}={port}"),
            vec![format!("[::1]:{port}/metrics")],
        );
        Ok(())
    }

    /// A daemon on the EC2 instance in host mode, at the address and port of the instance.
    fn node(&mut self) -> io::Result<()> {
        let port = self.ports.node;
        let labels = [(PORT, &*port.to_string()), (JOB, "node")];
        self.world.add_task_definition(TaskDefinition::new("node", 2, "host").container("node", &labels));
        let task = Task::ec2("node-a", "node:2", "ci-1").group("service:node");
        self.shop(task.with_container(Container::new("node")));
        serve(INSTANCE, port, METRICS, "node")?;
        self.expect("shop", "node", "EC2, host", format!("{PORT}={port}"), vec![format!("{INSTANCE}:{port}/metrics")]);
        Ok(())
    }

    /// A service on the EC2 instance in bridge mode, with a dynamic host port.
    fn api(&mut self) -> io::Result<()> {
        let labels = [(PORT, "8080"), (PATH, ACTUATOR), (JOB, "api")];
        self.world.add_task_definition(TaskDefinition::new("api", 7, "bridge").container("api", &labels));
        let published = serve(INSTANCE, 0, ACTUATOR, "api")?;
        let task = Task::ec2("api-a", "api:7", "ci-1").group("service:api");
        self.shop(task.with_container(Container::new("api").binding(8080, published.port())));
        let labelled = format!("{PORT}=8080 (+PATH)");
        self.expect("shop", "api", "EC2, bridge, dynamic port", labelled, vec![format!("{published}{ACTUATOR}")]);
        Ok(())
    }

    /// A service with the name of a port instead of its number.
    fn worker(&mut self) {
        let labels = [(PORT, "metrics")];
        self.world.add_task_definition(TaskDefinition::new("worker", 1, "awsvpc").container("worker", &labels));
        self.shop(Task::fargate("worker-a", "worker:1").group("service:worker").container("worker", "127.0.1.19"));
        self.expect("shop", "worker", "Fargate, misconfigured", format!("{PORT}=metrics"), vec![]);
    }

    /// A service in the other cluster, with two ports in one container.
    fn billing(&mut self) -> io::Result<()> {
        let label = format!("{},{}/jvm", self.ports.web, self.ports.jvm);
        let labels = [(PORT, label.as_str()), (JOB, "billing")];
        self.world.add_task_definition(TaskDefinition::new("billing", 3, "awsvpc").container("billing", &labels));
        self.world.cluster_mut("payments").add_task(billing_task("billing-a", BILLING[0]));
        serve_billing(BILLING[0], self.ports)?;
        let targets = billing_targets(BILLING[0], self.ports);
        self.expect("payments", "billing", "Fargate, two ports", format!("{PORT}={label}"), targets);
        Ok(())
    }

    fn shop(&mut self, task: Task) {
        self.world.cluster_mut("shop").add_task(task);
    }

    fn expect(
        &mut self,
        cluster: &'static str,
        container: &'static str,
        runs: &'static str,
        labelled: String,
        targets: Vec<String>,
    ) {
        self.expected.push(Expected { cluster, container, runs, labelled, targets });
    }
}

pub(crate) fn web_definition(revision: i64, ports: Ports) -> TaskDefinition {
    let labels = [(PORT, &*ports.web.to_string()), (JOB, "web")];
    TaskDefinition::new("web", revision, "awsvpc").container("web", &labels)
}

pub(crate) fn serve_web(ip: Ipv4Addr, ports: Ports) -> io::Result<()> {
    serve(ip, ports.web, METRICS, "web").map(drop)
}

pub(crate) fn billing_task(id: &str, ip: Ipv4Addr) -> Task {
    Task::fargate(id, "billing:3").group("service:billing").container("billing", &ip.to_string())
}

pub(crate) fn serve_billing(ip: Ipv4Addr, ports: Ports) -> io::Result<()> {
    serve(ip, ports.web, METRICS, "billing")?;
    serve(ip, ports.jvm, "/jvm", "billing").map(drop)
}

pub(crate) fn billing_targets(ip: Ipv4Addr, ports: Ports) -> Vec<String> {
    vec![format!("{ip}:{}/metrics", ports.web), format!("{ip}:{}/jvm", ports.jvm)]
}
