"""A task of a task definition: its containers' programs, started as the ECS agent starts containers.

What runs is what the definition says: entryPoint, command, environment, secrets, dependsOn. There is no container and
so nothing is mounted: a path below a mount point becomes one in the directory that stands for the volume.
"""

import json
import re

from .wait import PATIENCE


class NotStarted(Exception):
    """A container it depends on did not end well."""


class Task:
    def __init__(self, definition, directory, images, secret, environment):
        """images: container name to what starts its program: image(words, environment).
        secret(valueFrom) gives its text; environment is what ECS adds to every container's own."""
        self._definition = json.loads(definition)
        self._images, self._secret, self._environment = images, secret, environment
        self._volumes = {volume["name"]: directory / volume["name"] for volume in self._definition["volumes"]}
        for volume in self._volumes.values():
            volume.mkdir(parents=True)
        self.running = {}

    def start(self, name):
        """Gives the container's program, once it runs and what it depends on is as it should be."""
        container = self._container(name)
        for needed in container.get("dependsOn", []):
            self._await(needed["containerName"], needed["condition"])
        if name not in self.running:
            words = [self.seen_by(name, word) for word in container.get("entryPoint", []) + container["command"]]
            self.running[name] = self._images[name](words, self._its_environment(container))
        return self.running[name]

    def seen_by(self, name, text):
        """The text with the paths of the container's mount points replaced."""
        for mount in self._container(name).get("mountPoints", []):
            path, volume = mount["containerPath"], self._volumes[mount["sourceVolume"]]
            text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", str(volume), text)
        return text

    def _await(self, name, condition):
        if name not in self._images:
            return
        program = self.start(name)
        if condition == "SUCCESS":
            code = program.popen.wait(PATIENCE)
            if code != 0:
                raise NotStarted(f"{name} ended with {code}")
        else:
            assert condition == "START", f"nothing here knows when {name} is {condition}"

    def _container(self, name):
        [found] = [each for each in self._definition["containerDefinitions"] if each["name"] == name]
        return found

    def _its_environment(self, container):
        said = {each["name"]: each["value"] for each in container.get("environment", [])}
        secrets = {each["name"]: self._secret(each["valueFrom"]) for each in container.get("secrets", [])}
        return {**self._environment, **said, **secrets}
