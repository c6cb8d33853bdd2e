"""The file changes under a running Prometheus."""

from parts.account import docker_labels
from parts.sd_file import Reader, parse, read
from parts.wait import until


def test_prometheus_follows_a_deployment_and_every_reader_sees_whole_files(
    account, discover, sd_file, exporter, road, prometheus
):
    cluster = account.cluster("prod")

    def deploy(word):
        task = account.fargate_task(cluster, "web", docker_labels(9102, job=word))
        target = f"{account.address(cluster, task)}:9102"
        road.leads_to[target] = exporter(word)
        return task, target

    old_task, old_target = deploy("old")
    server = prometheus(proxy=road.url)
    discover("-config.cluster=prod", "-config.scrape-interval=200ms")
    server.sees_up(old_target)
    reader = Reader(sd_file)

    new_task, new_target = deploy("new")
    server.sees_up(old_target, new_target)
    account.stop(cluster, old_task)
    server.sees_up(new_target)

    contents = [parse(data, ".yml") for data in reader.stop()]
    assert [[group["targets"] for group in groups] for groups in contents][-1] == [[new_target]]
    assert len(contents) == 3, "old, both, new: no other content was ever there"
    assert read(sd_file) == [account.target_group(cluster, new_task, new_target)]


def test_an_emptied_cluster_empties_prometheus(account, discover, sd_file, exporter, road, prometheus):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    target = f"{account.address(cluster, task)}:9102"
    road.leads_to[target] = exporter("web")
    server = prometheus(proxy=road.url)
    discover("-config.cluster=prod", "-config.scrape-interval=200ms")
    server.sees_up(target)

    account.stop(cluster, task)

    until("the file is an empty list", lambda: sd_file.read_bytes() == b"[]\n")
    until("Prometheus scrapes nothing", lambda: server.health() == {})
