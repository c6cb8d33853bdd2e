"""The corpus of the fuzz target `labels`: Prometheus's own reader reads the YAML and the JSON alike."""

import json
import subprocess
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "fuzz"

CONFIG = """\
scrape_configs:
  - job_name: yaml
    file_sd_configs: [{{files: ["{directory}/*.yml"]}}]
  - job_name: json
    file_sd_configs: [{{files: ["{directory}/*.json"]}}]
"""


def test_promtool_reads_what_was_written(request, tmp_path, prometheus_program):
    inputs = sorted([*FUZZ.glob("corpus/labels/*"), *FUZZ.glob("regressions/labels/*")])
    assert len(inputs) >= 6
    files = tmp_path / "files"
    files.mkdir()
    render = request.config.binary.parent / "examples" / "render"
    subprocess.run([render, files, *inputs], check=True, timeout=60)
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(directory=files))

    promtool(prometheus_program, "check", "config", config)

    written = [group for file in files.glob("*.json") for group in json.loads(file.read_text(encoding="utf-8"))]
    expected = sorted((group["targets"], given(group["labels"])) for group in written)
    assert expected
    for job in ["yaml", "json"]:
        assert sorted(discovered(prometheus_program, config, job)) == expected


def given(labels):
    """Returns the labels without what Prometheus adds by default, and without empty ones, which it takes for absent."""
    own = {"__address__", "__meta_filepath", "__scrape_interval__", "__scrape_timeout__"}
    defaults = {("job", "yaml"), ("job", "json"), ("__metrics_path__", "/metrics"), ("__scheme__", "http")}
    return sorted(pair for pair in labels.items() if pair[0] not in own and pair[1] and pair not in defaults)


def promtool(program, *arguments):
    done = subprocess.run([program.promtool, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def discovered(program, config, job):
    """Returns the targets and labels that Prometheus has before relabelling."""
    for target in json.loads(promtool(program, "check", "service-discovery", "--timeout=10s", config, job)):
        labels = target["discoveredLabels"]
        yield [labels["__address__"]], given(labels)
