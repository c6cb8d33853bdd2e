"""The simulated AWS of tests/simaws as a process."""

import json
import urllib.request

from parts.process import Process, clean_environment


class SimAws(Process):
    def __init__(self, binary, world, directory):
        file = directory / "world.json"
        file.write_text(json.dumps(world))
        super().__init__([binary, "--world", file], directory / "simaws.log", clean_environment(directory))
        self.url = self.wait_for_log(r"http://127\.0\.0\.1:\d+")[0]

    def calls(self):
        """Returns the IAM actions of all calls so far."""
        with urllib.request.urlopen(f"{self.url}/_sim/calls", timeout=30) as response:
            return set(json.load(response))
