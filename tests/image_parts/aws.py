"""The simulated AWS, with the name server and the TLS proxy that the image needs to reach it like the real one."""

import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
import threading

from .shell import TOP, WORK, Unusable, cargo_metadata, output

# One awsvpc task on Fargate and one bridge task on EC2, so that both ECS and EC2 are called.
WORLD = {
    "region": "eu-central-1",
    "clusters": [{
        "name": "shop",
        "containerInstances": [{"id": "ci1", "ec2InstanceId": "i-0123456789abcdef0"}],
        "tasks": [{
            "id": "t1", "taskDefinition": "web:3",
            "containers": [{"name": "app", "networkInterfaces": [{"privateIpv4Address": "10.0.1.17"}]}],
        }, {
            "id": "t2", "taskDefinition": "worker:1", "launchType": "EC2", "containerInstance": "ci1",
            "containers": [{"name": "app", "networkBindings": [
                {"bindIP": "0.0.0.0", "containerPort": 8080, "hostPort": 32768, "protocol": "tcp"},
            ]}],
        }],
    }],
    "taskDefinitions": [
        {"family": family, "revision": revision, "networkMode": mode, "containerDefinitions": [
            {"name": "app", "image": family, "dockerLabels": {"PROMETHEUS_EXPORTER_PORT": port}},
        ]}
        for family, revision, mode, port in [("web", 3, "awsvpc", "9102"), ("worker", 1, "bridge", "8080")]
    ],
    "instances": [{"instanceId": "i-0123456789abcdef0", "privateIpAddress": "10.0.2.9"}],
}  # fmt: skip
TARGETS = {"10.0.1.17:9102", "10.0.2.9:32768"}


@contextlib.contextmanager
def simulated_aws():
    """Starts a simulated AWS and yields its loopback port."""
    output("cargo", "build", "--quiet", "--locked", "--package", "simaws", "--bin", "simaws", cwd=TOP)
    world = WORK / "world.json"
    world.write_text(json.dumps(WORLD))
    command = [f"{cargo_metadata()['target_directory']}/debug/simaws", "--world", str(world)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as aws:
        try:
            line = aws.stdout.readline()
            port = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if not port:
                raise Unusable(f"simaws did not print its address: {line!r}")
            yield int(port[1])
        finally:
            aws.terminate()


def authority(directory, name):
    """Creates a CA and a server certificate for the name; returns the paths of both certificates and the key."""
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    output(*new, "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt", cwd=directory)
    extensions = ("-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.crt")
    output(*new, "-subj", "/CN=test", *signed, *extensions, cwd=directory)
    return directory / "ca.crt", directory / "server.crt", directory / "server.key"


def in_tls(port, certificate, key):
    """Starts a TLS proxy for the port and returns its listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def serve(connection):
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as client:
            with socket.create_connection(("127.0.0.1", port)) as aws:
                threading.Thread(target=pump, args=(client, aws), daemon=True).start()
                pump(aws, client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True).start()
    return listener


def name_server(address):
    """Starts a DNS server that resolves every name to 127.0.0.1; returns it and the list of queried names."""
    queried = []
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                query, client = server.recvfrom(512)
                end = query.index(b"\0", 12) + 5
                queried.append(re.sub(rb"[\x00-\x1f]", b".", query[13 : end - 5]).decode())
                is_a = query[end - 4 : end - 2] == b"\0\1"
                head = query[:2] + b"\x81\x80" + struct.pack(">4H", 1, is_a, 0, 0)
                record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + b"\x7f\0\0\1"
                server.sendto(head + query[12:end] + record * is_a, client)

    threading.Thread(target=serve, daemon=True).start()
    return server, queried
