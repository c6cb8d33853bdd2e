"""A proxy in front of moto, whose tasks run at once: some of them stay PENDING until they are released."""

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Longer than a call that waits for messages of a queue takes.
TIMEOUT = 60  # seconds


class PendingTasks(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint):
        """Forwards every request to the endpoint, and changes only the description of the tasks in `pending`."""
        self.endpoint, self.pending = endpoint, set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def described(self, body):
        """Returns the response of DescribeTasks with tasks that have neither started nor got an address."""
        response = json.loads(body)
        for task in response["tasks"]:
            if task["taskArn"] in self.pending:
                task.update(lastStatus="PENDING", attachments=[])
                for container in task["containers"]:
                    container["lastStatus"] = "PENDING"
        return json.dumps(response).encode()

    def stop(self):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # moto finds the service by these headers. The body's length and the host are those of the new request.
        new = ("host", "content-length")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in new}
        request = urllib.request.Request(self.server.endpoint + self.path, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                self._respond(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            self._respond(error.code, error.headers, error.read())

    def _respond(self, status, headers, body):
        if status == 200 and self.headers.get("X-Amz-Target", "").endswith(".DescribeTasks"):
            body = self.server.described(body)
        self.send_response(status)
        for name in ("Content-Type", "x-amzn-RequestId"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
