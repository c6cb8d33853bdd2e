//! Where the simulated tasks run, and the flags of one life of the program.

use std::time::Duration;

use crate::random::Random;

/// The accounts: that of the process's own credentials, and one whose role is assumed.
pub(crate) const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];

pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-south-1"];

/// The number of scopes.
pub(crate) const SCOPES: usize = ACCOUNTS.len() * REGIONS.len();

/// The names of clusters. Each scope has some of them at any time; `c-big` exists in the first scope only.
pub(crate) const CLUSTERS: [&str; 5] = ["c-1", "c-2", "c-3", "private", BIG];

/// A cluster of more than a hundred tasks, of which a refresh describes only some.
pub(crate) const BIG: &str = "c-big";

/// One account in one region, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope(pub(crate) usize);

impl Scope {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..SCOPES).map(Self)
    }

    pub(crate) fn account(self) -> &'static str {
        ACCOUNTS[self.0 / REGIONS.len()]
    }

    pub(crate) fn region(self) -> &'static str {
        REGIONS[self.0 % REGIONS.len()]
    }

    /// Returns the scope of the process's own credentials in the same region.
    pub(crate) fn in_own_account(self) -> Self {
        Self(self.0 % REGIONS.len())
    }

    /// Returns the ARN of a resource of ECS.
    pub(crate) fn arn(self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region(), self.account())
    }

    /// Returns `ACCOUNT/REGION`.
    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.account(), self.region())
    }

    /// Returns the scope with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|scope| scope.name() == name)
    }
}

/// The flags of one life of the program, as far as they differ.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The number of this life, which its credentials carry, so that each call tells who made it.
    pub(crate) life: usize,
    clusters: Clusters,
    regions: usize,
    with_role: bool,
    interval: Duration,
    cache: bool,
    watch: bool,
    events: bool,
    meta_labels: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clusters {
    All,
    Glob,
    Except,
}

impl Setup {
    /// Returns the flags of the first life: everything is on.
    pub(crate) fn first() -> Self {
        Self {
            life: 1,
            clusters: Clusters::Glob,
            regions: REGIONS.len(),
            with_role: true,
            interval: Duration::from_millis(200),
            cache: true,
            watch: true,
            events: true,
            meta_labels: false,
        }
    }

    /// Returns the flags of the next life.
    pub(crate) fn next(&self, random: &mut Random) -> Self {
        let intervals = [100, 200, 200, 300, 400, 2500].map(Duration::from_millis);
        Self {
            life: self.life + 1,
            clusters: *random.pick(&[Clusters::All, Clusters::Glob, Clusters::Glob, Clusters::Except]),
            regions: random.between(REGIONS.len() - 1, REGIONS.len()),
            with_role: random.once_in_thousand(850),
            interval: *random.pick(&intervals),
            cache: random.once_in_thousand(700),
            watch: random.once_in_thousand(700),
            events: random.once_in_thousand(700),
            meta_labels: random.once_in_thousand(200),
        }
    }

    /// Returns the flags of a last, long life: those of the first, whose publications follow each other closely.
    pub(crate) fn last(&self) -> Self {
        Self { life: self.life + 1, ..Self::first() }
    }

    /// Returns the scopes that are asked.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        Scope::all().filter(|scope| self.asks(*scope))
    }

    pub(crate) fn asks(&self, scope: Scope) -> bool {
        REGIONS[..self.regions].contains(&scope.region()) && (self.with_role || scope.account() == ACCOUNTS[0])
    }

    /// Returns whether targets of this cluster are wanted.
    pub(crate) fn selects(&self, scope: Scope, cluster: &str) -> bool {
        let selected = match self.clusters {
            Clusters::All => true,
            Clusters::Glob => cluster.starts_with("c-"),
            Clusters::Except => cluster.starts_with("c-") && cluster != "c-2",
        };
        selected && self.asks(scope)
    }

    /// Returns the key id of the process's own credentials.
    pub(crate) fn access_key(&self) -> String {
        format!("AKIALIFE-{}", self.life)
    }

    /// Returns the command line.
    pub(crate) fn flags(&self, queue: &str) -> Vec<String> {
        let (self_only, role) = ("self".to_owned(), format!("arn:aws:iam::{}:role/LIFE-{}", ACCOUNTS[1], self.life));
        let roles = if self.with_role { format!("self,{role}") } else { self_only };
        let clusters = match self.clusters {
            Clusters::All => "",
            Clusters::Glob => "c-*",
            Clusters::Except => "c-*,!c-2",
        };
        let mut flags = vec![
            format!("-config.role-arn={roles}"),
            format!("-config.region={}", REGIONS[..self.regions].join(",")),
            format!("-config.cluster={clusters}"),
            format!("-config.scrape-interval={}ms", self.interval.as_millis()),
            format!("-config.watch={}", self.watch),
            format!("-config.meta-labels={}", self.meta_labels),
            format!("-config.cache={}", if self.cache { "on" } else { "off" }),
        ];
        if self.events {
            flags.push(format!("-config.events-queue={queue}"));
        }
        flags
    }
}

/// Returns the life whose credentials signed a call.
pub(crate) fn life_of(access_key: &str) -> Option<usize> {
    let (_, rest) = access_key.split_once("LIFE-")?;
    rest.split('-').next()?.parse().ok()
}
