//! Target groups and their labels.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::inventory::{Shared, Strings};

/// The most targets or labels of a group that are parsed. A few characters each, they would take many times the memory of
/// the file.
const MOST_ENTRIES: usize = 10_000;

/// Targets with the labels that they share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetGroup {
    /// `host:port` each; our groups have one each.
    #[serde(deserialize_with = "targets")]
    pub targets: Arc<[Shared]>,
    /// The labels of each target.
    #[serde(default)]
    pub labels: Labels,
}

impl Ord for TargetGroup {
    fn cmp(&self, other: &Self) -> Ordering {
        // The labels begin with the task and the container; the address comes last. So a group stays in its place
        // when its address changes, and diffs of the file are small.
        (&self.labels, &self.targets).cmp(&(&other.labels, &other.targets))
    }
}

impl PartialOrd for TargetGroup {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Labels in the order in which they are written. Clones share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Separate from the values, because all targets of a fleet have one of a few lists of names.
    names: Arc<[Shared]>,
    values: Arc<[Shared]>,
}

impl Labels {
    /// Returns labels with these names, whose list is shared, and values.
    pub fn new(labels: impl IntoIterator<Item = (Shared, Shared)>, strings: &mut Strings) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = labels.into_iter().unzip();
        Self { names: strings.share_list(&names), values: values.into() }
    }

    /// Returns the same labels with their strings shared.
    pub(super) fn shared(&self, strings: &mut Strings) -> Self {
        let values = self.values.iter().map(|value| strings.share(value)).collect();
        Self { names: strings.share_list(&self.names), values }
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns each label in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().zip(&*self.values).map(|(name, value)| (&**name, &**value))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self { names: Arc::from([]), values: Arc::from([]) }
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<N: Into<Shared>, V: Into<Shared>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let (names, values): (Vec<_>, Vec<_>) =
            labels.into_iter().map(|(name, value)| (name.into(), value.into())).unzip();
        Self { names: names.into(), values: values.into() }
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels: Vec<(Shared, Shared)> = Vec::new();
                while let Some(label) = map.next_entry()? {
                    push(&mut labels, label)?;
                }
                Ok(labels.into_iter().collect())
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}

fn targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Shared]>, D::Error> {
    struct TargetsVisitor;

    impl<'de> Visitor<'de> for TargetsVisitor {
        type Value = Vec<Shared>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of targets")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Shared>, A::Error> {
            let mut targets = Vec::new();
            while let Some(target) = list.next_element()? {
                push(&mut targets, target)?;
            }
            Ok(targets)
        }
    }

    deserializer.deserialize_seq(TargetsVisitor).map(Into::into)
}

fn push<T, E: Error>(entries: &mut Vec<T>, entry: T) -> Result<(), E> {
    if entries.len() == MOST_ENTRIES {
        return Err(E::custom(format_args!("more than {MOST_ENTRIES} targets or labels in a group")));
    }
    entries.push(entry);
    Ok(())
}
