"""The guide and the pages beside it: their files, links, flags and names exist, and the costs are added up."""

import re
import subprocess
from math import prod

import pytest

from examples import ECS, containers, placeholders
from guide import DAY_TWO, GUIDE, PAGES, SOURCE, codes, rows, sections, shown, step

REPOSITORY = ECS.parents[1]


# Pages of their own, with guides and tests of their own.
OTHER_GUIDES = {"events", "fleet"}


def test_pages_link_to_every_file():
    text = "\n".join(PAGES.values())
    named = {ECS / target for target in re.findall(r"\]\(([^)#:]+)\)", text)}
    there = {file for file in ECS.rglob("*") if file.is_file() and ".terraform" not in file.parts}
    there = {file for file in there if file.relative_to(ECS).parts[0] not in {"terraform", *OTHER_GUIDES}}
    assert there - named == {ECS / "README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_links_are_valid(page):
    for file, anchor in re.findall(r"\]\((?!https:)([^)#]*)(?:#([^)]*))?\)", PAGES[page]):
        target = (ECS / (file or page)).resolve()
        assert target.exists(), file
        if anchor:
            headings = sections(target.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}, anchor


def test_named_json_files_exist():
    there = {file.name for file in ECS.rglob("*.json")}
    for text in PAGES.values():
        assert {code for code in codes(text) if re.fullmatch(r"[\w-]+\.json", code)} <= there


def test_flags_and_variables_exist(request):
    help_text = subprocess.check_output([request.config.programs["ECS_DISCOVERY_BIN"], "-help"], text=True)
    flags = set(re.findall(r"(?<![\w-])-((?:config|web|log)\.[a-z-]+|explain|healthcheck)\b", GUIDE))
    there = set(re.findall(r"^  -([a-z.-]+)=", help_text, re.MULTILINE))
    assert flags and flags <= there
    variables = set(re.findall(r"\bECS_DISCOVERY_(?!IMAGE\b)\w+", GUIDE))
    assert variables <= {"ECS_DISCOVERY_" + re.sub(r"[.-]", "_", flag).upper() for flag in there}


def test_words_in_capitals_are_placeholders_or_known_variables():
    text = "\n".join(PAGES.values())
    images = (ECS / "images.env").read_text()
    set_here = set(re.findall(r"\b([A-Z][A-Z_]+)=", text + images)) | {"TOKEN"}
    ours = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", SOURCE))
    # Variables of the agents in the comparison, of the vendor's image, of proxies and of AWS.
    theirs = {
        "ECS_PROMETHEUS_EXPORTER_PORT", "ECS_PROMETHEUS_METRICS_PATH", "CLUSTER_", "MONITORING_", "HTTP_PROXY",
        "HTTPS_PROXY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CAPABILITY_IAM",
        "S3_CONFIG_LOCATION", "MIMIR_ADDRESS", "MIMIR_API_KEY", "MIMIR_TENANT_ID",
    }  # fmt: skip
    theirs |= {"CA_CERTIFICATES"}  # of the container config
    words = set(re.findall(r"\b(?!ECS_DISCOVERY_WEB)[A-Z]+_[A-Z_]*\b", text)) - set_here - ours - theirs
    assert words - set(placeholders()) == set()


def test_meta_labels_are_as_documented():
    documented = (REPOSITORY / "docs" / "output.md").read_text().split("\n## Meta labels\n")[1].split("\n## ")[0]
    whose = dict(re.findall(r"^\| `(__meta_ecs_\w+)` \| .* \| (native|ours)(?:, `all`)? \|$", documented, re.MULTILINE))
    table = rows("Coming from Prometheus's own ECS discovery, and back")
    [same] = [there for there, here in table if here == "the same names and meaning"]
    [only_here] = [here for there, here in table if there == "none"]
    [with_all] = [there for there, here in table if here.startswith("the same names and meaning, with ")]
    [differs] = [there for there, here in table if here == "also `host`"]
    on_instances = {name for name in whose if "_ec2_" in name}
    native = {name for name, who in whose.items() if who == "native"}
    assert set(codes(same)) | set(codes(with_all)) | on_instances | {codes(differs)[0]} == native
    assert set(codes(only_here)) == {name for name, who in whose.items() if who == "ours"}
    for name in {code for _, _, here in rows(OTHERS) for code in codes(here)} | set(codes(same)):
        assert name in whose or not name.startswith("__meta_ecs_"), name


OTHERS = "Coming from the CloudWatch agent or the OpenTelemetry Collector"


def test_guide_shows_the_containers_of_the_task_definition():
    names = [line.split("\t")[0] for line in shown(step(8)).splitlines()]
    assert names == list(containers(ECS / "task-definition.json"))


def test_costs_are_added_up():
    for part, calculation, sum_shown in rows("What it costs", DAY_TWO):
        factors = [float(factor) for factor in calculation.split("×")]
        assert len(factors) > 1 and f"{prod(factors):.2f}" == sum_shown, part
    # Samples of 1,000 series every 30 s, and 2 calls a minute, in a month of 730 hours.
    assert "8.76 × 0.90" in DAY_TWO and 1000 * 2 * 60 * 730 == 87_600_000
    assert "0.0876 × 4.00" in DAY_TWO and 2 * 60 * 730 == 87_600
