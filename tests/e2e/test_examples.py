"""The files under examples/: promtool accepts them, and they work as described."""

import shutil
import subprocess
from pathlib import Path

import pytest
from parts.account import docker_labels
from parts.discovery import ON_LOOPBACK
from parts.prometheus import from_file
from parts.wait import until

EXAMPLES = Path(__file__).parents[2] / "examples"
TAGS = [{"key": "team", "value": "shop"}, {"key": "cost-centre", "value": "a b"}]


@pytest.fixture
def promtool(prometheus_program):
    def run(*arguments, **how):
        argv = [prometheus_program.promtool, *arguments]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, **how)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


@pytest.fixture
def fleet(account, exporter):
    """Two clusters, each with a host mode task with docker labels and tags: cluster to target."""
    targets = {}
    for cluster, address in (("prod", "127.0.0.41"), ("staging", "127.0.0.42")):
        arn = account.cluster(cluster)
        account.ec2_host(arn, address)
        server = exporter(cluster, address=address)
        labels = docker_labels(server.port, job="shop") | {"stage": cluster, "com.example/owner": "Ann \"A\""}
        account.host_mode_task(arn, f"{cluster}-web", labels, tags=TAGS)
        targets[cluster] = server.target
    return targets


def test_alerts_are_valid_and_pass_their_unit_tests(promtool):
    assert "SUCCESS" in promtool("check", "rules", EXAMPLES / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml", cwd=EXAMPLES)


def test_every_alert_has_a_firing_and_a_silent_case():
    def alerts(line):
        text = (EXAMPLES / "alerts_test.yml").read_text()
        checks = text.split(" - eval_time:")[1:]
        return {check.split("alertname: ")[1].split()[0] for check in checks if line in check}

    defined = {line.split()[-1] for line in (EXAMPLES / "alerts.yml").read_text().splitlines() if "- alert:" in line}
    assert alerts("exp_alerts: []") == alerts("exp_labels:") == defined


def test_meta_labels_can_be_relabelled_and_are_not_in_series(fleet, discover_once, sd_file, prometheus):
    assert discover_once("-config.cluster=prod", "-config.meta-labels").code == 0
    relabel = [
        {"action": "labelmap", "regex": "__meta_ecs_container_label_(.+)"},
        {"action": "labelmap", "regex": "__meta_ecs_tag_task_(.+)", "replacement": "tag_$1"},
        {"source_labels": ["__meta_ecs_network_mode", "__meta_ecs_launch_type"], "target_label": "how"},
    ]

    server = prometheus(jobs=[from_file(sd_file, relabel_configs=relabel)])
    server.wait_until_up(fleet["prod"])

    [series] = server.query('exporter_info{name="prod"}')
    expected = {
        "stage": "prod", "com_example_owner": 'Ann "A"', "PROMETHEUS_EXPORTER_JOB_NAME": "shop",
        "tag_team": "shop", "tag_cost_centre": "a b", "how": "host;EC2", "job": "shop",
    }
    assert {name: series.get(name) for name in expected} == expected
    assert [name for name in series if name.startswith("__meta")] == []
    [discovered] = server.discovered()
    assert discovered["__meta_ecs_cluster"] == "prod" and discovered["__meta_ecs_region"] == "eu-west-1"
    assert discovered["__meta_ecs_ip_address"] == "127.0.0.41"


def test_no_meta_labels_by_default(fleet, discover_once, sd_file):
    assert discover_once("-config.cluster=prod").code == 0
    assert "__meta" not in sd_file.read_text()


def test_relabelling_example_works_with_real_addresses(fleet, discover, sd_file, promtool, prometheus):
    discover("-config.cluster=prod", "-config.meta-labels")
    remote = discover(ON_LOOPBACK, "-config.cluster=staging", "-config.meta-labels", "-config.write-to=")
    until("the file exists", sd_file.exists)
    address = remote.web().removeprefix("http://")
    text = (EXAMPLES / "relabel.yml").read_text()
    assert text.count("ecs-discovery.internal:10779") == 2
    config = sd_file.with_name("prometheus.yml")  # paths in it are relative to its directory
    config.write_text(text.replace("ecs-discovery.internal:10779", address))
    shutil.copy(EXAMPLES / "alerts.yml", config.parent)
    promtool("check", "config", config)

    server = prometheus(config=config)

    until("the fleet is scraped", lambda: len(server.query("exporter_info")) == 2, within=120)
    until("ecs-discovery is scraped", lambda: server.query('up{job="ecs-discovery"} == 1'), within=120)
    for series in server.query("exporter_info"):
        cluster = series["name"]
        assert series == {
            "__name__": "exporter_info", "name": cluster, "instance": fleet[cluster], "job": "shop",
            "cluster": cluster, "cluster_arn": f"arn:aws:ecs:eu-west-1:123456789012:cluster/{cluster}",
            "stage": cluster, "com_example_owner": 'Ann "A"', "tag_team": "shop", "tag_cost_centre": "a b",
            "container_name": f"{cluster}-web-container", "task_group": f"family:{cluster}-web",
            "task_name": f"{cluster}-web",
        }
    assert server.query("ecs_discovery_targets") != []
