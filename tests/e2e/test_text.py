"""Docker labels are free text: their exact text reaches Prometheus, through YAML and through JSON."""

import pytest
from parts.account import docker_labels
from parts.wait import until

TEXTS = [
    *["'", '"', "''", "it's", 'say "x"', "`", "\\", "\\n", "\\\\"],
    *["a: b", "a:", ":", "#", "# x", "a #b", "- x", "-", "?", "? x", "[a]", "{a: b}", "a, b", "&a", "*a", "!a", "|", ">", "@"],
    *["yes", "no", "on", "off", "y", "n", "true", "False", "~", "null", "Null", "=", "<<"],
    *["1", "-1", "012", "0o7", "0x10", "1e3", "1_000", "1.5", ".5", ".inf", ".NaN", "12:30:45", "2001-01-01"],
    *["---", "...", "--- x", "%", "%YAML", "%2f", "%zz", "{{", "{{ x }}", "}}", "$1", "${x}"],
    *["/m?a=1&b=2", "/m#f", "//m", "/a b"],
    *[" lead", "trail ", "  ", "\tx\t", "a\nb", "a\n", "\na", "a\n\nb\n\n", "\n", "a\rb", "a\r", "a\r\nb", "a\tb", "a\n b"],
    *["ünïcödé", "☃", "🦀", "日本", "a\u0301", "a\u0085b", "a\u00a0b", "a\u2028b", "\ufeffx", "x\u200b", "\U0010ffff", "\ufffd"],
    *["\x00", "\x01", "\x1b[0m", "\x7f", "\x80"],
    "x" * 5000, "long words " * 200,
]


@pytest.mark.parametrize("suffix", [".yml", ".json"])
def test_docker_label_text_reaches_prometheus_unchanged(suffix, account, discover_once, sd_file, prometheus):
    cluster = account.cluster("prod")
    typed = {}
    for number, text in enumerate(TEXTS):
        # A closed port on loopback: only the labels of these targets matter.
        labels = docker_labels(9, job=text, path=text, server_name="127.0.0.1")
        typed[account.fargate_task(cluster, f"text-{number}", labels)] = text
    file = sd_file.with_suffix(suffix)

    assert discover_once("-config.cluster=prod", file=file).code == 0

    server = prometheus(file=file)
    found = until("all targets are discovered", lambda: _if_complete(server.discovered(), len(typed)))
    arrived = {labels["task_arn"]: (labels["job"], labels["__metrics_path__"]) for labels in found}
    wrong = {text: arrived.get(task) for task, text in typed.items() if arrived.get(task) != (text, text)}
    assert wrong == {}


def _if_complete(found, count):
    assert len(found) == count, f"{len(found)} of {count} targets"
    return found
