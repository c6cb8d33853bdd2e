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
        return self._resolver(names, attributes).resolve(self.document["Resources"][resource]["Properties"])

    def rejections(self, names):
        """Returns the descriptions of the assertions in Rules that these parameters violate."""
        resolver = self._resolver(names, {})
        return [
            assertion["AssertDescription"] for rule in self.document["Rules"].values()
            if resolver.resolve(rule["RuleCondition"])
            for assertion in rule["Assertions"] if not resolver.resolve(assertion["Assert"])
        ]  # fmt: skip

    def without_conditions(self, given):
        """Returns the template with its conditions evaluated for these parameters.

        moto does not remove AWS::NoValue from lists.
        """
        defaults = {name: str(each.get("Default")) for name, each in self.document["Parameters"].items()}
        resolver = self._resolver(defaults | given, {})
        resources = {
            name: {key: value for key, value in resolver.choose(each).items() if key != "Condition"}
            for name, each in self.document["Resources"].items()
            if "Condition" not in each or resolver.condition(each["Condition"])
        }  # fmt: skip
        return {**self.document, "Resources": resources, "Conditions": {}, "Rules": {}}

    def _resolver(self, names, attributes):
        return _Resolver(self.document.get("Conditions", {}), names, attributes)


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
            if function == "Condition" and argument in self.conditions:
                return self.condition(argument)
        resolved = {str(key): self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NOTHING}

    def choose(self, node):
        """Resolves only Fn::If, and removes AWS::NoValue."""
        if isinstance(node, list):
            return [value for value in map(self.choose, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if node == {"Ref": "AWS::NoValue"}:
            return NOTHING
        if node.keys() == {"Fn::If"}:
            condition, then, otherwise = node["Fn::If"]
            return self.choose(then if self.condition(condition) else otherwise)
        chosen = {str(key): self.choose(value) for key, value in node.items()}
        return {key: value for key, value in chosen.items() if value is not NOTHING}

    def _ref(self, name):
        return NOTHING if name == "AWS::NoValue" else self.names[name]

    def _getatt(self, path):
        return self.attributes[path if isinstance(path, str) else ".".join(path)]

    def _sub(self, text):
        return re.sub(r"\$\{([^}]+)\}", lambda found: self.names[found[1]], text)

    def _split(self, argument):
        delimiter, text = self.resolve(argument)
        return text.split(delimiter)

    def _equals(self, pair):
        one, other = self.resolve(pair)
        return str(one) == str(other)

    def _not(self, argument):
        [inner] = argument
        return not self.resolve(inner)

    def _and(self, conditions):
        return all(map(self.resolve, conditions))

    def _or(self, conditions):
        return any(map(self.resolve, conditions))

    def condition(self, name):
        return self.resolve(self.conditions[name])

    def _if(self, argument):
        condition, then, otherwise = argument
        return self.resolve(then if self.condition(condition) else otherwise)


def as_api(shape, value):
    """Renames members for botocore's shape, where they begin with a lower-case letter; map keys stay unchanged."""
    if shape.type_name == "structure":
        named = {key[0].lower() + key[1:]: inner for key, inner in value.items()}
        return {key: as_api(shape.members[key], inner) for key, inner in named.items()}
    if shape.type_name == "list":
        return [as_api(shape.member, inner) for inner in value]
    return int(value) if shape.type_name == "integer" else value
