"""Runs the containers of a task definition as processes, as the ECS agent would start them.

entryPoint, command, environment, secrets and dependsOn come from the task definition. There are no containers, so
nothing is mounted: paths below a mount point are replaced by paths in the directory that represents the volume.
"""

import json
import re

from .wait import TIMEOUT


class NotStarted(Exception):
    """A container was not started because one that it depends on failed."""


class Task:
    def __init__(self, definition, directory, images, secret, environment):
        """images: container name to a function that starts its program: image(words, environment).
        secret(valueFrom) returns a secret's text; environment is added by ECS to every container."""
        self._definition = json.loads(definition)
        self._images, self._secret, self._environment = images, secret, environment
        self._volumes = {volume["name"]: directory / volume["name"] for volume in self._definition["volumes"]}
        for volume in self._volumes.values():
            volume.mkdir(parents=True)
        self.running = {}

    def start(self, name):
        """Starts a container after its dependencies, unless it is running; returns its process."""
        container = self._container(name)
        for dependency in container.get("dependsOn", []):
            self._await(dependency["containerName"], dependency["condition"])
        if name not in self.running:
            words = [self.on_host(name, word) for word in container.get("entryPoint", []) + container["command"]]
            self.running[name] = self._images[name](words, self._environment_of(container))
        return self.running[name]

    def on_host(self, name, text):
        """Replaces the mount points of a container in the text by their host directories."""
        for mount in self._container(name).get("mountPoints", []):
            path, volume = mount["containerPath"], self._volumes[mount["sourceVolume"]]
            text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", str(volume), text)
        return text

    def _await(self, name, condition):
        if name not in self._images:
            return
        program = self.start(name)
        if condition == "SUCCESS":
            code = program.popen.wait(TIMEOUT)
            if code != 0:
                raise NotStarted(f"{name} exited with {code}")
        else:
            assert condition == "START", f"unsupported condition {condition} for {name}"

    def _container(self, name):
        [found] = [each for each in self._definition["containerDefinitions"] if each["name"] == name]
        return found

    def _environment_of(self, container):
        defined = {each["name"]: each["value"] for each in container.get("environment", [])}
        secrets = {each["name"]: self._secret(each["valueFrom"]) for each in container.get("secrets", [])}
        return {**self._environment, **defined, **secrets}
