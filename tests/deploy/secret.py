"""The names that CloudFormation and Terraform give: the ARN of the secret has six more characters, the log group another name."""

import re

from examples import ECS, document

SECRET_WITHOUT_SUFFIX = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus"


def with_secret(arn, file):
    """Returns the example file, with placeholders replaced and the secret named by this ARN."""
    return _map_texts(document(ECS / file), lambda text: text.replace(f"{SECRET_WITHOUT_SUFFIX}-??????", arn).replace(
        f"{SECRET_WITHOUT_SUFFIX}:", f"{arn}:"
    ))


def with_log_group(name, node):
    """Replaces the name of the log group of the guide."""
    return _map_texts(node, lambda text: re.sub(r"(?<![\w-])/ecs/ecs-prometheus\b", name, text))


def _map_texts(node, change):
    if isinstance(node, dict):
        return {key: _map_texts(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_map_texts(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


def with_lists(policy):
    """Turns every Action and cluster of the policy into a list; a single one may be a string."""
    for statement in policy["Statement"]:
        condition = statement.get("Condition", {}).get("ArnEquals", {})
        for node, key in (statement, "Action"), (condition, "ecs:cluster"):
            if isinstance(node.get(key), str):
                node[key] = [node[key]]
    return policy
