"""The task definition names the secret; CloudFormation and Terraform get its ARN, which has six more characters."""

from examples import ECS, document

SECRET_WITHOUT_SUFFIX = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecs-prometheus"


def with_secret(arn, file):
    """Returns the example file, with placeholders replaced and the secret named by this ARN."""
    def by_arn(node):
        if isinstance(node, dict):
            return {key: by_arn(value) for key, value in node.items()}
        if isinstance(node, list):
            return [by_arn(value) for value in node]
        if isinstance(node, str):
            return node.replace(f"{SECRET_WITHOUT_SUFFIX}-??????", arn).replace(f"{SECRET_WITHOUT_SUFFIX}:", f"{arn}:")
        return node

    return by_arn(document(ECS / file))


def with_lists(policy):
    """Turns every Action of the policy into a list; a single action may be a string."""
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], str):
            statement["Action"] = [statement["Action"]]
    return policy
