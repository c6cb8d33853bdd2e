"""moto's server: ECS, EC2, STS and IAM on one loopback port, by people who never saw our code."""

import json
import ssl
import sys
import urllib.request

from .process import Process, bare_environment


class Moto(Process):
    trust = None

    def __init__(self, directory, authority=None):
        """With an authority (of trustme) over TLS, with a certificate that it has signed."""
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        if authority:
            certificate = directory / "moto.pem"
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
            argv += ["-s", "-c", certificate, "-k", certificate]
            self.trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        super().__init__(argv, directory / "moto.log", bare_environment(directory))
        self.endpoint = self.announces(r"Running on (https?://127\.0\.0\.1:\d+)")[1]

    def reset(self):
        """An empty AWS that enforces nothing and in which a task runs until it is stopped.

        Without the last, moto moves a task one status on, towards STOPPED, at every DescribeTasks.
        """
        self.check_permissions(False)
        self._post("reset")
        still = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 10**9}}
        self._post("state-manager/set-transition", json.dumps(still), "application/json")

    def check_permissions(self, on=True):
        """From now on signatures and IAM policies count (or no longer do)."""
        self._post("reset-auth", "0" if on else "inf")

    def _post(self, what, body="", content_type="text/plain"):
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/{what}", body.encode(), {"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=30, context=self.trust) as answer:
            assert answer.status in (200, 201), answer.status
