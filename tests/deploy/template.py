"""Evaluates a CloudFormation template: resolves references, and names members as in the API.

moto creates stacks, but drops most properties of ECS task definitions and services, and renames map keys. Therefore the
tests compute the requests that CloudFormation would send to ECS, and send them themselves.
"""

import re

from cfnlint.decode import cfn_yaml


class Template:
    def __init__(self, file):
        self.document = cfn_yaml.load(str(file))

    def properties(self, resource, names, attributes):
        """Evaluates a resource. names: values of Ref; attributes: values of Fn::GetAtt by "Resource.Attribute"."""
        return _Resolver(self.document.get("Conditions", {}), names, attributes).resolve(
            self.document["Resources"][resource]["Properties"]
        )


NOTHING = object()


class _Resolver:
    def __init__(self, conditions, names, attributes):
        self.conditions, self.names, self.attributes = conditions, names, attributes

    def resolve(self, node):
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(function, argument)] = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return getattr(self, "_" + function.removeprefix("Fn::").lower())(argument)
        return {str(key): self.resolve(value) for key, value in node.items()}

    def _ref(self, name):
        return NOTHING if name == "AWS::NoValue" else self.names[name]

    def _getatt(self, path):
        return self.attributes[path if isinstance(path, str) else ".".join(path)]

    def _sub(self, text):
        return re.sub(r"\$\{([^}]+)\}", lambda found: self.names[found[1]], text)

    def _equals(self, pair):
        one, other = self.resolve(pair)
        return one == other

    def _if(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self.resolve(self.conditions[condition]) else otherwise)


def as_api(shape, value):
    """Renames members for botocore's shape, where they begin with a lower-case letter; map keys stay unchanged."""
    if shape.type_name == "structure":
        named = {key[0].lower() + key[1:]: inner for key, inner in value.items()}
        return {key: as_api(shape.members[key], inner) for key, inner in named.items()}
    if shape.type_name == "list":
        return [as_api(shape.member, inner) for inner in value]
    return int(value) if shape.type_name == "integer" else value
