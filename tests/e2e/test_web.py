"""The web endpoints, tested with Prometheus, promtool and a browser."""

import json
import re
import subprocess

import pytest
from parts.account import Account, docker_labels
from parts.discovery import ON_LOOPBACK
from parts.prometheus import over_http
from parts.sd_file import read
from parts.wait import until

SHORT_INTERVAL = "-config.scrape-interval=500ms"
ONLY_HTTP = "-config.write-to="


@pytest.fixture
def prod(account):
    return account.cluster("prod")


@pytest.fixture
def serving(discover):
    """serving("-config.…") starts the program and waits until it serves targets."""
    def start(*flags, **how):
        program = discover(ON_LOOPBACK, *flags, **how)
        until("targets are served", lambda: program.get("/targets")[0] == 200)
        return program

    return start


def test_promtool_accepts_the_metrics(account, prod, serving, prometheus_program):
    account.fargate_task(prod, "web", docker_labels(9102))
    # With an unknown cluster, so that a failure is counted too.
    program = serving("-config.cluster=prod,nowhere")
    metrics = until("one refresh is counted", lambda: _counted(program))

    check = subprocess.run(
        [prometheus_program.promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=60
    )

    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
    assert re.search(r'^ecs_discovery_targets\{account_id="\d+",region="[a-z0-9-]+",cluster="prod"\} 1$', metrics, re.M)
    assert 'operation="ListTasks",code="ClusterNotFoundException"} 1' in metrics


def _counted(program):
    status, content_type, metrics = program.get("/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "ecs_discovery_refreshes_total 1" in metrics
    return metrics


def test_prometheus_scrapes_the_metrics_as_openmetrics(account, prod, serving, prometheus):
    account.fargate_task(prod, "web", docker_labels(9102))
    program = serving("-config.cluster=prod")
    address = program.web().removeprefix("http://")

    server = prometheus(jobs=[{"job_name": "ecs-discovery", "static_configs": [{"targets": [address]}]}])

    server.wait_until_up(address)
    assert server.query("ecs_discovery_targets == 1") == [
        {"__name__": "ecs_discovery_targets", "cluster": "prod", "instance": address, "job": "ecs-discovery"}
    ]
    assert server.query("ecs_discovery_refreshes_total == 1")
    assert server.query('ecs_discovery_refresh_duration_seconds_bucket{le="+Inf"} == 1')
    types = server.metric_types()
    # Only OpenMetrics omits the suffix _total here.
    assert types["ecs_discovery_refreshes"] == "counter"
    assert types["ecs_discovery_refresh_duration_seconds"] == "histogram"


def test_prometheus_keeps_http_targets_after_the_program_stops(account, prod, serving, exporter, vpc_proxy, prometheus, sd_file):
    target = _fargate_target(account, prod, exporter, vpc_proxy)
    program = serving("-config.cluster=prod", ONLY_HTTP)
    status, content_type, body = program.get("/targets")
    assert (status, content_type) == (200, "application/json")
    assert [group["targets"] for group in json.loads(body)] == [[target]]
    server = prometheus(jobs=[over_http(program.web("/targets"), proxy_url=vpc_proxy.url)])
    server.wait_until_up(target)
    before = server.sd_failures()

    assert program.sigterm()[0] == 0

    until("Prometheus has failed to refresh", lambda: server.sd_failures() >= before + 2)
    server.wait_until_up(target)
    assert not sd_file.exists()
    assert 'message="targets changed" targets=1 added=1 removed=0' in program.log()


def test_prometheus_keeps_http_targets_during_an_outage_and_a_restart(
    own_moto, discover, serving, exporter, vpc_proxy, prometheus
):
    account = Account(own_moto.endpoint)
    target = _fargate_target(account, account.cluster("prod"), exporter, vpc_proxy)
    flags = ["-config.cluster=prod", ONLY_HTTP, SHORT_INTERVAL]
    program = serving(*flags, endpoint=own_moto.endpoint)
    address = program.web().removeprefix("http://")
    server = prometheus(jobs=[over_http(program.web("/targets"), proxy_url=vpc_proxy.url)])
    server.wait_until_up(target)
    before = server.sd_failures()

    own_moto.stop()
    until("a refresh has failed", lambda: "ListTasks failed: keeping 1 targets" in program.log())
    assert [group["targets"] for group in json.loads(program.get("/targets")[2])] == [[target]]
    assert server.sd_failures() == before
    assert program.get("/-/healthy")[0] == 200, "an unhealthy container would make ECS replace the task"

    assert program.sigterm()[0] == 0
    restarted = discover(*flags, f"-web.listen-address={address}", endpoint=own_moto.endpoint)
    assert restarted.get("/targets")[0] == 503, "targets are unknown, so an empty list would be wrong"
    assert restarted.get("/-/ready")[0] == 503
    until("Prometheus has failed to refresh", lambda: server.sd_failures() >= before + 2)
    server.wait_until_up(target)


def test_served_targets_equal_the_file(account, prod, serving, sd_file):
    for family in ("web", "api"):
        account.fargate_task(prod, family, docker_labels(9102, job=family, path="/x?y=z"))
    account.fargate_task(account.cluster("other"), "far", docker_labels(9102))

    program = serving()

    assert json.loads(program.get("/targets")[2]) == read(sd_file)
    of_prod = [group for group in read(sd_file) if group["labels"]["cluster_arn"] == prod]
    assert len(of_prod) == 2
    assert json.loads(program.get("/targets?cluster=prod")[2]) == of_prod
    assert json.loads(program.get("/targets?cluster=pr*&region=eu-west-1")[2]) == of_prod
    of_api = [group for group in of_prod if group["labels"]["task_name"] == "api"]
    assert json.loads(program.get("/targets?cluster=prod&family=api")[2]) == of_api and len(of_api) == 1
    assert [program.get(f"/targets?{query}")[0] for query in ("cluster=prd", "family=apo", "service=api")] == [404] * 3


def test_status_page_in_a_browser(account, prod, serving, browser):
    hostile = "<script>document.title='taken'</script>"
    task = account.fargate_task(prod, "web", docker_labels(9102, job=hostile))
    account.fargate_task(prod, "worker", docker_labels("metrics"))
    account.fargate_task(prod, "bare", {})
    program = serving("-config.cluster=prod", "-config.role-arn=", "-config.scrape-interval=61s")

    page = browser.open(program.web("/"))

    assert page.console == [], "a script error, or a violation of the content security policy"
    assert "<title>ecs-discovery</title>" in page.html and "<script" not in page.html
    assert {"/metrics", "/targets", "/-/healthy", "/-/ready"} <= set(page.links)
    assert "1 target" in page.html and "the last refresh succeeded" in page.html
    refresh, misconfigured, *groups, flags = page.tables
    assert (dict(refresh)["cluster"], dict(refresh)["misconfigured"]) == ("prod: read", "1")
    rows = {row[2]: row for group in groups for row in group[1:]}
    assert rows["web-container"] == [
        "prod", "family:web", "web-container", "target",
        f"{account.address(prod, task)}:9102 job={hostile}", f"web:1 {task.rsplit('/')[-1]}",
    ]
    assert rows["worker-container"][3:5] == [
        "misconfigured",
        'invalid port "metrics": use PORT[/PATH] or a comma-separated list of these, with ports from 1 to 65535',
    ]
    assert rows["bare-container"][3] == "skipped"
    assert len(rows) == len(groups) == 3, "a table for each group"
    assert misconfigured[1:] == [rows["worker-container"]]
    flags = dict(flags)
    assert flags["-config.cluster"] == "prod" and flags["-web.listen-address"] == "127.0.0.1:0"
    assert flags["-config.scrape-interval"] == "61s"


def _fargate_target(account, cluster, exporter, vpc_proxy):
    """Returns the target of a Fargate task that Prometheus can scrape through the proxy."""
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    target = f"{account.address(cluster, task)}:9102"
    vpc_proxy.exporters[target] = exporter("web")
    return target
