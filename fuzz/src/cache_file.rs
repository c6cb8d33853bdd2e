//! The cache file that exists at the start.
//!
//! The input is the file.
//!
//! Invariant: parsing takes memory in proportion to the file's size, and fails or returns contents that are the same when they are
//! written and parsed again. Whatever the file says: while AWS cannot be reached, it makes no target; then targets come up only for
//! tasks that AWS lists, of whom none is missing; and once everything has been compared, the targets are those without a cache file.

use std::sync::Arc;

use ecs_discovery::aws::rewrite_cache_file;
use ecs_discovery::config::Config;
use ecs_discovery::file_sd::TargetGroup;
use ecs_discovery::refresh::Refresher;

use crate::memory::within;
use crate::offline::{EC2_TASK, FARGATE_TASK, Response, healthy, source, with_clients};
use crate::runtime::block_on;
use crate::snapshots::settings;

/// Within so many refreshes all of the file is compared with AWS.
const REFRESHES: usize = 11;

/// Runs the target.
pub fn run(data: &[u8]) {
    let Ok(rewritten) = within((1 << 20) + 100 * data.len(), || rewrite_cache_file(data)) else { return };
    assert_eq!(rewrite_cache_file(&rewritten).as_ref(), Ok(&rewritten));
    let text = String::from_utf8_lossy(&rewritten);
    // Other entries are never looked at, and refreshes take a while.
    if ["task-definition/web:1", "task-definition/api:2", "container-instance/prod/ci"]
        .iter()
        .any(|arn| text.contains(arn))
    {
        check_targets(&rewritten);
    }
}

fn config() -> Config {
    settings(&["-config.cluster=prod", "-config.cache=off"])
}

fn check_targets(file: &[u8]) {
    let config = config();
    let unreachable = refresh(&config, file, 1, |_, _| Response { status: 403, body: b"{}".to_vec() });
    assert!(unreachable.is_empty(), "{unreachable:?}");
    let first = refresh(&config, file, 1, healthy);
    let tasks = |groups: &[TargetGroup]| -> Vec<String> {
        groups.iter().map(|group| group.labels.get("task_arn").unwrap_or_default().to_owned()).collect()
    };
    assert!(tasks(&first).iter().all(|task| [FARGATE_TASK, EC2_TASK].contains(&task.as_str())), "{first:?}");
    assert_eq!(refresh(&config, file, REFRESHES, healthy), usual(&config));
}

/// Returns the targets after a number of refreshes.
fn refresh(
    config: &Config,
    file: &[u8],
    times: usize,
    respond: impl Fn(&str, &str) -> Response + Send + Sync + 'static,
) -> Arc<Vec<TargetGroup>> {
    with_clients(|clients| {
        clients.aws.set(respond);
        let aws = source(&clients.offline, config, file);
        let mut refresher = Refresher::new(aws, config.rules.clone(), Arc::default(), None);
        let mut targets = Arc::default();
        for _ in 0..times {
            targets = block_on(refresher.refresh(None)).targets;
        }
        targets
    })
}

/// Returns the targets without a cache file.
fn usual(config: &Config) -> Arc<Vec<TargetGroup>> {
    thread_local! {
        static USUAL: std::cell::OnceCell<Arc<Vec<TargetGroup>>> = const { std::cell::OnceCell::new() };
    }
    USUAL.with(|usual| usual.get_or_init(|| refresh(config, b"", 1, healthy)).clone())
}
