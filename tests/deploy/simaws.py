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
        return set(self._get("calls"))

    def calls_by_scope(self):
        """Returns the IAM actions of the calls for each account and region, by ACCOUNT/REGION."""
        return {scope: set(calls) for scope, calls in self._get("calls/scopes").items()}

    def _get(self, path):
        with urllib.request.urlopen(f"{self.url}/_sim/{path}", timeout=30) as response:
            return json.load(response)
