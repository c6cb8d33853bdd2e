"""A remote_write endpoint: TLS and an authorization in front of a metrics store."""

import ssl
import threading
import urllib.error
import urllib.request
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme


Request = namedtuple("Request", "url headers body")


class ReceiverProxy(ThreadingHTTPServer):
    """Forwards authorized requests to a receiving Prometheus, and counts accepted and rejected requests."""

    daemon_threads = True

    def __init__(self, authorized, receiver, directory):
        """authorized: whether a Request may pass."""
        self.accepted = self.rejected = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if authorized(Request(f"https://{proxy.host}{self.path}", self.headers, body)):
                    proxy.accepted += 1
                    self.send_response(_forward(f"{receiver}/api/v1/write", body, self.headers))
                else:
                    proxy.rejected += 1
                    self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        authority = trustme.CA()
        self.authority = directory / "receiver-authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        # The handshake runs in the thread of each connection: in the accept loop, one client could block all others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


def _forward(url, body, headers):
    """Sends the request on and returns the receiver's status."""
    forwarded = {name: text for name, text in headers.items() if name.startswith(("Content-", "X-Prometheus-"))}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, forwarded), timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
