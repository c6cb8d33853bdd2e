"""Fargate: the task's own address is the target, and every label is what AWS says."""

from parts.account import docker_labels
from parts.sd_file import in_order, read


def test_a_fargate_task_is_scraped_at_its_own_address(account, discover_once, sd_file, exporter, road, prometheus):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102, job="shop", path="/stats", scheme="http"))
    address = account.address(cluster, task)
    road.leads_to[f"{address}:9102"] = exporter("web", path="/stats")

    assert discover_once("-config.cluster=prod").code == 0

    assert read(sd_file) == [account.target_group(cluster, task, f"{address}:9102")]
    server = prometheus(proxy=road.url)
    server.sees_up(f"{address}:9102")
    [series] = server.query('exporter_says{word="web"}')
    assert (series["job"], series["task_arn"]) == ("shop", task)


def test_every_task_of_the_cluster_and_nothing_else_is_in_the_file(account, discover_once, sd_file):
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
    for group in expected:  # a docker label without text counts as none
        group["labels"] = {name: text for name, text in group["labels"].items() if text}
    assert in_order(read(sd_file)) == in_order(expected)


def test_without_any_task_the_file_is_an_empty_list(account, discover_once, sd_file):
    account.cluster("prod")
    assert discover_once("-config.cluster=prod").code == 0
    assert sd_file.read_bytes() == b"[]\n"
