//! The flags for a world, and a change of it.

use std::iter;

use simaws::World;

use crate::world::{Shape, account, task};

impl Shape {
    /// Returns the shape of an organisation: twelve task definitions per hundred tasks in each of these scopes.
    pub(crate) fn organisation(scopes: usize, tasks: usize) -> Self {
        Self { definitions: (tasks * 12 / 100).max(2), scopes, ..Self::usual(tasks) }
    }

    /// Returns the flags with which the program asks for all scopes.
    pub(crate) fn flags(self) -> Vec<String> {
        if self.scopes == 1 {
            return Vec::new();
        }
        let regions = self.regions();
        let role = |n| format!(",arn:aws:iam::{}:role/discovery", account(n));
        let roles: String = (1..self.scopes / regions.len()).map(role).collect();
        vec![format!("-config.role-arn=self{roles}"), format!("-config.region={}", regions.join(","))]
    }
}

/// Replaces 1 % of the tasks by new ones, in each scope one of them with a new revision of its task definition.
pub(crate) fn replace_a_hundredth(world: &mut World) {
    let scopes = || iter::once(&*world).chain(&world.others);
    let mut serial = scopes().flat_map(|scope| &scope.clusters).map(|cluster| cluster.tasks.len()).sum();
    for other in &mut world.others {
        replace_a_hundredth_of_scope(other, &mut serial);
    }
    replace_a_hundredth_of_scope(world, &mut serial);
}

fn replace_a_hundredth_of_scope(world: &mut World, serial: &mut usize) {
    let scope = World::new(&world.account, &world.region);
    let mut next_revision = None;
    for cluster in &mut world.clusters {
        for hundred in 0..cluster.tasks.len().div_ceil(100) {
            // `hundred % 10` varies, so that tasks on EC2 and on Fargate are replaced in proportion.
            let Some(place) = cluster.tasks.get_mut(hundred * 100 + hundred % 10) else { continue };
            let definition = match next_revision {
                None => next_revision.insert(next(&place.task_definition)),
                Some(_) => &place.task_definition,
            };
            let (containers, on) = (place.containers.len(), place.container_instance.as_deref());
            *place = task(&scope, &cluster.name, definition, containers, on, *serial);
            *serial += 1;
        }
    }
    if let Some((family, revision)) = next_revision.as_deref().and_then(|next| next.rsplit_once(':')) {
        let known = world.task_definitions.iter().find(|definition| definition.family == family);
        let mut next = known.cloned().unwrap_or_default();
        next.revision = revision.parse().unwrap_or_default();
        world.add_task_definition(next);
    }
}

/// Returns `FAMILY:REVISION` with the next revision.
fn next(definition: &str) -> String {
    let (family, revision) = definition.rsplit_once(':').unwrap_or((definition, "0"));
    format!("{family}:{}", revision.parse::<i64>().unwrap_or_default() + 1)
}
