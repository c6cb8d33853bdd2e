"""Things on loopback that Prometheus really scrapes."""

import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Pages(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, answer):
        """answer(path) gives the page's bytes, or None where there is no such page."""
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = answer(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, *_):
                pass

        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Exporter(Pages):
    """One metric, exporter_says{word="..."} 1, on one path."""

    def __init__(self, word, address="127.0.0.1", path="/metrics"):
        page = f'# TYPE exporter_says gauge\nexporter_says{{word="{word}"}} 1\n'.encode()
        super().__init__(address, lambda asked: page if asked == path else None)
        self.port = self.server_address[1]
        host = f"[{address}]" if ":" in address else address
        self.target = f"{host}:{self.port}"


class Road(Pages):
    """The way into the VPC: an HTTP proxy that knows which exporter is behind which private address.

    A Fargate task's address is moto's to choose and none of ours, so Prometheus is given this as its
    proxy_url. It still asks for exactly the target in the file, and any other one is not found.
    """

    def __init__(self):
        self.leads_to = {}
        super().__init__("127.0.0.1", self._fetch)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def _fetch(self, asked):
        url = urlsplit(asked)
        exporter = self.leads_to.get(url.netloc)
        if exporter is None:
            return None
        with urllib.request.urlopen(f"http://{exporter.target}{url.path}", timeout=10) as page:
            return page.read()
