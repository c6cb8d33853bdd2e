"""The simulated AWS of tests/simaws as a process, with the calls that it has counted."""

import json
import urllib.request

from parts.process import Process, bare_environment


class SimAws(Process):
    def __init__(self, binary, world, directory):
        file = directory / "world.json"
        file.write_text(json.dumps(world))
        super().__init__([binary, "--world", file], directory / "simaws.log", bare_environment(directory))
        self.url = self.announces(r"http://127\.0\.0\.1:\d+")[0]

    def calls(self):
        """The IAM actions that were asked for."""
        with urllib.request.urlopen(f"{self.url}/_sim/calls", timeout=30) as answer:
            return set(json.load(answer))
