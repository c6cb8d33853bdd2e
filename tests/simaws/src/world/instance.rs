//! An EC2 instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

fn running() -> String {
    "running".to_owned()
}

/// An EC2 instance as DescribeInstances shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instance {
    /// The id, `i-…`.
    pub instance_id: String,
    /// The primary private IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip_address: Option<String>,
    /// The private DNS name, absent in a VPC without DNS host names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_dns_name: Option<String>,
    /// The public IPv4 address, `ipAddress` on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip_address: Option<String>,
    /// The primary IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
    /// For example `m7g.large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The state, by default `running`.
    #[serde(default = "running")]
    pub state: String,
    /// Whether ECS Managed Instances runs it. EC2 returns such instances only by id or with `IncludeManagedResources`.
    #[serde(default)]
    pub managed: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            instance_id: String::new(),
            private_ip_address: None,
            private_dns_name: None,
            public_ip_address: None,
            ipv6_address: None,
            instance_type: None,
            state: running(),
            managed: false,
            tags: BTreeMap::new(),
        }
    }
}

impl Instance {
    /// Returns a running instance with a private address.
    pub fn new(id: &str, private_ip: &str) -> Self {
        Self {
            instance_id: id.to_owned(),
            private_ip_address: Some(private_ip.to_owned()),
            private_dns_name: Some(format!("ip-{}.ec2.internal", private_ip.replace('.', "-"))),
            instance_type: Some("m7g.large".to_owned()),
            ..Self::default()
        }
    }

    /// Marks the instance as run by ECS Managed Instances.
    #[must_use]
    pub fn managed(mut self) -> Self {
        self.managed = true;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkInterface {
    /// Its id, `eni-…`.
    pub network_interface_id: String,
    /// The public address associated with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// Whether it belongs to a managed instance, which filtered calls omit unless asked for.
    #[serde(default)]
    pub managed: bool,
}

impl NetworkInterface {
    /// Returns an interface with this public address.
    pub fn new(id: &str, public_ip: Option<&str>) -> Self {
        Self { network_interface_id: id.to_owned(), public_ip: public_ip.map(str::to_owned), managed: false }
    }
}
