"""The statements of SECURITY.md: what a hostile docker label can and cannot do, and that no secret is disclosed."""

import json
import re
import tomllib
import urllib.request
from pathlib import Path

import pytest
import yaml
from parts.account import Keys, docker_labels
from parts.discovery import ON_LOOPBACK, Discovery
from parts.wait import until

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "SECURITY.md").read_text()
CLUSTER = "-config.cluster=prod"

# The labels of a target that docker labels cannot set.
FROM_AWS = {
    "task_arn", "task_name", "task_revision", "task_group", "cluster_arn", "container_name", "container_arn",
    "docker_image",
}  # fmt: skip

INJECTIONS = [
    "x\n- targets:\n  - 203.0.113.9:1\n  labels:\n    job: other",
    "x'\n    other: 'yes",
    'x"\n    other: "yes',
    'x", "other": "yes',
    "x\r    other: yes",
    "x\u0085    other: yes",
    "x\u2028    other: yes",
    "x\\\n    other: yes",
    "\n    task_arn: other",
    "|\n      x\n    other: yes",
    "&other x",
    "*other",
    "<<: {other: yes}",
    "!!python/name:os.system x",
    "--- x",
    "...\n---\n- targets: [203.0.113.9:1]",
    "\ufeffx",
    "\x00\x1b[2J",
    "${HOME} $(id) `id` %x {{ x }}",
]

# Docker labels with the names of target labels.
NAMES = [
    "targets", "labels", "job", "task_arn", "__address__", "__metrics_path__", "__param_target", "__meta_ecs_cluster",
    "x\n    other", "x: y\n    other", "\u2028other", "",
]  # fmt: skip


def world(*labels):
    """Returns a world with one task per dict of docker labels, at 10.0.0.1, 10.0.0.2, …"""
    tasks = [{
        "id": f"t{number}", "taskDefinition": f"app{number}:1", "group": "service:web",
        "containers": [{"name": "app", "networkInterfaces": [{"privateIpv4Address": f"10.0.0.{number}"}]}],
    } for number in range(1, len(labels) + 1)]  # fmt: skip
    definitions = [{
        "family": f"app{number}", "revision": 1, "networkMode": "awsvpc",
        "containerDefinitions": [{"name": "app", "image": "shop/app", "dockerLabels": each}],
    } for number, each in enumerate(labels, 1)]  # fmt: skip
    return {"clusters": [{"name": "prod", "tasks": tasks}], "taskDefinitions": definitions}


def groups(file):
    return yaml.safe_load(file.read_text())


HONEST = docker_labels(9102, job="web")
# Each injection in every docker label whose text reaches the file; then in the port label, and in label names.
HOSTILE = [
    *[docker_labels(9102, job=text, path=text, scheme=text) for text in INJECTIONS],
    *[docker_labels(9102) | {"PROMETHEUS_EXPORTER_PORT": f"9102/{text.split(',')[0]}"} for text in INJECTIONS],
    docker_labels(9102) | dict.fromkeys(NAMES, "203.0.113.9:1"),
]


@pytest.mark.parametrize("flags", [[], ["-config.meta-labels"]], ids=["plain", "meta"])
def test_hostile_docker_label_affects_only_its_own_target(flags, simaws, discover_once):
    [alone] = groups(discover_once(simaws(world(HONEST)).url, CLUSTER, *flags))
    found = groups(discover_once(simaws(world(HONEST, *HOSTILE)).url, CLUSTER, *flags))

    assert [group["targets"] for group in sorted(found, key=address)] == [
        [f"10.0.0.{number}:9102"] for number in range(1, len(HOSTILE) + 2)
    ]
    honest, *hostile = sorted(found, key=address)
    assert honest == alone
    for labels, group in zip(HOSTILE, hostile, strict=True):
        all_labels = group["labels"]
        own = {name: text for name, text in all_labels.items() if not name.startswith("__meta_ecs_")}
        number = address(group)
        assert {name: own[name] for name in FROM_AWS} == alone_as(alone, number)
        assert {name: own[name] for name in own.keys() - FROM_AWS} == chosen(labels)
        meta = all_labels.keys() - own.keys() - alone["labels"].keys()
        assert all(re.fullmatch(r"__meta_ecs_container_label_[A-Za-z0-9_]*", name) for name in meta), meta
        assert all_labels.get("__meta_ecs_cluster", "prod") == "prod"
    assert ("__meta_ecs_container_label___address__" in hostile[-1]["labels"]) == bool(flags)


def address(group):
    [target] = group["targets"]
    return int(re.fullmatch(r"10\.0\.0\.(\d+):9102", target)[1])


def alone_as(group, number):
    """Returns AWS's labels of the first task, rewritten for another task."""
    def renamed(text):
        return re.sub(r"\bt1\b", f"t{number}", re.sub(r"\bapp1\b", f"app{number}", text))

    return {name: renamed(text) for name, text in group["labels"].items() if name in FROM_AWS}


def chosen(labels):
    """Returns the target labels that docker labels set, with the text of the docker labels."""
    _, slash, path = labels["PROMETHEUS_EXPORTER_PORT"].partition("/")
    texts = {
        "job": labels.get("PROMETHEUS_EXPORTER_JOB_NAME"),
        "__metrics_path__": f"/{path}".rstrip() if slash else labels.get("PROMETHEUS_EXPORTER_PATH"),
        "__scheme__": labels.get("PROMETHEUS_EXPORTER_SCHEME"),
    }
    return {name: text for name, text in texts.items() if text is not None}


# --- What a docker label can do, and how to disable it ---------------------------------------------

ELSEWHERE = docker_labels(80, job="prometheus", path="/latest", scheme="https", server_name="169.254.169.254")
# A label with an empty name must not match a flag with an empty value.
ELSEWHERE |= {"": "203.0.113.9"}
FLAGS = re.search(r"^ecs-discovery (-config\.server-name-label= .*)$", PAGE, re.MULTILINE)[1].split()


def choices(group):
    labels = group["labels"]
    return [*group["targets"], *(labels.get(name) for name in ("job", "__metrics_path__", "__scheme__"))]


def test_docker_label_can_set_host_port_path_scheme_and_job(simaws, discover_once):
    [group] = groups(discover_once(simaws(world(ELSEWHERE)).url, CLUSTER))
    assert choices(group) == ["169.254.169.254:80", "prometheus", "/latest", "https"]


def test_empty_label_name_disables_the_docker_label(simaws, discover_once):
    aws = simaws(world(ELSEWHERE))
    kept = ["169.254.169.254:80", "prometheus", "/latest", "https"]
    off = ["10.0.0.1:80", None, None, None]
    assert len(FLAGS) == len(off)
    for place, flag in enumerate(FLAGS):
        [group] = groups(discover_once(aws.url, CLUSTER, flag))
        assert choices(group) == [*kept[:place], off[place], *kept[place + 1 :]], flag
    [group] = groups(discover_once(aws.url, CLUSTER, *FLAGS))
    assert choices(group) == off


def test_relabelling_keeps_only_allowed_addresses(simaws, discover_once, promtool, tmp_path):
    named = [docker_labels(80, server_name=host) for host in ("app.internal", "10.example.org", "xinternal")]
    discover_once(simaws(world(HONEST, ELSEWHERE, *named)).url, CLUSTER)
    [config] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert "files: [ecs_file_sd.yml]" in config
    (tmp_path / "prometheus.yml").write_text(config)
    found = json.loads(promtool("check", "service-discovery", "--timeout=5s", tmp_path / "prometheus.yml", "ecs"))
    assert {each["discoveredLabels"]["__address__"] for each in found} == {
        "10.0.0.1:9102", "169.254.169.254:80", "app.internal:80", "10.example.org:80", "xinternal:80",
    }  # fmt: skip
    kept = {each["labels"]["instance"]: each["labels"]["job"] for each in found if each.get("labels")}
    assert kept == {"10.0.0.1:9102": "ecs", "app.internal:80": "ecs"}


# --- Secrets and forged log lines ------------------------------------------------------------------

KEYS = Keys("AKIAKEYFORTHISTEST", "the-secret-key-of-this-test")
EXTERNAL_ID = "the-external-id-of-this-test"
ROLE = ["-config.role-arn=arn:aws:iam::123456789012:role/reader", f"-config.external-id={EXTERNAL_ID}"]
PASSWORD = {"environment": [{"name": "PASSWORD", "value": "the-password-of-this-test"}]}
FORGED = "9102,x\nts=2026-11-22 level=info message=forged\r\n{\"message\":\"forged\"}\u2028ts=forged"


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_no_secret_is_disclosed_and_no_log_line_is_forged(form, simaws, request, tmp_path):
    seen = world({"PROMETHEUS_EXPORTER_PORT": FORGED})
    seen["taskDefinitions"][0]["containerDefinitions"][0] |= PASSWORD
    aws = simaws(seen)
    flags = [CLUSTER, *ROLE, "-config.meta-labels", "-config.scrape-interval=100ms"]
    flags += ["-log.level=debug", f"-log.format={form}", ON_LOOPBACK]
    binary = request.config.programs["ECS_DISCOVERY_BIN"]
    program = Discovery(binary, flags, tmp_path / "ecs_file_sd.yml", tmp_path, aws.url, KEYS)
    try:
        program.wait_for_log("container misconfigured")
        for action in ("ecs:ListTasks", "sts:AssumeRole"):
            fault = json.dumps({"operation": action, "kind": "denied"}).encode()
            urllib.request.urlopen(urllib.request.Request(f"{aws.url}/_sim/faults", fault, method="POST")).close()
        program.wait_for_log("ListTasks failed")
        until("refreshes continue", lambda: program.log().count("ListTasks failed") > 3)
        # The harness finds the address only in logfmt, and the pages do not depend on the log format.
        pages = ("/", "/targets", "/metrics") if form == "logfmt" else ()
        served = [program.get(path)[2] for path in pages]
    finally:
        program.stop()
    log = program.log()
    lines = log.split("\n")[:-1]
    if form == "json":
        messages = [json.loads(line)["message"] for line in lines]
    else:
        messages = [re.match(r"ts=\S+ level=\w+ message=(\"[^\"]*\"|\S+)", line)[1] for line in lines]
    assert "forged" in log and not any("forged" in message for message in messages)
    assert all("10.0.0.1:9102" in page for page in served[:2])
    disclosed = [log, *served, program.sd_file.read_text()]
    for secret in (*KEYS[:2], EXTERNAL_ID, "simulated-se", "the-password"):
        assert not any(secret in text for text in disclosed), secret


# --- SECURITY.md -----------------------------------------------------------------------------------


def test_page_names_the_calls_of_the_policies():
    calls = re.compile(r"\b(?:ecs|ec2|sts):(?:List|Describe|Assume)\w+")
    policies = (REPOSITORY / "docs" / "deployment.md").read_text().split("\n## IAM policy\n")[1].split("\n## ")[0]
    assert set(calls.findall(PAGE)) == set(calls.findall(policies))


def test_page_verifies_what_the_release_signs():
    release = (REPOSITORY / ".github" / "workflows" / "release.yml").read_text()
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]
    variables = dict(re.findall(r"^(REPOSITORY|VERSION)=(\S+)$", PAGE, re.M))
    assert f"https://github.com/{variables['REPOSITORY']}" == package["repository"]
    assert variables["VERSION"] == package["version"]
    assert "release.yml@refs/tags/v$VERSION\n" in PAGE and "IMAGE=ghcr.io/$REPOSITORY:$VERSION\n" in PAGE
    assert PAGE.count("--certificate-identity \"$IDENTITY\"") == PAGE.count("cosign verify") == 2
    for name in ("SHA256SUMS", "SHA256SUMS.sigstore.json", "https://cyclonedx.org/bom"):
        assert name in PAGE and name in release


def test_all_documents_use_one_name_of_the_image():
    repository = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["repository"]
    image = repository.replace("https://github.com/", "ghcr.io/")
    pages = [REPOSITORY / "README.md", REPOSITORY / "SECURITY.md", REPOSITORY / "examples/ecs/fleet/README.md"]
    for page in [*pages, *(REPOSITORY / "docs").glob("*.md")]:
        named = set(re.findall(r"(?:[\w.-]+/)*\becs-discovery(?=:\d|@)", page.read_text()))
        assert named <= {image}, page.name
