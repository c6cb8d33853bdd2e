"""How soon a task that runs is scraped: found by a refresh, by the watch of pending tasks, or by an event.

The events go through a rule of moto's EventBridge into a queue of its SQS. moto sends none itself, so the test puts them.
"""

import time

import pytest
from parts.account import docker_labels
from parts.discovery import ON_LOOPBACK
from parts.pending import PendingTasks
from parts.sd_file import parse
from parts.wait import until

# Refreshes after the first one find nothing within the time of a test.
NO_MORE_REFRESHES = "-config.scrape-interval=1h"


@pytest.fixture
def tasks(moto):
    proxy = PendingTasks(moto.endpoint)
    yield proxy
    proxy.stop()


class Fleet:
    """A cluster whose tasks start pending, and Prometheus, which scrapes those that are in the file."""

    def __init__(self, account, tasks, exporter, vpc_proxy, server, sd_file):
        self.account, self.tasks, self.exporter, self.vpc_proxy = account, tasks, exporter, vpc_proxy
        self.server, self.sd_file = server, sd_file
        self.cluster = account.cluster("prod")

    def start_task(self, name):
        """Returns the task, which is pending, and its target to be."""
        # Nobody may see it run before.
        task = self.account.fargate_task(self.cluster, name, docker_labels(9102))
        target = f"{self.account.address(self.cluster, task)}:9102"
        self.vpc_proxy.exporters[target] = self.exporter(name)
        self.tasks.pending.add(task)
        return task, target

    def file(self):
        """Returns the targets in the file."""
        groups = parse(self.sd_file.read_bytes(), ".yml") if self.sd_file.exists() else []
        return {target for group in groups for target in group["targets"]}

    def times_to_scrape(self, target, running):
        """Returns how many seconds after it began to run the task was in the file, and was up."""
        until("it is in the file", lambda: target in self.file())
        in_file = time.monotonic()
        until("it is up", lambda: target in {series["instance"] for series in self.server.query("up == 1")})
        return in_file - running, time.monotonic() - running


@pytest.fixture
def fleet(account, tasks, exporter, vpc_proxy, prometheus, sd_file):
    return Fleet(account, tasks, exporter, vpc_proxy, prometheus(proxy=vpc_proxy.url), sd_file)


@pytest.fixture
def report(capsys, prometheus_program):
    def line(path, times):
        in_file, up = times
        with capsys.disabled():
            print(f"\n{path}, Prometheus {prometheus_program.version}:", end=" ")
            print(f"in the file {in_file:.1f} s after RUNNING, up {up:.1f} s")

    return line


def test_refresh_finds_a_task(fleet, discover, report):
    task, target = fleet.start_task("web")
    program = discover(
        "-config.cluster=prod", "-config.watch=false", "-config.scrape-interval=2s", endpoint=fleet.tasks.url
    )
    until("the first refresh", lambda: fleet.sd_file.exists())
    assert fleet.file() == set()
    running = time.monotonic()
    fleet.tasks.pending.remove(task)
    report("refresh every 2 s", fleet.times_to_scrape(target, running))
    assert program.is_running()


def test_watch_finds_a_pending_task(fleet, discover, report):
    task, target = fleet.start_task("web")
    program = discover("-config.cluster=prod", NO_MORE_REFRESHES, ON_LOOPBACK, endpoint=fleet.tasks.url)
    until("the first refresh", lambda: fleet.sd_file.exists())
    assert fleet.file() == set()
    running = time.monotonic()
    fleet.tasks.pending.remove(task)
    report("watch", fleet.times_to_scrape(target, running))
    assert 'ecs_discovery_updates_total{cause="watch"} 1' in program.get("/metrics")[2]


def test_event_finds_a_task_and_removes_it(fleet, account, discover, report):
    queue = account.queue_of_task_events("ecs-discovery")
    program = discover(
        "-config.cluster=prod", "-config.watch=false", NO_MORE_REFRESHES, f"-config.events-queue={queue}", ON_LOOPBACK,
        endpoint=fleet.tasks.url,
    )
    until("the first refresh", lambda: fleet.sd_file.exists())
    # Of a cluster that is not scanned.
    other = account.cluster("other")
    account.put_task_event(other, account.fargate_task(other, "other", docker_labels(9102)), 1, "RUNNING")

    task, target = fleet.start_task("web")
    for status in ("PROVISIONING", "PENDING", "ACTIVATING"):
        account.put_task_event(fleet.cluster, task, 1, status)
    until("the queue is empty", lambda: account.messages(queue) == 0)
    assert fleet.file() == set()
    running = time.monotonic()
    fleet.tasks.pending.remove(task)
    account.put_task_event(fleet.cluster, task, 1, "RUNNING")
    report("event", fleet.times_to_scrape(target, running))

    account.stop(fleet.cluster, task)
    account.put_task_event(fleet.cluster, task, 2, "DEACTIVATING", desired="STOPPED")
    until("it is no target any more", lambda: fleet.file() == set())
    until("the queue is empty", lambda: account.messages(queue) == 0)
    metrics = program.get("/metrics")[2]
    for line in (
        'ecs_discovery_events_total{result="accepted"} 2',
        'ecs_discovery_events_total{result="nothing_new"} 3',
        'ecs_discovery_events_total{result="other_cluster"} 1',
        f'ecs_discovery_events_queue_up{{queue="{queue}"}} 1',
    ):
        assert line in metrics, metrics
