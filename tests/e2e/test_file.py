"""The file: valid for promtool, readable by everyone, and with nothing but the cache beside it."""

import json
import os
import stat
import subprocess

import pytest
from parts.account import docker_labels
from parts.prometheus import from_file, write_config
from parts.sd_file import file_and_cache, read, sorted_groups


@pytest.fixture
def fleet(account):
    """Tasks with and without optional labels; returns their target groups, as expected from boto3's responses."""
    cluster = account.cluster("prod")
    tasks = {
        account.fargate_task(cluster, "full", docker_labels(9102, job="a: b", path="/x?y=z", scheme="https")): 9102,
        account.fargate_task(cluster, "bare", docker_labels(9103)): 9103,
    }
    return sorted_groups(
        account.target_group(cluster, task, f"{account.address(cluster, task)}:{port}") for task, port in tasks.items()
    )


@pytest.mark.parametrize("name", ["ecs_file_sd.yml", "ecs_file_sd.yaml", "ecs_file_sd.json"])
def test_promtool_accepts_the_file(name, fleet, discover_once, sd_file, prometheus_program, tmp_path):
    file = sd_file.with_name(name)
    assert discover_once("-config.cluster=prod", file=file).code == 0

    config = write_config(tmp_path / "prometheus.yml", from_file(file))
    check = subprocess.run(
        [prometheus_program.promtool, "check", "config", config], capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert sorted_groups(read(file)) == fleet
    if file.suffix == ".json":
        json.loads(file.read_text())


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0, 0o644)])
def test_file_mode_is_0644_within_the_umask(umask, mode, fleet, discover_once, sd_file):
    assert discover_once("-config.cluster=prod", umask=umask).code == 0
    assert stat.S_IMODE(sd_file.stat().st_mode) == mode


def test_only_file_and_cache_are_left_in_the_directory(fleet, discover_once, sd_file):
    assert discover_once("-config.cluster=prod").code == 0
    assert sorted(os.listdir(sd_file.parent)) == file_and_cache(sd_file)


def test_equal_tasks_give_equal_bytes(fleet, discover_once, sd_file):
    contents = set()
    for _ in range(3):
        assert discover_once("-config.cluster=prod").code == 0
        contents.add(sd_file.read_bytes())
        sd_file.unlink()
    assert len(contents) == 1
