"""Host mode tasks: the target has the EC2 instance's address, or the host in a docker label."""

import socket

import pytest
from parts.account import docker_labels
from parts.sd_file import read, sorted_groups


@pytest.fixture
def cluster(account):
    """A cluster with one EC2 instance, whose private address is a loopback address."""
    cluster = account.cluster("prod")
    account.ec2_host(cluster, "127.0.0.41")
    return cluster


def test_host_mode_task_is_scraped_at_the_private_address_of_its_instance(
    account, cluster, discover_once, sd_file, exporter, prometheus
):
    node = exporter("node", address="127.0.0.41")
    task = account.host_mode_task(cluster, "node", docker_labels(node.port))

    assert discover_once("-config.cluster=prod").code == 0

    assert account.address(cluster, task) == "127.0.0.41"
    assert read(sd_file) == [account.target_group(cluster, task, node.target)]
    prometheus().wait_until_up(node.target)


def test_server_name_labels_set_host_and_port_of_each_exporter(
    account, cluster, discover_once, sd_file, exporter, prometheus
):
    shop = exporter("shop", address="127.0.0.2", path="/actuator/prometheus")
    cart = exporter("cart", address="127.0.0.3")
    tasks = {
        shop.target: account.host_mode_task(cluster, "shop", docker_labels(
            shop.port, job="shop-job", path="/actuator/prometheus", scheme="http", server_name="127.0.0.2")),
        cart.target: account.host_mode_task(cluster, "cart", docker_labels(
            cart.port, job="cart-job", server_name="127.0.0.3/")),
    }

    assert discover_once("-config.cluster=prod").code == 0

    expected = [account.target_group(cluster, task, target) for target, task in tasks.items()]
    assert sorted_groups(read(sd_file)) == sorted_groups(expected)
    server = prometheus()
    server.wait_until_up(shop.target, cart.target)
    [metric] = server.query('exporter_info{name="shop"}')
    assert metric == {
        "__name__": "exporter_info", "name": "shop", "instance": shop.target,
        **{name: text for name, text in expected[0]["labels"].items() if not name.startswith("__")},
    }
    assert (metric["job"], metric["container_name"]) == ("shop-job", "shop-container")


def test_container_with_two_ports_gives_two_targets(
    account, cluster, discover_once, sd_file, exporter, prometheus
):
    plain, spring = exporter("plain", address="127.0.0.41"), exporter("spring", address="127.0.0.41", path="/actuator")
    ports = f"{plain.port}, {spring.port}/actuator"
    account.host_mode_task(cluster, "both", docker_labels(ports))

    assert discover_once("-config.cluster=prod").code == 0

    prometheus().wait_until_up(plain.target, spring.target)


def test_ipv6_server_name_is_bracketed_and_scraped(account, cluster, discover_once, exporter, prometheus):
    if not _has_ipv6_loopback():
        pytest.skip("no IPv6 loopback address on this machine")
    six = exporter("six", address="::1")
    account.host_mode_task(cluster, "six", docker_labels(six.port, server_name="::1"))

    assert discover_once("-config.cluster=prod").code == 0

    prometheus().wait_until_up(f"[::1]:{six.port}")


def _has_ipv6_loopback():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
