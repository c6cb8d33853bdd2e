"""The task definitions: botocore's validation, further rules of ECS, and the promises of the guide."""

import json

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from examples import APPS, TASKS, VARIANTS, containers, document
from parts.account import Account

ALL = [*TASKS, *VARIANTS, *APPS]
STACK = pytest.mark.parametrize("file", TASKS, ids=lambda file: file.stem)
EVERY = pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)

# MiB of memory by CPU units; source: "Fargate task definition considerations" in the ECS developer guide.
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


def invalid_enums(value, shape, where="task definition"):
    """Yields values that are not in their enum, which botocore does not validate."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from invalid_enums(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for member in value:
            yield from invalid_enums(member, shape.member, f"{where}[]")
    elif getattr(shape, "enum", []) and value not in shape.enum:
        yield f"{where}: {value}"


@EVERY
def test_parameters_are_valid(file):
    shape = register_shape()
    assert ParamValidator().validate(document(file), shape).generate_report() == ""
    assert list(invalid_enums(document(file), shape)) == []


@EVERY
def test_task_definition_can_be_registered(file, moto):
    account = Account(moto.endpoint)
    registered = account.ecs.register_task_definition(**document(file))["taskDefinition"]
    assert registered["family"] == document(file)["family"]
    assert [each["name"] for each in registered["containerDefinitions"]] == list(containers(file))


@EVERY
def test_cpu_and_memory_are_a_supported_combination(file):
    task = document(file)
    if "FARGATE" in task["requiresCompatibilities"]:
        assert task["networkMode"] == "awsvpc"
        assert int(task["memory"]) in FARGATE[int(task["cpu"])]
    limits = [container.get("memory") for container in containers(file).values()]
    if "memory" in task:
        assert sum(limit or 0 for limit in limits) < int(task["memory"])
    else:
        assert all(limits), "containers need a limit if the task has none"


@EVERY
def test_host_ports_are_set_only_in_bridge_mode(file):
    for container in containers(file).values():
        for mapping in container.get("portMappings", []):
            assert document(file)["networkMode"] == "bridge" or "hostPort" not in mapping


@STACK
def test_mount_points_and_dependencies_exist(file):
    defined = containers(file)
    volumes = {volume["name"] for volume in document(file)["volumes"]}
    mounted = {point["sourceVolume"] for container in defined.values() for point in container.get("mountPoints", [])}
    assert mounted == volumes
    for name, container in defined.items():
        for dependency in container.get("dependsOn", []):
            assert dependency["containerName"] in set(defined) - {name}
            if dependency["condition"] in ("SUCCESS", "COMPLETE"):
                # ECS rejects an essential container here, and a container that is restarted never completes.
                assert not defined[dependency["containerName"]]["essential"]
                assert "restartPolicy" not in defined[dependency["containerName"]]
    assert any(container["essential"] for container in defined.values())


@STACK
def test_containers_start_in_the_documented_order(file):
    dependencies = {
        name: {each["containerName"]: each["condition"] for each in container.get("dependsOn", [])}
        for name, container in containers(file).items()
    }
    assert dependencies == {
        "log_router": {},
        "config": {},
        # START, not HEALTHY: Prometheus must also start during an AWS outage.
        "ecs-discovery": {"log_router": "START"},
        "prometheus": {"config": "SUCCESS", "ecs-discovery": "START", "log_router": "START"},
    }


@STACK
def test_each_volume_has_one_writer(file):
    writers = {}
    for name, container in containers(file).items():
        for point in container.get("mountPoints", []):
            assert isinstance(point["readOnly"], bool), "readOnly must be explicit"
            if not point["readOnly"]:
                writers.setdefault((point["sourceVolume"], point["containerPath"]), []).append(name)
    # The images of ecs-discovery and Prometheus have a VOLUME at these paths, so the volumes belong to their users.
    assert writers == {
        ("ecs-discovery", "/output"): ["ecs-discovery"],
        ("config", "/config"): ["config"],
        ("prometheus", "/prometheus"): ["prometheus"],
    }
    assert document(file)["volumes"] == [{"name": name} for name in ("config", "ecs-discovery", "prometheus")]


@STACK
def test_secrets_come_from_secrets_manager(file):
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus:{}::"
    defined = containers(file)
    assert {name: each["secrets"] for name, each in defined.items() if "secrets" in each} == {
        "config": [{"name": "REMOTE_WRITE_TOKEN", "valueFrom": secret.format("remote_write_token")}]
    }
    for name in ("ecs-discovery", "prometheus"):
        options = defined[name]["logConfiguration"]["secretOptions"]
        assert options == [{"name": "header", "valueFrom": secret.format("logs_authorization")}]
    assert "bearer" not in json.dumps(document(file)).lower(), "a token in plain text"
    environment = [variable["name"] for each in defined.values() for variable in each.get("environment", [])]
    assert environment == ["ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", "ECS_DISCOVERY_WEB_LISTEN_ADDRESS"]


@STACK
def test_sidecar_has_the_documented_command_and_health_check(file):
    sidecar = containers(file)["ecs-discovery"]
    assert sidecar["command"] == ["-config.cluster=prod", "-config.write-to=/output/ecs_file_sd.yml"]
    assert sidecar["healthCheck"]["command"] == ["CMD", "/bin/ecs-discovery", "-healthcheck"]
    assert sidecar["environment"] == [
        # Not in the command, which is that of the guide.
        {"name": "ECS_DISCOVERY_CONFIG_SCRAPE_INTERVAL", "value": "auto"},
        # Loopback, because its pages have no login. The containers of the task share it.
        {"name": "ECS_DISCOVERY_WEB_LISTEN_ADDRESS", "value": "127.0.0.1:10779"},
    ]


@STACK
def test_images_are_stock_images_with_exact_versions(file):
    images = {name: container["image"].split(":") for name, container in containers(file).items()}
    assert {name: repository for name, (repository, _) in images.items()} == {
        "log_router": "public.ecr.aws/aws-observability/aws-for-fluent-bit",
        "config": "public.ecr.aws/aws-cli/aws-cli",
        "ecs-discovery": OUR_IMAGE.split(":")[0],
        "prometheus": "quay.io/prometheus/prometheus",
    }
    for _, version in images.values():
        assert version.removeprefix("v").count(".") == 2 and version.removeprefix("v")[0].isdigit(), version


@STACK
def test_prometheus_only_forwards(file):
    prometheus = containers(file)["prometheus"]
    assert prometheus["command"] == [
        "--agent", "--config.file=/config/prometheus.yml", "--storage.agent.path=/prometheus",
    ]


@STACK
def test_containers_that_run_for_a_minute_are_restarted(file):
    policies = {name: each.get("restartPolicy") for name, each in containers(file).items()}
    # The shortest period that ECS allows. A container that fails earlier ends the task.
    restarted = {"enabled": True, "restartAttemptPeriod": 60}
    assert policies == {"config": None} | dict.fromkeys(("log_router", "ecs-discovery", "prometheus"), restarted)


@STACK
def test_containers_have_least_privileges(file):
    for name, container in containers(file).items():
        assert "privileged" not in container
        if name != "log_router":  # as in AWS's examples, because ECS adds its socket and configuration
            assert container["readonlyRootFilesystem"] is True
            assert container["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    # Empty volumes belong to root, except those of the two images with a VOLUME.
    assert {name: each.get("user") for name, each in containers(file).items()} == {
        "log_router": "0", "config": None, "ecs-discovery": "65532:65532", "prometheus": "65534:65534",
    }
    assert document(file)["taskRoleArn"] != document(file)["executionRoleArn"]


@STACK
def test_logs_use_the_router_except_those_of_router_and_init_container(file):
    defined = containers(file)
    [router] = [each for each in defined.values() if "firelensConfiguration" in each]
    drivers = {name: each["logConfiguration"]["logDriver"] for name, each in defined.items()}
    # The init container's log is needed most if nothing else starts.
    assert drivers == {
        "log_router": "awslogs", "config": "awslogs", "ecs-discovery": "awsfirelens", "prometheus": "awsfirelens",
    }
    assert router["firelensConfiguration"]["type"] == "fluentbit"
    for name in ("ecs-discovery", "prometheus"):
        options = defined[name]["logConfiguration"]["options"]
        assert (options["Name"], options["URI"], options["tls"], options["tls.verify"]) == (
            "http", "/v1/json_batch", "on", "on",
        )
        # The ECS agent adds Match itself, and a space would split the option name.
        assert not any(option.lower() == "match" or " " in option for option in options)


def test_fargate_and_ec2_task_definitions_differ_only_in_the_platform():
    fargate, ec2 = (document(file) for file in sorted(TASKS, key=lambda file: len(file.name)))
    assert fargate.pop("requiresCompatibilities") == ["FARGATE"]
    assert fargate.pop("runtimePlatform") == {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"}
    assert ec2.pop("requiresCompatibilities") == ["EC2"]
    assert fargate == ec2
