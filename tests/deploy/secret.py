"""The examples name the secret; whoever makes the whole is given its ARN, which has six characters more."""

from examples import ECS, document

NAMED = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus"


def with_secret(arn, file):
    """The example file, filled in, with this ARN where it names the secret."""
    def by_arn(node):
        if isinstance(node, dict):
            return {key: by_arn(value) for key, value in node.items()}
        if isinstance(node, list):
            return [by_arn(value) for value in node]
        if isinstance(node, str):
            return node.replace(f"{NAMED}-??????", arn).replace(f"{NAMED}:", f"{arn}:")
        return node

    return by_arn(document(ECS / file))


def with_lists(policy):
    """The policy with every Action a list: one action alone may be one or not."""
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], str):
            statement["Action"] = [statement["Action"]]
    return policy
