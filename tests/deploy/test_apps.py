"""What the real program makes of the application's task definitions, and what prometheus.yml makes of that."""

import json
import re

import yaml
from examples import ECS, document, filled_in

TASK = "arn:aws:ecs:eu-west-1:123456789012:task/prod/t1"


def world(app, task, **more):
    """An AWS in which the application runs once."""
    definition = document(ECS / f"{app}.json")
    running = {"id": "t1", "taskDefinition": "app:1", "group": "service:app", **task}
    return {
        "region": "eu-west-1",
        "clusters": [{"name": "prod", "tasks": [running], **more.pop("cluster", {})}],
        "taskDefinitions": [{
            "family": "app", "revision": 1, "networkMode": definition["networkMode"],
            "containerDefinitions": definition["containerDefinitions"],
        }],
        **more,
    }


def fargate_app():
    names = [container["name"] for container in document(ECS / "app-task-definition.json")["containerDefinitions"]]
    interfaces = [{"privateIpv4Address": "10.0.1.17"}]
    return world("app-task-definition", {"containers": [{"name": it, "networkInterfaces": interfaces} for it in names]})


def ec2_app():
    bindings = [{"bindIP": "0.0.0.0", "containerPort": 9102, "hostPort": 32768, "protocol": "tcp"}]
    task = {
        "launchType": "EC2", "containerInstance": "ci1",
        "containers": [{"name": "dynamic-port", "networkBindings": bindings}],
    }
    instances = [{"instanceId": "i-0a", "privateIpAddress": "10.0.1.1"}]
    registered = {"containerInstances": [{"id": "ci1", "ec2InstanceId": "i-0a"}]}
    return world("app-task-definition-ec2", task, cluster=registered, instances=instances)


def urls(file):
    """Job and URL of every target in a file."""
    return {
        (it["labels"]["job"], f"{it['labels'].get('__scheme__', 'http')}://{target}"
                              f"{it['labels'].get('__metrics_path__', '/metrics')}")
        for it in yaml.safe_load(file.read_text()) for target in it["targets"]
    }


def test_one_port_several_ports_path_and_scheme(simaws, discover_once):
    assert urls(discover_once(simaws(fargate_app()).url, "-config.cluster=prod")) == {
        ("web", "http://10.0.1.17:9102/metrics"),
        ("api", "http://10.0.1.17:9404/metrics"),
        ("api", "http://10.0.1.17:9901/stats/prometheus"),
        ("checkout", "https://10.0.1.17:8443/actuator/prometheus"),
    }


def test_a_dynamic_port_with_the_flag_and_without(simaws, discover_once):
    aws = simaws(ec2_app()).url
    for flags in ([], ["-config.dynamic-port-detection"]):
        file = discover_once(aws, "-config.cluster=prod", *flags)
        assert urls(file) == {("worker", "http://10.0.1.1:32768/metrics")}


def prometheus_yml(directory, sd_file, text=None):
    """prometheus.yml with the example values, and paths of this machine instead of those in the containers."""
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
    # It listens for all of this time, although a file is read at once.
    found = json.loads(promtool("check", "service-discovery", "--timeout=5s", config, "ecs"))
    return [each["labels"] for each in found]


def test_prometheus_yml_is_valid_and_reads_what_the_sidecar_writes(promtool, simaws, discover_once, tmp_path):
    sd_file = discover_once(simaws(fargate_app()).url, "-config.cluster=prod")
    config = prometheus_yml(tmp_path, sd_file)
    assert "SUCCESS" in promtool("check", "config", config)

    labels = final_labels(promtool, config)

    assert len(labels) == 4
    [web] = [it for it in labels if it["job"] == "web"]
    shown = {name: value for name, value in web.items() if not name.startswith("__")}
    assert shown == {
        "job": "web", "instance": "10.0.1.17:9102", "container_name": "one-port", "task_arn": TASK, "task_name": "app",
        "task_revision": "1", "task_group": "service:app", "docker_image": "example/app:1.0",
        "cluster_arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "container_arn": web["container_arn"],
    }


def test_the_commented_options_are_valid_and_keep_the_targets_apart(promtool, simaws, discover_once, tmp_path):
    """As a person does it: the marks of the comment are taken away."""
    text = filled_in(ECS / "prometheus.yml")
    relabelling = r"    # relabel_configs:\n    #   - action: labeldrop\n    #     regex: .*\n"
    receiver = r"  # - url: http://.*:19291/api/v1/receive\n"
    text, found = re.subn(f"{relabelling}|{receiver}", lambda match: re.sub("(?m)^( +)# ", r"\1", match[0]), text)
    assert found == 2
    sd_file = discover_once(simaws(fargate_app()).url, "-config.cluster=prod")
    config = prometheus_yml(tmp_path, sd_file, text)
    assert "SUCCESS" in promtool("check", "config", config)

    labels = final_labels(promtool, config)

    assert len({(it["job"], it["instance"]) for it in labels}) == 4
    for changing in ("task_arn", "container_arn", "task_revision", "docker_image"):
        assert not any(changing in it for it in labels)
    assert {it["container_name"] for it in labels} == {"one-port", "several-ports", "path-and-scheme"}


def test_remote_write_is_the_vendors_with_the_token_from_a_file():
    [remote] = yaml.safe_load(filled_in(ECS / "prometheus.yml"))["remote_write"]
    assert remote["url"] == "https://example.apica.io/v1/receive/prometheus"
    assert remote["authorization"] == {"type": "Bearer", "credentials_file": "/config/remote-write-token"}


def test_the_task_and_prometheus_yml_agree():
    scrapes = {job["job_name"]: job for job in yaml.safe_load(filled_in(ECS / "prometheus.yml"))["scrape_configs"]}
    task = {it["name"]: it for it in document(ECS / "task-definition.json")["containerDefinitions"]}
    [listens] = [it["value"] for it in task["ecs-discovery"]["environment"]]
    assert scrapes["ecs-discovery"]["static_configs"] == [{"targets": [listens]}]
    [file] = scrapes["ecs"]["file_sd_configs"][0]["files"]
    assert f"-config.write-to={file}" in task["ecs-discovery"]["command"]
    assert ">/config/remote-write-token" in task["config"]["command"][0]
    assert "--config.file=/config/prometheus.yml" in task["prometheus"]["command"]
