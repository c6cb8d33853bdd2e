"""Fargate tasks: the target has the task's own address, and the labels match AWS's responses."""

from parts.account import docker_labels
from parts.sd_file import read, sorted_groups


def test_fargate_task_is_scraped_at_its_own_address(account, discover_once, sd_file, exporter, vpc_proxy, prometheus):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102, job="shop", path="/stats", scheme="http"))
    address = account.address(cluster, task)
    vpc_proxy.exporters[f"{address}:9102"] = exporter("web", path="/stats")

    assert discover_once("-config.cluster=prod").code == 0

    assert read(sd_file) == [account.target_group(cluster, task, f"{address}:9102")]
    server = prometheus(proxy=vpc_proxy.url)
    server.wait_until_up(f"{address}:9102")
    [series] = server.query('exporter_info{name="web"}')
    assert (series["job"], series["task_arn"]) == ("shop", task)


def test_file_contains_exactly_the_labelled_running_tasks(account, discover_once, sd_file):
    cluster = account.cluster("prod")
    bare = account.fargate_task(cluster, "bare", docker_labels(9102))
    empty = account.fargate_task(cluster, "empty", docker_labels(9103, job="", path="", scheme=""))
    twins = [account.fargate_task(cluster, "twin", docker_labels(9104, job="twin")) for _ in range(2)]
    account.fargate_task(cluster, "unlabelled", {"team": "a"})
    account.stop(cluster, account.fargate_task(cluster, "stopped", docker_labels(9105)))

    assert discover_once("-config.cluster=prod").code == 0

    expected = [
        account.target_group(cluster, task, f"{account.address(cluster, task)}:{port}")
        for task, port in [(bare, 9102), (empty, 9103), (twins[0], 9104), (twins[1], 9104)]
    ]
    for group in expected:  # an empty docker label sets no label
        group["labels"] = {name: text for name, text in group["labels"].items() if text}
    assert sorted_groups(read(sd_file)) == sorted_groups(expected)


def test_empty_cluster_gives_an_empty_list(account, discover_once, sd_file):
    account.cluster("prod")
    assert discover_once("-config.cluster=prod").code == 0
    assert sd_file.read_bytes() == b"[]\n"
