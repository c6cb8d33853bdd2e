//! Valid and invalid command lines.

use std::num::NonZeroU64;
use std::time::Duration;

use super::settings::{label_filter, output};
use super::*;
use crate::config::{
    AwsConfig, DYNAMIC_PORT_LABEL, Interval, LabelFilter, LogConfig, LogFormat, LogLevel, MetaLabels, Output, PortRule,
    RefreshConfig, Rules,
};
use crate::file_sd::Format;
use crate::inventory::{Identity, Pattern, RoleArn, Selection};

fn parsed(arguments: &[&str]) -> Result<Parsed, String> {
    in_environment(&[], arguments)
}

fn in_environment(variables: &[(&str, &str)], arguments: &[&str]) -> Result<Parsed, String> {
    let environment = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    parse(arguments.iter().map(OsString::from), environment).map_err(|error| error.to_string())
}

fn accepted(arguments: &[&str]) -> Config {
    match parsed(arguments) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn selected(patterns: &[&str]) -> Selection {
    let include = patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect();
    Selection { include, ..Selection::default() }
}

#[test]
fn the_defaults_are_the_originals() {
    let expected = Config {
        aws: AwsConfig {
            identities: vec![Identity::Own],
            external_id: None,
            regions: vec![],
            clusters: Selection::default(),
            meta_labels: MetaLabels::Off,
            host_attribute: Some("ecs-discovery.host".into()),
            variables: vec![],
            describe_all: false,
            interval: Interval::Every(Duration::from_secs(60)),
            events_queues: vec![],
            cache: Some(".ecs_file_sd.yml.cache".into()),
        },
        rules: Rules {
            ports: PortRule::Label { name: "PROMETHEUS_EXPORTER_PORT".into(), filter: None },
            server_name_label: "PROMETHEUS_EXPORTER_SERVER_NAME".into(),
            job_name_label: "PROMETHEUS_EXPORTER_JOB_NAME".into(),
            path_label: "PROMETHEUS_EXPORTER_PATH".into(),
            scheme_label: "PROMETHEUS_EXPORTER_SCHEME".into(),
            meta_labels: MetaLabels::Off,
        },
        output: Output::File { path: "ecs_file_sd.yml".into(), format: Format::Yaml },
        refresh: RefreshConfig { interval: Interval::Every(Duration::from_secs(60)), watch: true, limit: None },
        max_stale: None,
        log: LogConfig { level: LogLevel::Info, format: LogFormat::Logfmt },
        web: None,
    };
    assert_eq!(accepted(&[]), expected);
    assert_eq!(accepted(&["-config.cluster=", "-config.region", "", "--config.role-arn="]), expected);
}

#[test]
fn accepts_the_command_of_the_vendors_guide() {
    let config = accepted(&["-config.cluster=prod", "-config.write-to=/output/ecs_file_sd.yml"]);
    assert_eq!(config.aws.clusters, selected(&["prod"]));
    assert_eq!(config.output, Output::File { path: "/output/ecs_file_sd.yml".into(), format: Format::Yaml });
    assert_eq!(config.aws.cache, Some("/output/.ecs_file_sd.yml.cache".into()));
}

#[test]
fn the_cache_is_beside_the_file_unless_disabled() {
    for arguments in [["-config.cache=off", "-config.write-to=a.yml"], ["-config.cache=on", "-config.write-to=-"]] {
        assert_eq!(accepted(&arguments).aws.cache, None, "{arguments:?}");
    }
    assert!(parsed(&["-config.cache=maybe"]).is_err());
}

#[test]
fn meta_labels_are_a_boolean_or_all() {
    for (spelled, expected) in [
        ("-config.meta-labels", MetaLabels::Free),
        ("--config.meta-labels=T", MetaLabels::Free),
        ("-config.meta-labels=0", MetaLabels::Off),
        ("-config.meta-labels=all", MetaLabels::All),
    ] {
        let config = accepted(&[spelled]);
        assert_eq!((config.aws.meta_labels, config.rules.meta_labels), (expected, expected), "{spelled}");
        assert_eq!(config.aws.describe_all, expected != MetaLabels::Off, "{spelled}");
    }
}

#[test]
fn every_flag_takes_effect() {
    let config = accepted(&[
        "-config.cluster=a, b,!c*,arn:aws:ecs:r:1:cluster/a,b,arn:aws:ecs:r:1:cluster/a",
        "-config.write-to=-",
        "--config.scrape-interval",
        "1.5h",
        "-config.scrape-times=0x10",
        "-config.role-arn=arn:aws:iam::1:role/r",
        "-config.external-id=x",
        "-config.max-stale=1h",
        "-config.meta-labels",
        "-config.environment-labels",
        "-config.host-attribute=",
        "-web.listen-address=:10779",
        "-web.telemetry-path=/m",
        "-config.server-name-label=S",
        "-config.job-name-label=J",
        "-config.path-label=P",
        "-config.scheme-label=C",
        "-config.filter-label=TEAM=a=b",
        "-config.port-label=",
        "-config.region=eu-west-1,r",
        "-log.level=debug",
        "-log.format=json",
    ]);
    assert_eq!(
        config.aws,
        AwsConfig {
            identities: vec![Identity::Role(RoleArn::parse("arn:aws:iam::1:role/r").unwrap())],
            external_id: Some("x".into()),
            regions: vec!["eu-west-1".into(), "r".into()],
            clusters: Selection {
                exclude: vec![Pattern::parse("c*").unwrap()],
                ..selected(&["a", "b", "arn:aws:ecs:r:1:cluster/a"])
            },
            meta_labels: MetaLabels::Free,
            host_attribute: None,
            variables: ["C", "J", "P", "S", "TEAM"].map(String::from).into(),
            describe_all: true,
            interval: Interval::Every(Duration::from_secs(5400)),
            events_queues: vec![],
            cache: None,
        }
    );
    assert_eq!(config.output, Output::Stdout);
    assert_eq!(
        config.refresh,
        RefreshConfig { interval: Interval::Every(Duration::from_secs(5400)), watch: true, limit: NonZeroU64::new(16) }
    );
    assert_eq!(config.max_stale, Some(Duration::from_secs(3600)));
    let filter = Some(LabelFilter { name: "TEAM".into(), value: Some("a=b".into()) });
    assert_eq!(config.rules.ports, PortRule::Label { name: String::new(), filter });
    assert_eq!(config.rules.server_name_label + &config.rules.path_label + &config.rules.scheme_label, "SPC");
    let listen = ListenAddress { host: None, port: 10779 };
    let web = config.web.unwrap();
    assert_eq!((web.listen, web.telemetry_path), (listen, "/m".into()));
    assert!(web.flags.contains(&("config.external-id", "(set)".into())), "{:?}", web.flags);
    assert!(web.flags.contains(&("config.scrape-times", "0x10".into())), "{:?}", web.flags);
    assert_eq!(config.log, LogConfig { level: LogLevel::Debug, format: LogFormat::Json });
}

#[test]
fn variables_have_the_names_of_labels_that_count() {
    let variables = |more: &[&str]| accepted(&[&["-config.environment-labels"], more].concat()).aws.variables;
    let ports = ["PROMETHEUS_EXPORTER_PORT", DYNAMIC_PORT_LABEL];
    let named = |variables: &[String]| ports.map(|port| variables.iter().any(|variable| variable == port));
    assert_eq!(named(&variables(&[])), [true, false]);
    assert_eq!(named(&variables(&["-config.dynamic-port-detection"])), [false, true]);
    assert_eq!(variables(&["-config.port-label=", "-config.job-name-label="]).len(), 3, "an empty name is no name");
}

#[test]
fn a_filter_is_a_name_with_or_without_a_value() {
    for (given, name, value) in [("TEAM", "TEAM", None), ("TEAM=", "TEAM", Some("")), ("TEAM=a", "TEAM", Some("a"))] {
        let filter = LabelFilter { name: name.into(), value: value.map(String::from) };
        assert_eq!(label_filter(given), Ok(Some(filter)), "{given}");
    }
    assert!(label_filter("=a").is_err());
}

#[test]
fn the_last_of_a_repeated_flag_wins() {
    let config = accepted(&["-config.scrape-times=1", "-config.dynamic-port-detection", "-config.scrape-times", "-2"]);
    assert_eq!((config.refresh.limit, config.rules.ports), (None, PortRule::OnlyPublished));
    let off = ["-config.dynamic-port-detection=T", "--config.dynamic-port-detection=F"];
    assert!(matches!(accepted(&off).rules.ports, PortRule::Label { .. }));
}

#[test]
fn errors_are_one_line_and_the_usage() {
    for (arguments, expected) in [
        (&["-config.clutser=x"][..], "unknown flag: -config.clutser"),
        (&["-config.x\n\u{1b}[2J=y"], "unknown flag: -config.x\\n\\u{1b}[2J"),
        (&["-config.cluster"], "flag needs an argument: -config.cluster"),
        (
            &["-config.scrape-interval=0"],
            "invalid value \"0\" for -config.scrape-interval: expected a positive duration",
        ),
        (&["-config.scrape-interval=-1m"], "expected a positive duration"),
        (
            &["-config.scrape-interval=60"],
            "invalid value \"60\" for -config.scrape-interval: expected a duration such as",
        ),
        (&["-config.scrape-interval="], "invalid value \"\" for -config.scrape-interval"),
        (&["-config.scrape-times=x"], "invalid value \"x\" for -config.scrape-times: expected an integer"),
        (
            &["-config.dynamic-port-detection=yes"],
            "invalid value \"yes\" for -config.dynamic-port-detection: expected true or",
        ),
        (
            &["-config.dynamic-port-detection", "true", "-config.cluster=x"],
            "must be written as -config.dynamic-port-detection=true",
        ),
        (&["-config.cluster=,"], "invalid value \",\" for -config.cluster: expected at least one cluster"),
        (&["-config.region=eu west"], "invalid value \"eu west\" for -config.region: expected a region such as"),
        (&["-config.role-arn=x"], "invalid value \"x\" for -config.role-arn: expected arn:PARTITION:iam"),
        (
            &["-config.cluster=arn:aws:ecs:eu-west-1:2:cluster/a", "-config.role-arn=arn:aws:iam::1:role/r"],
            "invalid value \"arn:aws:ecs:eu-west-1:2:cluster/a\" for -config.cluster: no account and region",
        ),
        (&["-config.write-to="], "for -config.write-to: expected a path"),
        (&["-config.filter-label==x"], "expected NAME or NAME=VALUE"),
        (
            &["-log.level=loud"],
            "invalid value \"loud\" for -log.level: expected one of error, warn, info, debug, trace",
        ),
        (&["-log.format="], "for -log.format: expected one of logfmt, json"),
        (&["-config.external-id=x"], "-config.external-id requires a role in -config.role-arn"),
        (&["-healthcheck"], "-healthcheck requires -web.listen-address"),
        (&["-explain=yaml"], "invalid value \"yaml\" for -explain: expected true or false or json"),
        (&["-explain", "json"], "must be written as -explain=json"),
        (
            &["-config.meta-labels=most"],
            "invalid value \"most\" for -config.meta-labels: expected true or false or all",
        ),
        (&["-config.meta-labels="], "invalid value \"\" for -config.meta-labels: expected true or false or all"),
        (&["-config.meta-labels", "all"], "must be written as -config.meta-labels=all"),
        (&["-web.listen-address=10779"], "expected :PORT or HOST:PORT"),
        (&["-web.listen-address=::1:10779"], "expected :PORT or HOST:PORT"),
        (&["-web.listen-address=:99999"], "expected :PORT or HOST:PORT"),
        (&["-web.telemetry-path=metrics"], "expected an unused path such as /metrics"),
        (&["prod"], "unexpected argument \"prod\""),
    ] {
        let error = parsed(arguments).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].starts_with("ecs-discovery: ") && lines[0].contains(expected), "{arguments:?}: {error}");
        assert!(lines.len() == 2 && lines[1].starts_with("Usage: "), "{error}");
    }
}

#[test]
fn help_lists_every_flag_and_version_prints_the_version() {
    for asked in ["-h", "-help", "--help"] {
        let Ok(Parsed::Print(help)) = parsed(&[asked]) else { panic!("{asked}") };
        for flag in FLAGS {
            assert!(
                help.contains(&format!("  -{}=", flag.name)) && help.contains(flag.default),
                "{}: {help}",
                flag.name
            );
        }
    }
    assert_eq!(parsed(&["-version"]), Ok(Parsed::Print(format!("ecs-discovery {}\n", env!("CARGO_PKG_VERSION")))));
}

#[test]
fn the_path_decides_the_output() {
    assert_eq!(output("a/b.json"), Output::File { path: "a/b.json".into(), format: Format::Json });
    assert_eq!(output("/dev/stdout"), Output::Stdout);
    assert_eq!(output(""), Output::Nowhere);
}

#[test]
fn the_environment_sets_flags_that_the_command_line_does_not() {
    let variables = [
        ("ECS_DISCOVERY_CONFIG_CLUSTER", "prod"),
        ("ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", "15s"),
        ("ECS_DISCOVERY_CONFIG_DYNAMIC_PORT_DETECTION", "true"),
    ];
    let Ok(Parsed::Run(config)) = in_environment(&variables, &["-config.scrape-interval=30s"]) else { panic!() };
    assert_eq!(config.aws.clusters, selected(&["prod"]));
    assert_eq!(config.refresh.interval, Interval::Every(Duration::from_secs(30)), "the flag wins");
    assert_eq!(config.rules.ports, PortRule::OnlyPublished);
    let error = in_environment(&[("ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", "x")], &[]).unwrap_err();
    assert!(
        error.contains("invalid value \"x\" for ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL: expected a duration"),
        "{error}"
    );
}

#[test]
fn parses_other_commands() {
    for (arguments, format) in [
        (&["-explain"][..], ExplainFormat::Text),
        (&["-explain=true"], ExplainFormat::Text),
        (&["-explain=json", "-config.cluster=a"], ExplainFormat::Json),
    ] {
        assert!(matches!(parsed(arguments), Ok(Parsed::Explain(_, asked)) if asked == format), "{arguments:?}");
    }
    assert!(matches!(parsed(&["-explain=false"]), Ok(Parsed::Run(_))));
    let listen = ListenAddress { host: Some("::1".into()), port: 10779 };
    assert_eq!(parsed(&["-healthcheck", "-web.listen-address=[::1]:10779"]), Ok(Parsed::HealthCheck(listen)));
}
