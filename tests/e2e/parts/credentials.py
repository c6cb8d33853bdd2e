"""The credentials endpoint that the ECS agent provides to the containers of a task."""

import json

from .exporter import PageServer


class CredentialsEndpoint(PageServer):
    def __init__(self, session, role_arn):
        """session: the Credentials in a response of STS AssumeRole."""
        page = {
            "RoleArn": role_arn, "AccessKeyId": session["AccessKeyId"], "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"], "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        body = json.dumps(page).encode()
        super().__init__("127.0.0.1", lambda requested: body if requested == "/task-role" else None)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/task-role"
