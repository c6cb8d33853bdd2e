//! Faults that start and stop at random, and what happens to the process.

use std::collections::BTreeSet;

use simaws::{Fault, FaultKind, SimAws};

use crate::history::About;
use crate::oracle::Oracle;
use crate::random::Random;
use crate::refreshes::{Disturbs, How};
use crate::setup::{ACCOUNTS, CLUSTERS, SCOPES, Scope};

/// The most faults that are active at a time.
const MOST_FAULTS: usize = 4;

/// Names what can be left out with `--without`, apart from the kinds of fault.
pub(crate) const KILL: &str = "kill";
pub(crate) const TERMINATE: &str = "terminate";
pub(crate) const STOP: &str = "stop";
pub(crate) const DISK: &str = "disk";
pub(crate) const CLOCK: &str = "clock";

/// What the wall clock may be set to, in seconds from the right time: credentials seem to be valid for long, or have expired.
const CLOCKS: [i64; 4] = [-86_400, -86_400, 0, 86_400];

/// The operations whose calls fail. The first three are for one cluster.
const OPERATIONS: [&str; 10] = [
    "ecs:ListTasks",
    "ecs:DescribeTasks",
    "ecs:DescribeContainerInstances",
    "ecs:ListClusters",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeInstances",
    "*",
    "sts:AssumeRole",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessageBatch",
];

/// What happens to the process in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL, then a start with other flags.
    Kill,
    /// SIGTERM, then a start with other flags.
    Terminate,
    /// SIGSTOP, and SIGCONT after as many steps.
    Stop(usize),
    /// The file cannot grow for as many steps.
    FullDisk(usize),
    /// The wall clock is set, by as many seconds from the right time.
    Clock(i64),
}

struct Active {
    fault: Fault,
    window: u64,
    steps: usize,
}

/// The active faults.
pub(crate) struct Chaos {
    random: Random,
    active: Vec<Active>,
    without: BTreeSet<String>,
    /// The number of faults and blows so far.
    pub(crate) injected: u64,
}

impl Chaos {
    pub(crate) fn new(seed: u64, without: BTreeSet<String>) -> Self {
        Self { random: Random::new(!seed), active: Vec::new(), without, injected: 0 }
    }

    /// Returns every name that `--without` takes.
    pub(crate) fn ingredients() -> Vec<String> {
        let kinds = kinds().into_iter().map(|kind| name(&kind));
        kinds.chain([KILL, TERMINATE, STOP, DISK, CLOCK].map(str::to_owned)).collect()
    }

    /// Starts and ends faults. Returns what is to happen to the process.
    pub(crate) fn step(&mut self, aws: &SimAws, oracle: &mut Oracle) -> Option<Blow> {
        self.active.iter_mut().for_each(|active| active.steps -= 1);
        if self.active.iter().any(|active| active.steps == 0) {
            let (ended, active) = std::mem::take(&mut self.active).into_iter().partition(|active| active.steps == 0);
            self.active = active;
            self.replace(aws);
            end(ended, oracle);
        }
        if self.active.len() < MOST_FAULTS && self.random.once_in_thousand(25) {
            self.start(aws, oracle);
        }
        let blow = self.blow()?;
        self.injected += 1;
        Some(blow)
    }

    /// Ends every fault.
    pub(crate) fn calm(&mut self, aws: &SimAws, oracle: &mut Oracle) {
        let ended = std::mem::take(&mut self.active);
        self.replace(aws);
        end(ended, oracle);
    }

    /// Makes the active faults those of the simulated AWS.
    fn replace(&self, aws: &SimAws) {
        aws.clear_faults();
        self.active.iter().for_each(|active| aws.add_fault(active.fault.clone()));
    }

    fn start(&mut self, aws: &SimAws, oracle: &mut Oracle) {
        let all = kinds();
        let kind = self.random.pick(&all).clone();
        if self.without.contains(&name(&kind)) {
            return;
        }
        let (fault, disturbs, about) = self.fault(kind);
        let steps = if is_slow(&fault.kind) { self.random.between(10, 60) } else { self.random.between(20, 250) };
        let described = serde_json::to_string(&fault).unwrap_or_default();
        oracle.history.add(about, format!("fault for {steps} steps: {described}"));
        // Recorded first, ended last: a refresh that either may have disturbed counts as disturbed.
        let window = oracle.refreshes.begin(disturbs);
        aws.add_fault(fault.clone());
        self.active.push(Active { fault, window, steps });
        self.injected += 1;
    }

    /// Returns a fault of a random operation, for one cluster, one scope, or everywhere.
    fn fault(&mut self, kind: FaultKind) -> (Fault, Disturbs, About) {
        let at = self.random.below(OPERATIONS.len());
        let operation = OPERATIONS[at];
        let mut fault = Fault::always(operation, kind);
        if is_slow(&fault.kind) || self.random.once_in_thousand(300) {
            fault = fault.times(u32::try_from(self.random.between(1, 4)).unwrap_or(1));
        }
        let mut disturbs = Disturbs { scope: None, cluster: None, how: How::Calls };
        match operation {
            "sts:AssumeRole" => {
                (fault, disturbs.how) = (fault.account(ACCOUNTS[1]), How::Login);
                return (fault, disturbs, About::default());
            }
            _ if operation.starts_with("sqs:") => {
                disturbs.how = How::Queue;
                return (fault, disturbs, About::default());
            }
            _ if operation != "*" && self.random.once_in_thousand(100) => return (fault, disturbs, About::default()),
            _ => {}
        }
        let scope = Scope(self.random.below(SCOPES));
        fault = fault.account(scope.account()).region(scope.region());
        disturbs.scope = Some(scope);
        if at >= 3 {
            return (fault, disturbs, About::scope(scope));
        }
        let cluster = *self.random.pick(&CLUSTERS);
        disturbs.cluster = Some(cluster.to_owned());
        (fault.cluster(cluster), disturbs, About::cluster(scope, cluster))
    }

    fn blow(&mut self) -> Option<Blow> {
        let may = |name: &str| !self.without.contains(name);
        let blow = match self.random.below(1600) {
            0 if may(KILL) => Blow::Kill,
            1 if may(TERMINATE) => Blow::Terminate,
            2..=4 if may(STOP) => Blow::Stop(self.random.between(5, 150)),
            5..=7 if may(DISK) => Blow::FullDisk(self.random.between(20, 200)),
            8..=9 if may(CLOCK) => Blow::Clock(*self.random.pick(&CLOCKS)),
            _ => return None,
        };
        Some(blow)
    }
}

fn end(ended: Vec<Active>, oracle: &mut Oracle) {
    for Active { fault, window, .. } in ended {
        oracle.refreshes.end(window);
        let scope = fault.account.as_deref().zip(fault.region.as_deref());
        let scope = scope.and_then(|(account, region)| Scope::named(&format!("{account}/{region}")));
        let about = About { scope, cluster: fault.cluster, task: None };
        oracle.history.add(about, format!("end of {} of {}", name(&fault.kind), fault.operation));
    }
}

/// Returns every kind of fault.
fn kinds() -> Vec<FaultKind> {
    vec![
        FaultKind::Throttle,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::Denied,
        FaultKind::ExpiredToken,
        FaultKind::Error { status: 418, code: "Teapot".into(), message: "short and\nstout".into() },
        FaultKind::Hang,
        FaultKind::Delay { millis: 700 },
        FaultKind::SlowBody { chunk_millis: 150 },
        FaultKind::CutBody,
        FaultKind::Malformed,
        FaultKind::Reset,
        FaultKind::EmptyBody,
        FaultKind::EmptyObject,
        FaultKind::EmptyPageWithToken,
        FaultKind::RepeatedToken,
        FaultKind::Html,
    ]
}

/// Returns the name of a kind, such as `slow-body`.
fn name(kind: &FaultKind) -> String {
    let kind = serde_json::to_value(kind).unwrap_or_default();
    kind["kind"].as_str().unwrap_or_default().to_owned()
}

/// A call that hangs takes the program ten seconds.
fn is_slow(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::Hang)
}
