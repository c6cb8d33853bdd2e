"""-config.cluster: which clusters are scanned."""

import pytest
from parts.account import docker_labels
from parts.sd_file import read


@pytest.fixture
def clusters(account):
    """Three clusters with one task each: name to ARN."""
    # No name contains another, because moto's ListTasks matches clusters by substring.
    arns = {name: account.cluster(name) for name in ("blue", "green", "red")}
    for name, arn in arns.items():
        account.fargate_task(arn, f"{name}-web", docker_labels(9102))
    return arns


@pytest.fixture
def scanned(discover_once, sd_file):
    """scanned("-config.…") returns the clusters in the file after one refresh with these flags."""
    def run(*flags):
        assert discover_once(*flags).code == 0
        return {group["labels"]["cluster_arn"] for group in read(sd_file)}

    return run


def test_all_clusters_are_scanned_by_default(clusters, scanned):
    assert scanned() == set(clusters.values())


def test_cluster_by_name(clusters, scanned):
    assert scanned("-config.cluster", "red") == {clusters["red"]}


def test_cluster_by_arn(clusters, scanned):
    assert scanned(f"-config.cluster={clusters['green']}") == {clusters["green"]}


def test_list_of_names_and_arns(clusters, scanned):
    assert scanned(f"--config.cluster=blue,{clusters['red']}") == {clusters["blue"], clusters["red"]}


def test_unknown_cluster_fails_the_refresh_but_not_the_other_clusters(clusters, discover_once, sd_file):
    program = discover_once("-config.cluster=blue,nowhere")

    assert program.code == 1
    assert [group["labels"]["cluster_arn"] for group in read(sd_file)] == [clusters["blue"]]
    assert "nowhere" in program.log() and "ClusterNotFoundException" in program.log()
