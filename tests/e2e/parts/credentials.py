"""The credentials endpoint that the ECS agent gives to every container of a task."""

import json

from .exporter import Pages


class CredentialsEndpoint(Pages):
    def __init__(self, session, role_arn):
        """session: the Credentials of STS's answer."""
        page = {
            "RoleArn": role_arn, "AccessKeyId": session["AccessKeyId"], "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"], "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        super().__init__("127.0.0.1", lambda asked: json.dumps(page).encode() if asked == "/task-role" else None)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/task-role"
