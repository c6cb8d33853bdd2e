"""-config.role-arn: the cluster is in another account, behind a role."""

from parts.account import docker_labels
from parts.sd_file import read

ROLE = "arn:aws:iam::222222222222:role/discovery"


def test_a_role_opens_a_cluster_in_another_account(account, discover_once, sd_file, exporter, road, prometheus):
    other = account.seen_through(ROLE)
    cluster = other.cluster("far")
    task = other.fargate_task(cluster, "web", docker_labels(9102, job="far-job"))
    target = f"{other.address(cluster, task)}:9102"
    road.leads_to[target] = exporter("far")

    assert discover_once("-config.cluster=far", f"-config.role-arn={ROLE}").code == 0

    [group] = read(sd_file)
    assert group == other.target_group(cluster, task, target)
    assert group["labels"]["cluster_arn"] == "arn:aws:ecs:eu-west-1:222222222222:cluster/far"
    prometheus(proxy=road.url).sees_up(target)


def test_without_the_role_that_cluster_is_unknown(account, discover_once, sd_file):
    account.seen_through(ROLE).cluster("far")

    program = discover_once("-config.cluster=far")

    assert program.code == 1
    assert "ClusterNotFoundException" in program.said()
    assert not sd_file.exists()
