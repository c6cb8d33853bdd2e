"""The files under examples/ecs, as a person fills them in."""

import json
import re
from pathlib import Path

ECS = Path(__file__).parents[2] / "examples" / "ecs"
TASKS = sorted(ECS.glob("task-definition*.json"))
APPS = sorted(ECS.glob("app-task-definition*.json"))
POLICIES = sorted(ECS.glob("iam/[!t]*.json"))
TRUSTS = sorted(ECS.glob("iam/trust-*.json"))
TO_FILL_IN = [*TASKS, *APPS, *POLICIES, *TRUSTS, ECS / "prometheus.yml"]

ROW = re.compile(r"^\| `([A-Z_]+)` \| .* \| `(.+)` \|$", re.MULTILINE)


def placeholders():
    """The table of the README: a placeholder and its example."""
    section = (ECS / "README.md").read_text().split("\n## Placeholders\n")[1].split("\n## ")[0]
    return dict(ROW.findall(section))


def filled_in(file):
    """The text with the examples of the table, put in as the README says."""
    text = file.read_text()
    for placeholder, value in placeholders().items():
        text = re.sub(rf"\b{placeholder}\b", value, text)
    return text


def document(file):
    return json.loads(filled_in(file))


def containers(file):
    return {container["name"]: container for container in document(file)["containerDefinitions"]}


def actions(policy):
    """What a policy allows."""
    listed = [statement["Action"] for statement in policy["Statement"]]
    return {action for each in listed for action in ([each] if isinstance(each, str) else each)}
