"""The application task definitions give the expected targets, and prometheus.yml scrapes them."""

import json
import re

import yaml
from examples import ECS, document, filled_in
from worlds import ec2_app, fargate_app

TASK = "arn:aws:ecs:eu-west-1:123456789012:task/prod/t1"


def urls(file):
    """Returns job and URL of every target in the file."""
    return {
        (labels["job"], f"{labels.get('__scheme__', 'http')}://{target}{labels.get('__metrics_path__', '/metrics')}")
        for group in yaml.safe_load(file.read_text())
        for labels in [group["labels"]]
        for target in group["targets"]
    }


def test_fargate_app_gives_one_target_per_port_with_path_and_scheme(simaws, discover_once):
    assert urls(discover_once(simaws(fargate_app()).url, "-config.cluster=prod")) == {
        ("web", "http://10.0.1.17:9102/metrics"),
        ("api", "http://10.0.1.17:9404/metrics"),
        ("api", "http://10.0.1.17:9901/stats/prometheus"),
        ("checkout", "https://10.0.1.17:8443/actuator/prometheus"),
    }


def test_ec2_app_gives_its_dynamic_port_with_and_without_the_flag(simaws, discover_once):
    aws = simaws(ec2_app()).url
    for flags in ([], ["-config.dynamic-port-detection"]):
        file = discover_once(aws, "-config.cluster=prod", *flags)
        assert urls(file) == {("worker", "http://10.0.1.1:32768/metrics")}


def prometheus_yml(directory, sd_file, text=None):
    """Writes prometheus.yml with the example values, and with host paths instead of container paths."""
    text = text or filled_in(ECS / "prometheus.yml")
    token = directory / "remote-write-token"
    token.write_text("not-a-token")
    for path, here in (("/output/ecs_file_sd.yml", sd_file), ("/config/remote-write-token", token)):
        assert text.count(path) == 1
        text = text.replace(path, str(here))
    config = directory / "prometheus.yml"
    config.write_text(text)
    return config


def final_labels(promtool, config):
    # promtool waits for the whole timeout, although the file is read at once.
    found = json.loads(promtool("check", "service-discovery", "--timeout=5s", config, "ecs"))
    return [each["labels"] for each in found]


def test_prometheus_yml_is_valid_and_reads_the_file(promtool, simaws, discover_once, tmp_path):
    sd_file = discover_once(simaws(fargate_app()).url, "-config.cluster=prod")
    config = prometheus_yml(tmp_path, sd_file)
    assert "SUCCESS" in promtool("check", "config", "--agent", config)

    labels = final_labels(promtool, config)

    assert len(labels) == 4
    [web] = [each for each in labels if each["job"] == "web"]
    visible = {name: value for name, value in web.items() if not name.startswith("__")}
    assert visible == {
        "job": "web", "instance": "10.0.1.17:9102", "container_name": "one-port", "task_arn": TASK, "task_name": "app",
        "task_revision": "1", "task_group": "service:app", "docker_image": "example/app:1.0",
        "cluster_arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "container_arn": web["container_arn"],
    }


def test_commented_options_are_valid_and_keep_targets_distinct(promtool, simaws, discover_once, tmp_path):
    """Removes the comment marks, as a user would."""
    text = filled_in(ECS / "prometheus.yml")
    relabelling = r"    # relabel_configs:\n    #   - action: labeldrop\n    #     regex: .*\n"
    receiver = r"  # - url: http://.*:19291/api/v1/receive\n"
    text, found = re.subn(f"{relabelling}|{receiver}", lambda match: re.sub("(?m)^( +)# ", r"\1", match[0]), text)
    assert found == 2
    sd_file = discover_once(simaws(fargate_app()).url, "-config.cluster=prod")
    config = prometheus_yml(tmp_path, sd_file, text)
    assert "SUCCESS" in promtool("check", "config", config)

    labels = final_labels(promtool, config)

    assert len({(each["job"], each["instance"]) for each in labels}) == 4
    for changing in ("task_arn", "container_arn", "task_revision", "docker_image"):
        assert not any(changing in each for each in labels)
    assert {each["container_name"] for each in labels} == {"one-port", "several-ports", "path-and-scheme"}


def test_remote_write_uses_the_vendors_url_and_the_token_file():
    [remote] = yaml.safe_load(filled_in(ECS / "prometheus.yml"))["remote_write"]
    assert remote["url"] == "https://example.apica.io/v1/receive/prometheus"
    assert remote["authorization"] == {"type": "Bearer", "credentials_file": "/config/remote-write-token"}


def test_task_definition_and_prometheus_yml_agree():
    scrapes = {job["job_name"]: job for job in yaml.safe_load(filled_in(ECS / "prometheus.yml"))["scrape_configs"]}
    task = {each["name"]: each for each in document(ECS / "task-definition.json")["containerDefinitions"]}
    environment = {each["name"]: each["value"] for each in task["ecs-discovery"]["environment"]}
    targets = [environment["ECS_DISCOVERY_WEB_LISTEN_ADDRESS"]]
    assert scrapes["ecs-discovery"]["static_configs"] == [{"targets": targets}]
    [file] = scrapes["ecs"]["file_sd_configs"][0]["files"]
    assert f"-config.write-to={file}" in task["ecs-discovery"]["command"]
    assert ">/config/remote-write-token" in task["config"]["command"][0]
    assert "--config.file=/config/prometheus.yml" in task["prometheus"]["command"]
