//! The AWS configuration: empty settings count as unset, invalid ones are fatal at the start, proxies and certificates
//! are those of the SDK for Go.

use simaws::{Fault, FaultKind, SimAws};

use crate::fixtures::{TWO_CLUSTERS, fargate, two_clusters};
use crate::harness::{Exited, Scene, run_concurrently, text};

/// A self-signed certificate for `localhost`.
const CERTIFICATE: &str = include_str!("configuration/certificate.pem");

fn once() -> Scene {
    Scene::of(fargate(1)).flag("-config.cluster=prod").flag("-config.scrape-times=1")
}

/// Writes a file and sets a variable to its path.
fn with_file(scene: Scene, variable: &str, contents: &str) -> Scene {
    let path = scene.input(&variable.to_ascii_lowercase(), contents);
    scene.env(variable, &path)
}

fn fatal_error(exited: &Exited) -> String {
    assert_eq!(exited.code, Some(1), "{}", exited.stderr);
    let log = exited.log();
    let last = log.last().unwrap();
    assert_eq!((text(last, "level"), text(last, "message")), ("ERROR", "fatal error"));
    assert!(!exited.stderr.contains("panic"), "{}", exited.stderr);
    text(last, "error").to_owned()
}

/// Compose files pass `${AWS_REGION:-}`.
#[test]
fn empty_variables_count_as_unset() {
    let names = [
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ENDPOINT_URL_ECS",
        "AWS_ENDPOINT_URL_EC2",
        "AWS_ENDPOINT_URL_STS",
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "AWS_SESSION_TOKEN",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_CA_BUNDLE",
        "AWS_SDK_UA_APP_ID",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ECS_CONTAINER_METADATA_URI_V4",
        "HOME",
    ];
    let role = "-config.role-arn=arn:aws:iam::123456789012:role/reader";
    let scene = Scene::of(two_clusters()).flag("-config.scrape-times=1").flag(role);
    let mut scene = names.into_iter().fold(scene, |scene, name| scene.env(name, ""));
    assert_eq!(scene.run().code, Some(0));
    scene.wait_for_targets(&TWO_CLUSTERS);
}

#[test]
fn empty_region_does_not_hide_other_regions() {
    let empty = || once().env("AWS_REGION", "");
    let profile = "[default]\nregion = eu-west-1\n";
    let metadata = empty();
    let endpoint = format!("{}/v4/t1", metadata.aws.url());
    let scenes = [
        empty().env("AWS_DEFAULT_REGION", "eu-west-1"),
        with_file(empty().env("AWS_DEFAULT_REGION", ""), "AWS_CONFIG_FILE", profile),
        metadata.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint),
    ];
    for mut scene in scenes {
        assert_eq!(scene.run().code, Some(0));
    }
    assert!(fatal_error(&empty().run()).starts_with("no AWS region: set -config.region"));
}

#[test]
fn empty_access_key_does_not_hide_the_container_credentials() {
    let scene = once().env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let endpoint = format!("{}/credentials", scene.aws.url());
    let mut scene = scene.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint);
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(scene.aws.calls().access_keys("ecs:ListTasks"), ["ASIA-simaws-task"]);
}

#[test]
fn empty_profile_keys_count_as_unset() {
    let config = "[default]\nendpoint_url =\nregion =\nuse_fips_endpoint =\nec2_metadata_service_endpoint =\n\
                  ca_bundle =\nservices = s\ncredential_process =\nrole_arn =\n[services s]\necs =\n  endpoint_url =\n";
    let credentials =
        "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = x\naws_session_token =\nregion =\n";
    let scene = once().without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    let scene = with_file(scene, "AWS_CONFIG_FILE", config);
    let mut scene = with_file(scene, "AWS_SHARED_CREDENTIALS_FILE", credentials);
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(scene.aws.calls().access_keys("ecs:ListTasks"), ["AKIAFILE"]);
}

#[test]
fn endpoints_of_the_profile_are_used() {
    let of_service = "[default]\nservices = s\n[services s]\necs =\n  endpoint_url = URL\n";
    for config in ["[default]\nendpoint_url = URL\n", of_service] {
        let scene = once().without_env("AWS_ENDPOINT_URL");
        let config = config.replace("URL", &scene.aws.url());
        assert_eq!(with_file(scene, "AWS_CONFIG_FILE", &config).run().code, Some(0));
    }
}

#[test]
fn invalid_settings_are_fatal_at_start() {
    let variables = [
        ("AWS_REGION", "us east-1", "AWS_REGION=us east-1: expected a region"),
        ("AWS_REGION", " ", "AWS_REGION= : expected a region"),
        ("AWS_ENDPOINT_URL", "localhost:4566", "AWS_ENDPOINT_URL=localhost:4566: expected a URL"),
        ("AWS_ENDPOINT_URL_ECS", "/ecs", "AWS_ENDPOINT_URL_ECS=/ecs: expected a URL"),
        ("AWS_ENDPOINT_URL_STS", "http://a b", "AWS_ENDPOINT_URL_STS=http://a b: expected a URL"),
        ("AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS=0: expected a positive integer"),
        ("AWS_USE_FIPS_ENDPOINT", "1", "AWS_USE_FIPS_ENDPOINT=1: expected true or false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254", "expected a URL"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "both", "expected IPv4 or IPv6"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "localhost:80", "expected a URL"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "v2/credentials", "expected a path"),
        ("AWS_PROFILE", "prod", "AWS_PROFILE=prod: this profile does not exist in "),
        ("HTTPS_PROXY", "socks5://user:secret@proxy:1080", "HTTPS_PROXY: expected the URL of an HTTP proxy"),
        ("http_proxy", "http://", "http_proxy: expected the URL of an HTTP proxy"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem", "AWS_CA_BUNDLE=/nowhere/ca.pem: No such file"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE=/nowhere/ca.pem: No such file"),
        ("AWS_CA_BUNDLE", "/dev/null", "AWS_CA_BUNDLE=/dev/null: no usable certificate in PEM format"),
    ];
    run_concurrently(&variables, |(name, value, why)| {
        let mut scene = once().env(name, value);
        let error = fatal_error(&scene.run());
        assert!(error.contains(why) && !error.contains("secret"), "{name}: {error}");
        assert_eq!((scene.bytes(), scene.aws.calls().total()), (None, 0), "{name}");
    });
}

#[test]
fn invalid_profiles_are_fatal_at_start() {
    let configs = [
        ("[default]\nregion = eu west\n", "region in the AWS profile=eu west: expected a region"),
        ("[default]\nendpoint_url = x\n", "profile \"default\": endpoint_url=x: expected a URL"),
        ("[default]\nservices = s\n[services s]\nec2 =\n  endpoint_url = x\n", "services \"s\": ec2: endpoint_url=x"),
        ("[default\n", "aws_config_file on line 1: Profile definition must end with ']'"),
        ("region = x\n", "aws_config_file on line 1: Expected a profile definition"),
        ("[default]\nca_bundle = /nowhere/ca.pem\n", "ca_bundle in the profile=/nowhere/ca.pem: No such file"),
        ("[default]\nrole_arn = x\nsource_profile = y\n", "the profile \"default\" (STS AssumeRole of x): "),
    ];
    run_concurrently(&configs, |(config, why)| {
        let scene = ["AWS_REGION", "AWS_ACCESS_KEY_ID"].into_iter().fold(once(), Scene::without_env);
        let scene = if config.contains("region") { scene } else { scene.env("AWS_REGION", "eu-west-1") };
        let error = fatal_error(&with_file(scene, "AWS_CONFIG_FILE", config).run());
        assert!(error.contains(why), "{config}: {error}");
    });
}

/// Settings for other programs, or a file that is not there, must not keep this program from starting.
#[test]
fn other_profiles_are_not_validated() {
    let config = "[profile other]\nendpoint_url = x\nregion = a b\n[services s]\necs =\n  endpoint_url = y\n";
    assert_eq!(with_file(once(), "AWS_CONFIG_FILE", config).run().code, Some(0));
    assert_eq!(once().env("AWS_CONFIG_FILE", "/nowhere").run().code, Some(0));
}

/// The SDK would panic on a certificate that it cannot parse.
#[test]
fn ca_bundle_is_read() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = format!("text {broken}{CERTIFICATE}");
    assert_eq!(with_file(once(), "AWS_CA_BUNDLE", &bundle).run().code, Some(0));
    let scene = once();
    let profile = format!("[default]\nca_bundle = {}\n", scene.input("ca.pem", &bundle));
    assert_eq!(with_file(scene, "AWS_CONFIG_FILE", &profile).run().code, Some(0));
    let error = fatal_error(&with_file(once(), "AWS_CA_BUNDLE", broken).run());
    assert!(error.contains("no usable certificate in PEM format"), "{error}");
}

#[test]
fn calls_use_the_proxy_unless_excepted() {
    let proxy = SimAws::start_blocking(fargate(1)).unwrap();
    let behind_proxy = || {
        let scene = once().env("AWS_ENDPOINT_URL", "http://ecs.invalid:8080").env("HTTP_PROXY", &proxy.url());
        let endpoint = format!("{}/credentials", scene.aws.url());
        let scene = scene.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
        scene.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint).env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret")
    };
    let mut scene = behind_proxy();
    assert_eq!(scene.run().code, Some(0));
    assert_eq!(proxy.take_calls().get("ecs:ListTasks"), 1);
    assert_eq!((scene.aws.calls().get("metadata:credentials"), scene.aws.calls().total()), (1, 1));
    let mut scene = behind_proxy().env("NO_PROXY", "invalid:8080");
    assert_eq!(scene.run().code, Some(1));
    assert_eq!(proxy.calls().total(), 0);
}

/// Go ignores this variable.
#[test]
fn all_proxy_is_ignored() {
    assert_eq!(once().env("ALL_PROXY", "socks5://127.0.0.1:1").run().code, Some(0));
}

#[test]
fn late_task_metadata_is_asked_again() {
    let scene = once().without_env("AWS_REGION");
    let endpoint = format!("{}/v4/t1", scene.aws.url());
    let mut scene = scene.env("ECS_CONTAINER_METADATA_URI_V4", &endpoint);
    scene.aws.add_fault(Fault::once("metadata:task", FaultKind::Hang));
    assert_eq!(scene.run().code, Some(0));
}
