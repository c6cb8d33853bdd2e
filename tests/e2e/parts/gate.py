"""Where a remote_write over TLS with a bearer token ends: the gate in front of somebody's metrics store."""

import ssl
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme


class Gate(ThreadingHTTPServer):
    """Forwards what bears the token to a Prometheus that receives, and counts what does not."""

    daemon_threads = True

    def __init__(self, token, receiver, directory):
        self.passed = self.refused = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Authorization"] == f"Bearer {token}":
                    gate.passed += 1
                    self.send_response(_forward(f"{receiver}/api/v1/write", body, self.headers))
                else:
                    gate.refused += 1
                    self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        authority = trustme.CA()
        self.authority = directory / "gate-authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        # The handshake is left to the thread of each connection: here it would hold up all others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


def _forward(url, body, headers):
    """The receiver's status."""
    kept = {name: text for name, text in headers.items() if name.startswith(("Content-", "X-Prometheus-"))}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, kept), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
