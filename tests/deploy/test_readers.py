"""examples/readers: every configuration is complete and relabels alike, checked as far as the readers' tools are here.

tests/e2e runs Prometheus and vmagent with theirs. Of Alloy and the OpenTelemetry Collector neither is on a package
registry: the scrape configs that the collector embeds are checked by promtool, Alloy's file by a parser of HCL, whose
syntax it shares but for the dots in names, and by the arguments that its reference documents.
"""

import re
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest
import yaml
from hcl2 import SerializationOptions

READERS = Path(__file__).parents[2] / "examples" / "readers"
PAGE = (Path(__file__).parents[2] / "docs" / "readers.md").read_text()

# Component to its arguments and blocks, as far as the example uses them: the component reference of Alloy 1.16.
ALLOY = {
    "discovery.file": {"files"},
    "discovery.http": {"url", "refresh_interval"},
    "discovery.relabel": {"targets", "rule"},
    "prometheus.scrape": {"targets", "forward_to", "job_name", "scrape_interval"},
    "prometheus.remote_write": {"endpoint"},
}
EXPORTS = {
    "discovery.file": "targets", "discovery.http": "targets", "discovery.relabel": "output",
    "prometheus.remote_write": "receiver",
}  # fmt: skip
FORMATTED = SerializationOptions(with_comments=False)


def read(name):
    return yaml.safe_load((READERS / name).read_text())


def collector_scrape_configs():
    """Returns what the collector hands to Prometheus's code, with $$ replaced by $ as the collector does."""
    config = read("otel-collector.yaml")["receivers"]["prometheus"]["config"]
    assert "$" not in str(config).replace("$$", ""), "the collector would replace a single $ by a variable"
    return yaml.safe_load(yaml.safe_dump(config).replace("$$", "$"))


class Alloy:
    """The components of config.alloy: component and label to its arguments."""

    def __init__(self):
        self.text = (READERS / "config.alloy").read_text()
        # The names of components and functions become identifiers, which have no dots in HCL.
        as_hcl = re.sub(r"\b(\w+)\.(\w+)(?= \"|\()", r"\1__\2", self.text)
        parsed = hcl2.loads(as_hcl, serialization_options=FORMATTED)
        self.components = {
            (kind.replace("__", "."), label.strip('"')): body
            for kind, blocks in parsed.items() for block in blocks for label, body in block.items()
        }  # fmt: skip

    def rules(self):
        [relabel] = [body for (kind, _), body in self.components.items() if kind == "discovery.relabel"]
        rules = [{name: value for name, value in rule.items() if name != "__is_block__"} for rule in relabel["rule"]]
        return [{name: plain(value) for name, value in rule.items()} for rule in rules]


def plain(value):
    return [plain(each) for each in value] if isinstance(value, list) else value.strip('"')


def scrape_configs(name):
    config = collector_scrape_configs() if name == "otel-collector.yaml" else read(name)
    return config["scrape_configs"]


@pytest.mark.parametrize("name", ["prometheus.yml", "vmagent.yml"])
def test_promtool_accepts(name, promtool):
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", READERS / name)


def test_promtool_accepts_the_scrape_configs_of_the_collector(promtool, tmp_path):
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(collector_scrape_configs()))
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", file)


def test_collector_has_one_complete_pipeline():
    config = read("otel-collector.yaml")
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "exporters"):
            assert pipeline[kind] and set(pipeline[kind]) == config[kind].keys()
    assert config["receivers"].keys() == {"prometheus"} and config["service"]["pipelines"].keys() == {"metrics"}


@pytest.mark.parametrize("name", ["prometheus.yml", "vmagent.yml", "otel-collector.yaml"])
def test_file_and_http_are_read_and_relabelled_alike(name):
    file, http = scrape_configs(name)
    assert file["file_sd_configs"] == [{"files": ["/output/ecs_file_sd.yml"]}]
    [source] = http["http_sd_configs"]
    assert source["url"] == "http://ecs-discovery.internal:10779/targets?cluster=staging"
    assert file["relabel_configs"] == http["relabel_configs"] == scrape_configs("prometheus.yml")[0]["relabel_configs"]


def test_alloy_uses_documented_components_and_arguments():
    for (kind, _), body in Alloy().components.items():
        assert body.keys() - {"__is_block__"} <= ALLOY[kind], kind
    assert {kind for kind, _ in Alloy().components} == ALLOY.keys()


def test_alloy_relabels_like_the_others():
    assert Alloy().rules() == scrape_configs("prometheus.yml")[0]["relabel_configs"]


def test_alloy_refers_to_what_its_components_export():
    alloy = Alloy()
    used = re.findall(r"\b(discovery\.\w+|prometheus\.\w+)\.(\w+)\.(\w+)\b", alloy.text)
    assert {(kind, label) for kind, label, _ in used} <= alloy.components.keys()
    assert all(EXPORTS[kind] == field for kind, _, field in used)
    consumed = {kind for kind, _, _ in used}
    assert consumed == ALLOY.keys() - {"prometheus.scrape"}, "only the scrape has no consumer"


def test_yaml_is_clean():
    files = sorted(READERS.glob("*.y*ml"))
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    linter = Path(sys.executable).with_name("yamllint")
    done = subprocess.run([linter, "--strict", "-d", rules, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_page_links_every_configuration():
    for file in READERS.iterdir():
        assert f"(../examples/readers/{file.name})" in PAGE, file.name
