"""compose.yaml: its schema, its settings, and the two programs started with them."""

import re
import socket
import subprocess
import sys

import pytest
import yaml
from examples import ECS, containers, placeholders
from parts import sd_file
from parts.account import REGION, Account, docker_labels
from parts.process import Process, clean_environment
from parts.wait import until

# ${NAME}, ${NAME:-default} and ${NAME:?message}, as the Compose specification has them.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


FILE = ECS / "compose.yaml"


@pytest.fixture
def services():
    return yaml.safe_load(FILE.read_text())["services"]


@pytest.fixture
def at(tmp_path):
    """at(text, NAME=value) interpolates variables like Compose, and replaces /output by a temporary directory."""
    def interpolated(text, **variables):
        text = VARIABLE.sub(lambda found: variables.get(found["name"]) or found["rest"], text)
        return text.replace("/output", str(tmp_path))

    return interpolated


def test_compose_file_matches_the_schema():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    subprocess.run(check, check=True)


def test_only_cluster_and_region_are_required():
    variables = list(VARIABLE.finditer(FILE.read_text()))
    assert {each["name"] for each in variables if each["kind"] == "?"} == {"CLUSTER", "AWS_REGION"}
    assert {each["name"]: each["rest"] for each in variables if each["kind"] != "?"} == {"IMAGE": "ecs-discovery"}


def test_credentials_come_only_from_the_shell(services):
    environment = services["ecs-discovery"]["environment"]
    credentials = {name for name in environment if name.startswith("AWS_")} - {"AWS_REGION"}
    assert credentials == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert {environment[name] for name in credentials} == {None}


def test_only_the_sidecar_can_write_its_volume_which_is_at_the_path_of_the_image(services):
    mounted = {name: [volume.split(":") for volume in service["volumes"]] for name, service in services.items()}
    assert mounted["ecs-discovery"] == [["ecs-discovery", "/output"]]
    assert ["ecs-discovery", "/output", "ro"] in mounted["prometheus"]
    assert 'VOLUME ["/output"]' in (ECS.parents[1] / "Dockerfile").read_text()
    declared = yaml.safe_load(FILE.read_text())["volumes"]
    assert {volume for volumes in mounted.values() for volume, *_ in volumes} == set(declared)


@pytest.mark.parametrize("name", ["ecs-discovery", "prometheus"])
def test_containers_have_least_privileges(services, name):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # The pages have no login, so only this machine may reach them.
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_programs_get_the_same_commands_as_on_ecs(services, at):
    on_ecs = containers(ECS / "task-definition.json")
    cluster = placeholders()["CLUSTER_NAME"]
    words = [at(word, CLUSTER=cluster) for word in services["ecs-discovery"]["command"]]
    assert words == [at(word) for word in on_ecs["ecs-discovery"]["command"]]
    # Without remote_write there is nothing to forward: this Prometheus is a server, with queries.
    [config] = set(services["prometheus"]["command"]) & set(on_ecs["prometheus"]["command"])
    assert config == "--config.file=/config/prometheus.yml"
    assert services["prometheus"]["image"] == on_ecs["prometheus"]["image"]
    assert services["ecs-discovery"]["healthcheck"]["test"] == on_ecs["ecs-discovery"]["healthCheck"]["command"]
    interval = {"name": "ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", "value": "auto"}
    assert services["ecs-discovery"]["environment"][interval["name"]] == interval["value"]
    assert interval in on_ecs["ecs-discovery"]["environment"]


def test_prometheus_has_the_scrape_jobs_of_ecs_and_no_remote_write():
    [config] = yaml.safe_load(FILE.read_text())["configs"].values()
    local = (ECS / config["file"]).read_text()
    on_ecs = yaml.safe_load((ECS / "prometheus.yml").read_text())
    del on_ecs["remote_write"], on_ecs["global"]["external_labels"]
    assert yaml.safe_load(local.replace("ecs-discovery:10779", "127.0.0.1:10779")) == on_ecs


def test_promtool_accepts_the_prometheus_file(promtool):
    promtool("check", "config", ECS / "compose-prometheus.yml")


@pytest.fixture
def account(moto):
    return Account(moto.endpoint)


@pytest.fixture
def environment(services, account, at, tmp_path):
    """The environment that the sidecar gets from Compose, with a free port."""
    shell = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    defined = services["ecs-discovery"]["environment"]
    passed_on = {name: shell[name] for name, text in defined.items() if text is None and name in shell}
    set_here = {name: at(text, AWS_REGION=REGION) for name, text in defined.items() if text is not None}
    address = "ECS_DISCOVERY_WEB_LISTEN_ADDRESS"
    set_here[address] = set_here[address].replace("10779", free_port())
    return clean_environment(tmp_path, AWS_ENDPOINT_URL=account.endpoint, **passed_on, **set_here)


def test_sidecar_finds_targets_and_becomes_healthy(request, services, account, environment, at, tmp_path):
    account.cluster("prod")
    task = account.fargate_task("prod", "web", docker_labels(9102))
    sidecar = services["ecs-discovery"]
    program = request.config.programs["ECS_DISCOVERY_BIN"]

    def healthy():
        _cmd, _path, *flags = sidecar["healthcheck"]["test"]
        return subprocess.run([program, *flags], env=environment, timeout=30).returncode == 0

    assert not healthy(), "nothing is running yet"
    command = [program, *(at(word, CLUSTER="prod") for word in sidecar["command"])]
    running = Process(command, tmp_path / "sidecar.log", environment)
    try:
        until("healthy", lambda: running.is_running() and healthy())
        written = tmp_path / "ecs_file_sd.yml"
        [group] = until("a target", lambda: written.exists() and sd_file.read(written))
        assert group["targets"] == [f"{account.address('prod', task)}:9102"]
    finally:
        assert running.stop() == 0, running.log()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
