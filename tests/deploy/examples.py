"""The files in examples/ecs, with their placeholders replaced."""

import json
import re
from pathlib import Path

ECS = Path(__file__).parents[2] / "examples" / "ecs"
TASKS = sorted(ECS.glob("task-definition*.json"))
VARIANTS = sorted(ECS.glob("backends/task-definition*.json"))
CONFIGS = [ECS / "prometheus.yml", *sorted(ECS.glob("backends/prometheus*.yml"))]
APPS = sorted(ECS.glob("app-task-definition*.json"))
POLICIES = sorted(ECS.glob("iam/[!t]*.json"))
TRUSTS = sorted(ECS.glob("iam/trust-*.json"))
EVENTS = [ECS / "stopped-tasks.json", ECS / "iam" / "topic-stopped-tasks.json"]
WITH_PLACEHOLDERS = [*TASKS, *VARIANTS, *APPS, *POLICIES, *TRUSTS, *EVENTS, *CONFIGS]

ROW = re.compile(r"^\| `([A-Z_]+)` \| .* \| `(.+)` \|$", re.MULTILINE)


def placeholders():
    """Returns the table of placeholders in the README: placeholder to example."""
    section = (ECS / "README.md").read_text().split("\n## Placeholders\n")[1].split("\n## ")[0]
    return dict(ROW.findall(section))


def filled_in(file):
    """Returns the file's text with the examples from the table as values."""
    text = file.read_text()
    for placeholder, value in placeholders().items():
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return text


def document(file):
    return json.loads(filled_in(file))


def containers(file):
    return {container["name"]: container for container in document(file)["containerDefinitions"]}


def actions(policy):
    """Returns the actions that a policy allows."""
    listed = [statement["Action"] for statement in policy["Statement"]]
    return {action for each in listed for action in ([each] if isinstance(each, str) else each)}
