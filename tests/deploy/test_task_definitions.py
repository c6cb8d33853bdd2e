"""The task definitions: what botocore refuses, what ECS refuses beyond that, and what this project promises."""

import json

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from examples import APPS, TASKS, containers, document
from parts.account import Account

ALL = [*TASKS, *APPS]
STACK = pytest.mark.parametrize("file", TASKS, ids=lambda file: file.stem)
EVERY = pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)

# "Fargate task definition considerations": MiB of memory for each number of CPU units.
FARGATE = {
    256: [512, 1024, 2048],
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
OUR_IMAGE = "example/ecs-discovery:0.1.0"


def register_shape():
    return Session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape


def enums(value, shape, where="it"):
    """The one thing of a shape that botocore does not look at."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from enums(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for member in value:
            yield from enums(member, shape.member, f"{where}[]")
    elif getattr(shape, "enum", []) and value not in shape.enum:
        yield f"{where}: {value}"


@EVERY
def test_the_parameters_are_valid(file):
    shape = register_shape()
    assert ParamValidator().validate(document(file), shape).generate_report() == ""
    assert list(enums(document(file), shape)) == []


@EVERY
def test_it_is_registered(file, moto):
    account = Account(moto.endpoint)
    registered = account.ecs.register_task_definition(**document(file))["taskDefinition"]
    assert registered["family"] == document(file)["family"]
    assert [it["name"] for it in registered["containerDefinitions"]] == list(containers(file))


@EVERY
def test_the_size_is_one_that_ecs_has(file):
    task = document(file)
    if "FARGATE" in task["requiresCompatibilities"]:
        assert task["networkMode"] == "awsvpc"
        assert int(task["memory"]) in FARGATE[int(task["cpu"])]
    limits = [container.get("memory") for container in containers(file).values()]
    if "memory" in task:
        assert sum(limit or 0 for limit in limits) < int(task["memory"])
    else:
        assert all(limits), "a container needs a limit where the task has none"


@EVERY
def test_ports_are_as_the_network_mode_wants_them(file):
    for container in containers(file).values():
        for mapping in container.get("portMappings", []):
            assert document(file)["networkMode"] == "bridge" or "hostPort" not in mapping


@STACK
def test_names_lead_somewhere(file):
    task, there = document(file), containers(file)
    volumes = {volume["name"] for volume in task["volumes"]}
    mounted = {point["sourceVolume"] for container in there.values() for point in container.get("mountPoints", [])}
    assert mounted == volumes
    for name, container in there.items():
        for dependency in container.get("dependsOn", []):
            assert dependency["containerName"] in set(there) - {name}
            if dependency["condition"] in ("SUCCESS", "COMPLETE"):
                # ECS refuses an essential container here; one that is started again would never be over.
                assert not there[dependency["containerName"]]["essential"]
                assert "restartPolicy" not in there[dependency["containerName"]]
    assert any(container["essential"] for container in there.values())


@STACK
def test_containers_start_in_the_right_order(file):
    waits = {
        name: {it["containerName"]: it["condition"] for it in container.get("dependsOn", [])}
        for name, container in containers(file).items()
    }
    assert waits == {
        "log_router": {},
        "config": {},
        # Never HEALTHY: while AWS is down Prometheus has to start all the same.
        "ecs-discovery": {"log_router": "START"},
        "prometheus": {"config": "SUCCESS", "ecs-discovery": "START", "log_router": "START"},
    }


@STACK
def test_one_container_writes_each_volume(file):
    writers = {}
    for name, container in containers(file).items():
        for point in container.get("mountPoints", []):
            assert isinstance(point["readOnly"], bool), "say which"
            if not point["readOnly"]:
                writers.setdefault((point["sourceVolume"], point["containerPath"]), []).append(name)
    # Of these images ecs-discovery and Prometheus have a VOLUME at just this path, so the volume belongs to their user.
    assert writers == {
        ("ecs-discovery", "/output"): ["ecs-discovery"],
        ("config", "/config"): ["config"],
        ("prometheus", "/prometheus"): ["prometheus"],
    }
    assert document(file)["volumes"] == [{"name": name} for name in ("config", "ecs-discovery", "prometheus")]


@STACK
def test_secrets_are_secrets(file):
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus:{}::"
    there = containers(file)
    assert {name: it["secrets"] for name, it in there.items() if "secrets" in it} == {
        "config": [{"name": "REMOTE_WRITE_TOKEN", "valueFrom": secret.format("remote_write_token")}]
    }
    for name in ("ecs-discovery", "prometheus"):
        options = there[name]["logConfiguration"]["secretOptions"]
        assert options == [{"name": "header", "valueFrom": secret.format("logs_authorization")}]
    assert "bearer" not in json.dumps(document(file)).lower(), "a token in clear"
    environment = [variable["name"] for it in there.values() for variable in it.get("environment", [])]
    assert environment == ["ECS_DISCOVERY_WEB_LISTEN_ADDRESS"]


@STACK
def test_the_sidecar_is_started_as_the_guide_does_and_asked_for_its_health(file):
    sidecar = containers(file)["ecs-discovery"]
    assert sidecar["command"] == ["-config.cluster=prod", "-config.write-to=/output/ecs_file_sd.yml"]
    assert sidecar["healthCheck"]["command"] == ["CMD", "/bin/ecs-discovery", "-healthcheck"]
    # Loopback: its pages have no login, and the containers of the task share it.
    assert sidecar["environment"] == [{"name": "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", "value": "127.0.0.1:10779"}]


@STACK
def test_images_are_stock_and_of_one_version(file):
    images = {name: container["image"].split(":") for name, container in containers(file).items()}
    assert {name: repository for name, (repository, _) in images.items()} == {
        "log_router": "amazon/aws-for-fluent-bit",
        "config": "amazon/aws-cli",
        "ecs-discovery": OUR_IMAGE.split(":")[0],
        "prometheus": "prom/prometheus",
    }
    for _, version in images.values():
        assert version.removeprefix("v").count(".") == 2 and version.removeprefix("v")[0].isdigit(), version


@STACK
def test_nothing_may_do_more_than_it_must(file):
    for name, container in containers(file).items():
        assert "privileged" not in container
        if name != "log_router":  # ECS owns its socket and its configuration: as AWS has it
            assert container["readonlyRootFilesystem"] is True
            assert container["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    # An empty volume belongs to root, and only the two images with a VOLUME give theirs to another user.
    assert {name: it.get("user") for name, it in containers(file).items()} == {
        "log_router": "0", "config": None, "ecs-discovery": "65532:65532", "prometheus": "65534:65534",
    }
    assert document(file)["taskRoleArn"] != document(file)["executionRoleArn"]


@STACK
def test_the_logs_go_through_the_router_and_its_own_do_not(file):
    there = containers(file)
    [router] = [it for it in there.values() if "firelensConfiguration" in it]
    drivers = {name: it["logConfiguration"]["logDriver"] for name, it in there.items()}
    # What the init container says is wanted most when nothing else starts.
    assert drivers == {
        "log_router": "awslogs", "config": "awslogs", "ecs-discovery": "awsfirelens", "prometheus": "awsfirelens",
    }
    assert router["firelensConfiguration"]["type"] == "fluentbit"
    for name in ("ecs-discovery", "prometheus"):
        options = there[name]["logConfiguration"]["options"]
        assert (options["Name"], options["URI"], options["tls"], options["tls.verify"]) == (
            "http", "/v1/json_batch", "on", "on",
        )
        # The agent writes the Match of each container itself, and a blank in a name would cut the option in two.
        assert not any(option.lower() == "match" or " " in option for option in options)


def test_the_two_differ_in_where_they_run_and_in_nothing_else():
    fargate, ec2 = (document(file) for file in sorted(TASKS, key=lambda file: len(file.name)))
    assert fargate.pop("requiresCompatibilities") == ["FARGATE"]
    assert fargate.pop("runtimePlatform") == {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"}
    assert ec2.pop("requiresCompatibilities") == ["EC2"]
    assert fargate == ec2
