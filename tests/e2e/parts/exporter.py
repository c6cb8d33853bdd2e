"""HTTP servers on loopback for Prometheus to scrape."""

import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class PageServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, page_at):
        """page_at(path) returns the bytes of a page, or None for 404."""
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = page_at(self.path)
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


class Exporter(PageServer):
    """Serves one metric, exporter_info{name="..."} 1, at one path."""

    def __init__(self, name, address="127.0.0.1", path="/metrics"):
        page = f'# TYPE exporter_info gauge\nexporter_info{{name="{name}"}} 1\n'.encode()
        super().__init__(address, lambda requested: page if requested == path else None)
        self.port = self.server_address[1]
        host = f"[{address}]" if ":" in address else address
        self.target = f"{host}:{self.port}"


class VpcProxy(PageServer):
    """An HTTP proxy that forwards scrapes of private addresses to exporters on loopback.

    moto chooses the addresses of Fargate tasks, and nothing can listen there. With this proxy as its
    proxy_url, Prometheus still requests exactly the targets in the file. Other targets get 404.
    """

    def __init__(self):
        self.exporters = {}
        super().__init__("127.0.0.1", self._fetch)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def _fetch(self, requested):
        url = urlsplit(requested)
        exporter = self.exporters.get(url.netloc)
        if exporter is None:
            return None
        with urllib.request.urlopen(f"http://{exporter.target}{url.path}", timeout=10) as page:
            return page.read()
