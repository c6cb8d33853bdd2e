"""examples/ecs from end to end: from an application on ECS, through the task that is deployed, to a remote receiver.

Commands, environments and the order of starting are the task definition's; prometheus.yml is the example's with only
words and addresses replaced, its intervals included. All Prometheus versions run side by side: what takes time here is
waiting for scrapes.
"""

import stat
from collections import namedtuple
from pathlib import Path

import pytest
from parts.account import Account, docker_labels
from parts.prometheus import installed
from parts.stack import TOKEN, VALUES, Ground, policy
from parts.task import NotStarted
from parts.wait import until

PROGRAMS = installed()
NEWEST = PROGRAMS[-1]


# A task, the exporter it stands for, and the labels its series should have where they arrive.
Running = namedtuple("Running", "task exporter series")


class Application:
    """Tasks to be scraped: on Fargate with a job of their own, and on an EC2 instance without."""

    def __init__(self, account, exporter):
        self._account, self._exporter = account, exporter
        self._cluster = account.cluster(VALUES["CLUSTER_NAME"])
        account.ec2_host(self._cluster, "127.0.0.41")

    def web(self, word):
        exporter = self._exporter(word)
        labels = docker_labels(exporter.port, job="shop", server_name="127.0.0.1")
        return self._running(self._account.fargate_task(self._cluster, "web", labels), exporter, word)

    def node(self):
        exporter = self._exporter("node", address="127.0.0.41")
        task = self._account.host_mode_task(self._cluster, "node", docker_labels(exporter.port))
        return self._running(task, exporter, "node")

    def stop(self, running):
        self._account.stop(self._cluster, running.task)
        running.exporter.stop()

    def _running(self, task, exporter, word):
        said = self._account.target_group(self._cluster, task, exporter.target)["labels"]
        return Running(task, exporter, {
            "__name__": "exporter_says", "word": word, "instance": exporter.target, "job": "ecs",
            "cluster": VALUES["CLUSTER_NAME"], "region": VALUES["REGION"], **said,
        })


@pytest.fixture
def owner(moto, account):
    """Who may do everything, once moto checks permissions."""
    return Account(moto.endpoint, account.user_who_may("*", name="owner"))


@pytest.fixture
def application(owner, exporter):
    return Application(owner, exporter)


@pytest.fixture
def ground(owner, moto):
    """What the task needs; from now on moto checks permissions."""
    ground = Ground(owner)
    moto.check_permissions()
    yield ground
    ground.stop()


def test_metrics_arrive_with_their_labels_and_follow_a_deployment(application, ground, stack):
    node, old = application.node(), application.web("old")
    stacks = [stack(ground, program) for program in PROGRAMS]
    for each in stacks:
        each.upload_and_start()
    for each in stacks:
        _arrives(each, node, old)

    new = application.web("new")
    application.stop(old)

    assert new.series["task_revision"] == "2"
    for each in stacks:
        _arrives(each, node, new)
        assert each.gate.passed > 0 and each.gate.refused == 0


def test_a_wrong_token_sends_nothing_and_the_sender_counts_it(application, ground, stack):
    application.web("web")
    stacks = [stack(ground, program, token="another") for program in PROGRAMS]
    senders = [each.upload_and_start() for each in stacks]

    for each, sender in zip(stacks, senders):
        until("it counts failures", lambda: sender.counts("prometheus_remote_storage_samples_failed_total"))
        assert each.gate.refused > 0 and each.gate.passed == 0
        assert each.receiver.query('{__name__=~".+"}') == []


def test_the_init_container_leaves_the_config_and_the_token(ground, stack):
    deployed = stack(ground, NEWEST)

    deployed.upload_and_start()

    config, token = (
        Path(deployed.task.seen_by("config", path)) for path in ("/config/prometheus.yml", "/config/remote-write-token")
    )
    assert config.read_text() == deployed.config
    assert token.read_text() == TOKEN
    assert [stat.filemode(file.stat().st_mode) for file in (config, token)] == ["-r--r--r--"] * 2
    assert deployed.task.running["config"].said() == ""


def test_without_its_config_prometheus_is_not_started(ground, stack):
    missing = stack(ground, NEWEST)
    with pytest.raises(NotStarted, match="config"):
        missing.task.start("prometheus")

    ground.deny("s3:GetObject")
    denied = stack(ground, NEWEST)
    with pytest.raises(NotStarted, match="config"):
        denied.upload_and_start()

    for deployed, status in (missing, "404"), (denied, "403"):
        assert status in deployed.task.running["config"].said()
        assert "prometheus" not in deployed.task.running


def test_discovery_needs_every_action_of_its_policy(application, ground, stack):
    application.node()
    actions = [action for statement in policy("discovery-one-cluster")["Statement"] for action in statement["Action"]]

    for action in actions:
        ground.deny(action)
        sidecar = stack(ground, NEWEST).task.start("ecs-discovery")
        sidecar.announces(rf"{action.split(':')[1]} failed.*(403|AccessDenied)")


def _arrives(stack, *running):
    """Waits until the receiver has what these tasks and the stack itself say now, and nothing else."""
    query = stack.receiver.query
    expected = [each.series for each in running]

    def all_of_it():
        assert _in_order(query("exporter_says == 1")) == _in_order(expected)
        assert _in_order(query('up{task_arn!=""} == 1')) == _in_order(map(_up, expected))
        assert {series["job"] for series in query("up == 1")} == {"shop", "ecs", "ecs-discovery", "prometheus"}
        assert query("up != 1") == []
        assert query(f"ecs_discovery_targets == {len(expected)}") != []
        return True

    # A refresh each minute, a scrape each 30 s, and Prometheus ends an old series two scrapes after that.
    until("what runs is received, and nothing else", all_of_it, within=240)


def _up(series):
    return {name: text for name, text in series.items() if name != "word"} | {"__name__": "up"}


def _in_order(series):
    return sorted(series, key=lambda each: each["instance"])
