"""-config.meta-labels=all against moto, and the rules of examples/relabel.yml on our labels and on the native ones."""

import re
from pathlib import Path

import pytest
import yaml
from parts.account import docker_labels
from parts.prometheus import from_file
from parts.sd_file import read
from parts.wait import until

EXAMPLES = Path(__file__).parents[2] / "examples"
NATIVE = Path(__file__).parents[1] / "docs" / "native-ecs-labels.txt"
TAGS = {"cluster": {"env": "prod"}, "service": {"owner": "ann", "cost-centre": "a b"}, "task": {"team": "shop"}}


@pytest.fixture
def web(account):
    """A task of a tagged service on Fargate, with a public address: its cluster and its ARN."""
    cluster = account.cluster("prod", tags=_tags("cluster"))
    task = account.fargate_task(cluster, "web", docker_labels(9102), group="service:web", tags=_tags("task"))
    account.ecs.create_service(
        cluster=cluster, serviceName="web", taskDefinition="web", desiredCount=0, tags=_tags("service")
    )
    account.publish(cluster, task)
    return cluster, task


def test_labels_that_take_further_calls(account, web, discover_once, sd_file):
    assert discover_once("-config.cluster=prod", "-config.meta-labels=all").code == 0

    [group] = read(sd_file)
    labels = {name: text for name, text in group["labels"].items() if name.startswith("__meta_ecs_")}
    native = _native_labels(account, *web)
    assert {name: labels.get(name) for name in native} == native


def test_denied_calls_leave_labels_out(moto, account, web, discover_once, sd_file):
    keys = account.user_with("ecs:ListTasks", "ecs:DescribeTasks", "ecs:DescribeTaskDefinition", "ecs:DescribeClusters")
    moto.enforce_permissions()

    program = discover_once("-config.cluster=prod", "-config.meta-labels=all", keys=keys)

    assert program.code == 1
    [group] = read(sd_file)
    assert group["labels"]["__meta_ecs_tag_cluster_env"] == "prod"
    assert not {"__meta_ecs_service_status", "__meta_ecs_public_ip"} & set(group["labels"])


def test_relabelling_example_gives_the_same_labels_on_both_discoveries(
    account, web, discover_once, sd_file, prometheus,
):
    assert discover_once("-config.cluster=prod", "-config.meta-labels=all").code == 0
    text = (EXAMPLES / "relabel.yml").read_text()
    rules = yaml.safe_load(text)["scrape_configs"][0]["relabel_configs"]
    [group] = read(sd_file)
    native = {"job_name": "native", "static_configs": [
        {"targets": group["targets"], "labels": _native_labels(account, *web)},
    ]}

    server = prometheus(jobs=[from_file(sd_file, relabel_configs=rules), {**native, "relabel_configs": rules}])

    until("both are targets", lambda: len(server.relabelled()) == 2)
    labels = server.relabelled()
    shared = {"cluster", "service", "availability_zone", "instance"}
    for each in labels.values():
        expected = {
            "cluster": "prod", "service": "web", "tag_team": "shop", "service_tag_owner": "ann",
            "service_tag_cost_centre": "a b", "instance": group["targets"][0],
        }
        assert {name: each.get(name) for name in expected} == expected
        assert not [name for name in each if name.startswith("__")]
    ours, theirs = labels["ecs"], labels["native"]
    assert {name: ours.get(name) for name in shared} == {name: theirs.get(name) for name in shared}
    assert set(theirs) - set(ours) == set(), "the native discovery has no label of its own"


def _tags(of):
    return [{"key": key, "value": value} for key, value in TAGS[of].items()]


def _native_labels(account, cluster, task):
    """Returns the labels that discovery/aws/ecs.go makes of AWS's responses, as far as moto has their values."""
    described = account.described(cluster, task)
    [service] = account.ecs.describe_services(cluster=cluster, services=["web"], include=["TAGS"])["services"]
    [details] = account.ecs.describe_clusters(clusters=[cluster], include=["TAGS"])["clusters"]
    [attachment] = [one for one in described["attachments"] if one["type"] == "ElasticNetworkInterface"]
    interface = {detail["name"]: detail["value"] for detail in attachment["details"]}
    [eni] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["networkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    labels = {
        "cluster": details["clusterName"], "cluster_arn": service["clusterArn"], "service": service["serviceName"],
        "service_arn": service["serviceArn"], "service_status": service["status"], "task_group": described["group"],
        "task_arn": described["taskArn"], "task_definition": described["taskDefinitionArn"],
        "ip_address": interface["privateIPv4Address"], "region": "eu-west-1", "launch_type": described["launchType"],
        "availability_zone": described.get("availabilityZone"), "desired_status": described["desiredStatus"],
        "last_status": described["lastStatus"], "health_status": described.get("healthStatus"),
        "network_mode": "awsvpc", "subnet_id": interface["subnetId"], "public_ip": eni["Association"]["PublicIp"],
        "platform_family": described.get("platformFamily"), "platform_version": described.get("platformVersion"),
    }
    for kind, tags in ("cluster", details["tags"]), ("service", service["tags"]), ("task", described["tags"]):
        labels |= {f"tag_{kind}_{re.sub('[^a-zA-Z0-9_]', '_', tag['key'])}": tag["value"] for tag in tags}
    labels = {f"__meta_ecs_{name}": text for name, text in labels.items() if text is not None}
    known = [line for line in NATIVE.read_text().splitlines() if line.startswith("__")]
    patterns = "|".join(re.escape(name).removesuffix("K") + (".+" if name.endswith("_K") else "") for name in known)
    assert all(re.fullmatch(patterns, name) for name in labels), labels
    return labels
