"""moto's server: an independent implementation of ECS, EC2, STS and IAM on one loopback port."""

import json
import ssl
import sys
import urllib.request

from .process import Process, clean_environment


class Moto(Process):
    trust = None

    def __init__(self, directory, authority=None):
        """Serves HTTPS if an authority (trustme.CA) is given, with a certificate signed by it."""
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        if authority:
            certificate = directory / "moto.pem"
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
            argv += ["-s", "-c", certificate, "-k", certificate]
            self.trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        super().__init__(argv, directory / "moto.log", clean_environment(directory))
        self.endpoint = self.wait_for_log(r"Running on (https?://127\.0\.0\.1:\d+)")[1]

    def reset(self):
        """Removes all resources, stops enforcing permissions and lets tasks run until they are stopped.

        By default moto advances a task by one status, towards STOPPED, in every DescribeTasks call.
        """
        self._post("reset-auth", "inf")
        self._post("reset")
        manual = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 10**9}}
        self._post("state-manager/set-transition", json.dumps(manual), "application/json")

    def enforce_permissions(self):
        """Checks signatures and IAM policies from now on."""
        self._post("reset-auth", "0")

    def _post(self, path, body="", content_type="text/plain"):
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/{path}", body.encode(), {"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=30, context=self.trust) as response:
            assert response.status in (200, 201), response.status
