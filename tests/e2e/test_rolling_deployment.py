"""The file changes while Prometheus runs."""

from parts.account import docker_labels
from parts.sd_file import Reader, parse, read
from parts.wait import until


def test_prometheus_follows_a_deployment_and_readers_see_complete_files(
    account, discover, sd_file, exporter, vpc_proxy, prometheus
):
    cluster = account.cluster("prod")

    def deploy(name):
        task = account.fargate_task(cluster, "web", docker_labels(9102, job=name))
        target = f"{account.address(cluster, task)}:9102"
        vpc_proxy.exporters[target] = exporter(name)
        return task, target

    old_task, old_target = deploy("old")
    server = prometheus(proxy=vpc_proxy.url)
    discover("-config.cluster=prod", "-config.scrape-interval=200ms")
    server.wait_until_up(old_target)
    reader = Reader(sd_file)

    new_task, new_target = deploy("new")
    server.wait_until_up(old_target, new_target)
    account.stop(cluster, old_task)
    server.wait_until_up(new_target)

    contents = [parse(data, ".yml") for data in reader.stop()]
    assert [[group["targets"] for group in groups] for groups in contents][-1] == [[new_target]]
    assert len(contents) == 3, "old, both, new: the file must have had no other content"
    assert read(sd_file) == [account.target_group(cluster, new_task, new_target)]


def test_prometheus_drops_all_targets_of_an_emptied_cluster(account, discover, sd_file, exporter, vpc_proxy, prometheus):
    cluster = account.cluster("prod")
    task = account.fargate_task(cluster, "web", docker_labels(9102))
    target = f"{account.address(cluster, task)}:9102"
    vpc_proxy.exporters[target] = exporter("web")
    server = prometheus(proxy=vpc_proxy.url)
    discover("-config.cluster=prod", "-config.scrape-interval=200ms")
    server.wait_until_up(target)

    account.stop(cluster, task)

    until("the file is an empty list", lambda: sd_file.read_bytes() == b"[]\n")
    until("Prometheus scrapes nothing", lambda: server.health() == {})
