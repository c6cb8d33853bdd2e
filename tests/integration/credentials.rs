//! Credentials that are slow, hang, fail or are missing, from every kind of source.

use std::fs;
use std::path::PathBuf;

use simaws::{Fault, FaultKind};

use crate::fixtures::fargate;
use crate::harness::{Scene, run_concurrently, text, wait_until};

const ONE: &str = "10.0.0.1:9102";
const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// Longer than an attempt of a call, shorter than the time limit for credentials.
const SLOW: FaultKind = FaultKind::Delay { millis: 7000 };

/// A kind of source.
#[derive(Clone, Copy, Debug)]
enum Source {
    Role,
    WebIdentity,
    ProfileRole,
    Container,
    Instance,
}

impl Source {
    /// Returns a scene whose program uses the source. It refreshes ten times a second.
    fn scene(self) -> Scene {
        let scene = Scene::of(fargate(1)).flag("-config.cluster=prod");
        let url = scene.aws.url();
        match self {
            Self::Role => scene.flag(&format!("-config.role-arn={ROLE}")),
            Self::WebIdentity => {
                let token = scene.input("token", "t");
                let scene = without_keys(scene).env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
                scene.env("AWS_ROLE_ARN", ROLE)
            }
            Self::ProfileRole => {
                let config = format!("[default]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n{KEYS}");
                with_config(without_keys(scene), &config)
            }
            Self::Container => {
                without_keys(scene).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/credentials"))
            }
            Self::Instance => {
                let scene = without_keys(scene).without_env("AWS_EC2_METADATA_DISABLED");
                scene.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
            }
        }
    }

    /// The operation by which it gets credentials.
    fn operation(self) -> &'static str {
        match self {
            Self::Role | Self::ProfileRole => "sts:AssumeRole",
            Self::WebIdentity => "sts:AssumeRoleWithWebIdentity",
            Self::Container => "metadata:credentials",
            Self::Instance => "imds:credentials",
        }
    }

    /// What a message must name.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Role | Self::ProfileRole => ["STS (AssumeRole of", ROLE],
            Self::WebIdentity => ["STS AssumeRoleWithWebIdentity of", ROLE],
            Self::Container => ["the container credentials endpoint", "AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            Self::Instance => ["the EC2 instance", "IMDS"],
        }
    }
}

const KEYS: &str = "aws_access_key_id = AKIAFILE\naws_secret_access_key = x\n";

fn without_keys(scene: Scene) -> Scene {
    scene.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY")
}

fn with_config(scene: Scene, config: &str) -> Scene {
    let path = scene.input("config", config);
    scene.env("AWS_CONFIG_FILE", &path).env("PATH", "/usr/bin:/bin")
}

const ALL: [Source; 5] = [Source::Role, Source::WebIdentity, Source::ProfileRole, Source::Container, Source::Instance];

#[test]
fn credentials_are_fetched_once() {
    run_concurrently(&ALL, |source| {
        let mut scene = source.scene().flag("-config.scrape-times=3");
        assert_eq!(scene.run().code, Some(0));
        assert_eq!(scene.aws.calls().get(source.operation()), 1);
    });
}

/// IMDS is slower than its own time limit here, which is shorter.
#[test]
fn slow_source_succeeds_at_start_and_at_renewal() {
    let slow = [Source::Role, Source::WebIdentity, Source::ProfileRole, Source::Container];
    run_concurrently(&slow, |source| {
        let mut scene = source.scene();
        // So short that every call needs new ones.
        scene.aws.set_options(simaws::Options {
            credentials_lifetime: std::time::Duration::from_secs(12),
            ..Default::default()
        });
        scene.aws.add_fault(Fault::always(source.operation(), SLOW));
        scene.start_and_wait_for(&[ONE]);
        let at_start = scene.aws.calls().get(source.operation());
        scene.wait_for_log("a failure that names the source", |line| {
            source.names()[1..].iter().all(|name| text(line, "error").contains(name))
        });
        wait_until("credentials are renewed", || scene.aws.calls().get(source.operation()) > at_start);
        scene.wait_for_refreshes(1);
        scene.stop();
    });
}

#[test]
fn very_slow_container_endpoint_succeeds() {
    let mut scene = Source::Container.scene().flag("-config.scrape-times=1");
    scene.aws.add_fault(Fault::always(Source::Container.operation(), FaultKind::Delay { millis: 20_000 }));
    assert_eq!(scene.run().code, Some(0));
}

/// The SDK for Rust takes one late response of IMDS for a machine without it.
#[test]
fn one_hanging_response_is_not_fatal() {
    let hanging = ["imds:token", "imds:role", "imds:credentials"].map(|operation| (Source::Instance, operation));
    let hanging = [&hanging[..], &[(Source::Container, "metadata:credentials")]].concat();
    run_concurrently(&hanging, |(source, operation)| {
        let mut scene = source.scene().flag("-config.scrape-times=1");
        scene.aws.add_fault(Fault::once(operation, FaultKind::Hang));
        assert_eq!(scene.run().code, Some(0));
    });
}

#[test]
fn hanging_source_is_named_and_recovers() {
    run_concurrently(&ALL, |source| {
        let mut scene = source.scene();
        scene.aws.add_fault(Fault::always(source.operation(), FaultKind::Hang));
        scene.start();
        scene.wait_for_log("what it waits for", |line| {
            text(line, "message") == "waiting for AWS credentials"
                && source.names().iter().any(|name| text(line, "from").contains(name))
        });
        let failure = scene
            .wait_for_log("a failure", |line| !text(line, "operation").is_empty() && text(line, "level") == "WARN");
        let error = text(&failure, "error");
        assert!(source.names().iter().any(|name| error.contains(name)), "{failure}");
        scene.aws.clear_faults();
        scene.wait_for_targets(&[ONE]);
        scene.stop();
    });
}

#[test]
fn refused_role_is_reported_with_its_code() {
    let mut scene = Source::Role.scene().flag("-config.scrape-times=1");
    scene.aws.add_fault(Fault::always("sts:AssumeRole", FaultKind::Denied));
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    assert!(
        exited.log().iter().any(|line| text(line, "operation") == "AssumeRole" && text(line, "code") == "AccessDenied")
    );
    assert_eq!(scene.aws.calls().get("sts:AssumeRole"), 1);
}

#[test]
fn unreachable_imds_is_fatal_and_names_the_hop_limit() {
    for kind in [FaultKind::Hang, FaultKind::Reset] {
        let mut scene = Source::Instance.scene();
        scene.aws.add_fault(Fault::always("imds:token", kind.clone()));
        let exited = scene.run();
        assert_eq!(exited.code, Some(1));
        assert!(
            exited.stderr.contains("no AWS credentials in") && exited.stderr.contains("hop limit of 2"),
            "{}",
            exited.stderr
        );
        let mut scene = Source::Instance.scene().without_env("AWS_REGION");
        scene.aws.add_fault(Fault::always("imds:token", kind));
        let exited = scene.run();
        assert_eq!(exited.code, Some(1));
        assert!(
            exited.stderr.contains("no AWS region") && exited.stderr.contains("hop limit of 2"),
            "{}",
            exited.stderr
        );
    }
}

#[test]
fn instance_gives_region_and_credentials() {
    let mut scene = Source::Instance.scene().without_env("AWS_REGION").flag("-config.scrape-times=1");
    assert_eq!(scene.run().code, Some(0));
    let calls = scene.aws.calls();
    assert_eq!((calls.get("imds:token"), calls.get("imds:region")), (1, 1));
    assert_eq!(calls.access_keys("ecs:ListTasks"), ["ASIA-simaws-instance"]);
    let debug = |message: &str| scene.exited().log().into_iter().find(|line| text(line, "message") == message).unwrap();
    assert_eq!(text(&debug("AWS region"), "from"), "the region of the EC2 instance");
    assert_eq!(text(&debug("AWS credentials"), "from"), "the EC2 instance (IMDS)");
}

const PRINTED: &str = r#"{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "x", "SessionToken": "y"}"#;

/// Writes a script that a profile uses as its credential process, with a secret as an argument.
fn with_process(scene: Scene, script: &str, profile: &str) -> (Scene, PathBuf) {
    let path = PathBuf::from(scene.input("login", script));
    let command = format!("credential_process = sh {} secret", path.display());
    (with_config(without_keys(scene), &profile.replace("PROCESS", &command)), path)
}

#[test]
fn credential_process_gives_credentials() {
    let profiles = [
        ("[default]\nPROCESS\n", "AKIAPROCESS"),
        ("[profile default]\nPROCESS\n", "AKIAPROCESS"),
        ("[default]\nrole_arn = ROLE\nsource_profile = base\n[profile base]\nPROCESS\n", "ASIA-reader-"),
        ("[default]\nrole_arn = ROLE\nsource_profile = default\nPROCESS\n", "ASIA-reader-"),
        ("[default]\nPROCESS\naws_access_key_id = AKIAFILE\naws_secret_access_key = x\n", "AKIAPROCESS"),
    ];
    run_concurrently(&profiles, |(profile, key)| {
        let scene = Scene::of(fargate(1)).flag("-config.cluster=prod").flag("-config.scrape-times=1");
        let (mut scene, _) = with_process(scene, &format!("echo '{PRINTED}'"), &profile.replace("ROLE", ROLE));
        assert_eq!(scene.run().code, Some(0));
        let keys = scene.aws.calls().access_keys("ecs:ListTasks");
        assert!(keys.iter().all(|signed| signed.starts_with(key)), "{keys:?}");
    });
}

#[test]
fn failing_credential_process_is_named_without_its_arguments() {
    let scripts = [
        ("echo no >&2; exit 3", "exit status: 3: no"),
        ("echo '{'", "invalid output"),
        ("echo '{\"Version\": 2, \"AccessKeyId\": \"k\", \"SecretAccessKey\": \"x\"}'", "version 2"),
    ];
    run_concurrently(&scripts, |(script, why)| {
        let scene = Scene::of(fargate(1)).flag("-config.cluster=prod").flag("-config.scrape-times=1");
        let (mut scene, _) = with_process(scene, script, "[default]\nPROCESS\n");
        let exited = scene.run();
        assert_eq!(exited.code, Some(1));
        assert!(exited.stderr.contains("credential_process sh") && exited.stderr.contains(why), "{}", exited.stderr);
        assert!(!exited.stderr.contains("secret"), "{}", exited.stderr);
    });
}

/// It has no standard input, and is ended with the processes that it started.
#[test]
fn waiting_credential_process_is_ended() {
    let scene = Scene::of(fargate(1)).flag("-config.cluster=prod");
    let script = "read answer; echo \"$?\" > \"$0.read\"; sleep 1000 & echo $! > \"$0.pid\"; wait";
    let (mut scene, path) = with_process(scene, script, "[default]\nPROCESS\n");
    scene.start();
    let written = |extension: &str| fs::read_to_string(path.with_extension(extension)).unwrap_or_default();
    wait_until("the process waits", || written("pid").ends_with('\n'));
    assert_eq!(written("read"), "1\n", "end of input");
    let failure = scene.wait_for_failure("ListTasks", "NoCredentials");
    assert!(text(&failure, "error").contains("(credential_process sh)"), "{failure}");
    let child: PathBuf = ["/proc", written("pid").trim()].iter().collect();
    fs::write(&path, format!("echo '{PRINTED}'")).unwrap();
    scene.wait_for_targets(&[ONE]);
    wait_until("the child has ended", || {
        let state = fs::read_to_string(child.join("stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
    scene.stop();
}

#[test]
fn login_session_without_a_token_is_reported() {
    let profile = "[default]\nlogin_session = arn:aws:iam::123456789012:user/me\n";
    let scene = with_config(without_keys(Scene::of(fargate(1))), profile).flag("-config.scrape-times=1");
    let home = scene.directory().to_str().unwrap().to_owned();
    let mut scene = scene.env("HOME", &home);
    let exited = scene.run();
    assert_eq!(exited.code, Some(1));
    assert!(exited.stderr.contains("aws login session") && !exited.stderr.contains("feature"), "{}", exited.stderr);
}
