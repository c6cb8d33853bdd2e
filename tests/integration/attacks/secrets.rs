//! No secret is in any output: the log at any level, the file, the cache, the web endpoints, the explanation, or a core
//! dump.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use simaws::{Cluster, ContainerDefinition, Fault, FaultKind, TaskDefinition, World};

use crate::fixtures::{PORT_LABEL, on_fargate};
use crate::harness::{Exited, Scene, Signal, run_concurrently, wait_until};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// What no output may contain: what is given to the program, what the environment of a container holds, and what the
/// simulated services give as credentials.
const SECRETS: [&str; 12] = [
    "canary-secret-key",
    "canary-session-token",
    "canary-of-the-profile",
    "canary-external-id",
    "canary-web-identity",
    "canary-authorization",
    "canary-password",
    "canary-of-the-proxy",
    "canary-of-the-environment",
    "simulated-secret",
    "simulated-session",
    "simulated-token",
];

/// Returns a task whose environment holds a password, beside a variable that counts as a docker label.
fn world() -> World {
    let app = ContainerDefinition::new("app", &[])
        .variable(PORT_LABEL, "9102")
        .variable("DATABASE_PASSWORD", "canary-password");
    World::default()
        .with_cluster(Cluster::new("prod").with_task(on_fargate("web-1", "web:1", "10.0.0.1")))
        .with_task_definition(TaskDefinition::new("web", 1, "awsvpc").with_container(app))
}

/// Where the credentials come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Environment,
    Role,
    WebIdentity,
    Profile,
    Container,
    Instance,
    /// A proxy whose URL has a password.
    Proxy,
}

const SOURCES: [Source; 7] = [
    Source::Environment,
    Source::Role,
    Source::WebIdentity,
    Source::Profile,
    Source::Container,
    Source::Instance,
    Source::Proxy,
];

impl Source {
    fn scene(self, level: &str) -> Scene {
        let scene = Scene::of(world())
            .flag("-config.cluster=prod")
            .flag("-config.environment-labels")
            .flag("-config.meta-labels=all")
            .flag(&format!("-log.level={level}"))
            .env("RUST_LOG", "trace")
            .env("UNRELATED", "canary-of-the-environment")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret-key")
            .env("AWS_SESSION_TOKEN", "canary-session-token");
        let url = scene.aws.url();
        let without_keys = |scene: Scene| {
            let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
            names.into_iter().fold(scene, Scene::without_env)
        };
        match self {
            Self::Environment => scene,
            Self::Role => {
                scene.flag(&format!("-config.role-arn={ROLE}")).flag("-config.external-id=canary-external-id")
            }
            Self::WebIdentity => {
                let token = scene.input("token", "canary-web-identity");
                without_keys(scene).env("AWS_WEB_IDENTITY_TOKEN_FILE", &token).env("AWS_ROLE_ARN", ROLE)
            }
            Self::Profile => {
                let config = "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = canary-of-the-profile\n";
                let path = scene.input("config", config);
                without_keys(scene).env("AWS_CONFIG_FILE", &path)
            }
            Self::Container => without_keys(scene)
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/credentials"))
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization"),
            Self::Instance => without_keys(scene)
                .without_env("AWS_EC2_METADATA_DISABLED")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
            // The endpoint is on a loopback address, for which proxies are not used, so the region's real name is asked
            // for: nothing responds at the proxy.
            Self::Proxy => {
                scene.without_env("AWS_ENDPOINT_URL").env("HTTPS_PROXY", "http://user:canary-of-the-proxy@127.0.0.1:9")
            }
        }
    }

    fn works(self) -> bool {
        self != Self::Proxy
    }
}

fn assert_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        if let Some(at) = text.find(secret) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let shown: String = text[line..].chars().take(2_000).collect();
            panic!("{what} has {secret}: {shown}");
        }
    }
}

fn check_files(scene: &Scene) {
    for path in [scene.file().to_owned(), scene.cache()] {
        let content = fs::read(&path).unwrap_or_default();
        assert_no_secret(&path.display().to_string(), &String::from_utf8_lossy(&content));
    }
}

fn check(what: &str, exited: &Exited) {
    assert_no_secret(&format!("the log {what}"), &exited.stderr);
    assert_no_secret(&format!("the output {what}"), &exited.stdout);
}

#[test]
fn no_secret_is_logged_or_written_at_any_level() {
    let cases: Vec<(Source, &str)> =
        SOURCES.into_iter().flat_map(|source| ["info", "debug", "trace"].map(|level| (source, level))).collect();
    for cases in cases.chunks(6) {
        run_concurrently(cases, |&(source, level)| {
            let mut scene = source.scene(level).flag("-config.scrape-times=1");
            let exited = scene.run();
            assert_eq!(exited.code, Some(if source.works() { 0 } else { 1 }), "{}", exited.stderr);
            check(level, &exited);
            check_files(&scene);
        });
    }
}

/// Errors quote requests and responses.
#[test]
fn no_secret_is_logged_when_calls_fail() {
    let kinds = [FaultKind::Denied, FaultKind::ExpiredToken, FaultKind::Malformed, FaultKind::Html, FaultKind::Reset];
    let sources = [Source::Role, Source::WebIdentity, Source::Container];
    let cases: Vec<_> = kinds.iter().flat_map(|kind| sources.map(|source| (source, kind.clone()))).collect();
    for cases in cases.chunks(5) {
        run_concurrently(cases, |(source, kind)| {
            for operation in ["ecs:DescribeTaskDefinition", "*"] {
                let mut scene = source.scene("trace").flag("-config.scrape-times=1");
                scene.aws.add_fault(Fault::always(operation, kind.clone()));
                let exited = scene.run();
                assert_eq!(exited.code, Some(1), "{}", exited.stderr);
                check(operation, &exited);
                check_files(&scene);
            }
        });
    }
}

#[test]
fn no_secret_is_served_or_explained() {
    run_concurrently(&[Source::Environment, Source::Role, Source::Container], |source| {
        let mut scene = source.scene("trace");
        let server = scene.serve();
        wait_until("the targets are served", || server.get("/targets").status == 200);
        wait_until("the page has the target", || server.get("/").body.contains("10.0.0.1:9102"));
        for path in ["/", "/metrics", "/targets", "/-/healthy", "/-/ready", "/nothing"] {
            let response = server.get(path);
            assert_no_secret(path, &format!("{:?}\n{}", response.headers, response.body));
        }
        check("of the server", &scene.send(Signal::TERM));
        for flag in ["-explain", "-explain=json"] {
            let mut scene = source.scene("trace").flag(flag);
            let exited = scene.run();
            assert!(exited.stdout.contains("10.0.0.1:9102"), "{}", exited.stdout);
            check(flag, &exited);
        }
    });
}

/// A crash dumps no memory, also where the limit of core dumps allows it, and nobody with the same user reads the
/// environment, in which there may be credentials.
#[test]
fn memory_and_environment_are_private() {
    let mut scene = Source::Environment.scene("info");
    let user = scene.as_unprivileged_user();
    std::os::unix::fs::chown(scene.directory(), Some(user), None).unwrap();
    scene.shell("ulimit -c unlimited");
    let server = scene.serve();
    scene.wait_for_targets(&["10.0.0.1:9102"]);
    assert!(server.get("/metrics").body.contains("\nprocess_open_fds "), "the program still reads its own descriptors");
    let process = scene.program().id();
    // What belongs to root is not for the user (`ptrace(2)`, and `PR_SET_DUMPABLE` in `prctl(2)`).
    if user != 0 {
        assert_eq!(fs::metadata(format!("/proc/{process}/environ")).unwrap().uid(), 0);
        let mut reader = Command::new("cat");
        std::os::unix::process::CommandExt::uid(&mut reader, user);
        let read = reader.arg(format!("/proc/{process}/environ")).output().unwrap();
        assert!(!read.status.success() && read.stdout.is_empty());
    }
    let exited = scene.send(Signal::ABORT);
    assert_eq!(exited.signal, Some(Signal::ABORT.as_raw()));
    let names: Vec<_> = fs::read_dir(scene.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("core")), "{names:?}");
}
