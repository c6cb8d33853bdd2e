"""-config.role-arn: the cluster is in another account, accessed through a role."""

from parts.account import docker_labels
from parts.sd_file import read

ROLE = "arn:aws:iam::222222222222:role/discovery"


def test_role_gives_access_to_a_cluster_in_another_account(account, discover_once, sd_file, exporter, vpc_proxy, prometheus):
    other = account.assume(ROLE)
    cluster = other.cluster("far")
    task = other.fargate_task(cluster, "web", docker_labels(9102, job="far-job"))
    target = f"{other.address(cluster, task)}:9102"
    vpc_proxy.exporters[target] = exporter("far")

    assert discover_once("-config.cluster=far", f"-config.role-arn={ROLE}").code == 0

    [group] = read(sd_file)
    assert group == other.target_group(cluster, task, target)
    assert group["labels"]["cluster_arn"] == "arn:aws:ecs:eu-west-1:222222222222:cluster/far"
    prometheus(proxy=vpc_proxy.url).wait_until_up(target)


def test_cluster_in_another_account_is_unknown_without_the_role(account, discover_once, sd_file):
    account.assume(ROLE).cluster("far")

    program = discover_once("-config.cluster=far")

    assert program.code == 1
    assert "ClusterNotFoundException" in program.log()
    assert not sd_file.exists()
