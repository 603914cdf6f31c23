"""Runs nginx with deploy/nginx.conf against two small servers and asks whether it does what it promises.

Usage: check_nginx.py NGINX. Changed for the test are only: paths, the port that is listened on, and the name server (a
small one here, which answers `serve` with two loopback addresses as Docker's does for two replicas).
"""

import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPLICAS = ("127.0.0.2", "127.0.0.3")
DEADLINE_SECONDS = 20


class Replica(http.server.BaseHTTPRequestHandler):
    """Tells what reached it; streams events; breaks off on demand."""

    protocol_version = "HTTP/1.1"
    broken = set()  # addresses that take a request and hang up
    posts = []  # addresses that saw a POST

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        address = self.server.server_address[0]
        if self.command == "POST":
            Replica.posts.append(address)
        if address in Replica.broken:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.path == "/api/v1/stream":
            self.stream()
            return
        body = json.dumps(
            {"at": address, "path": self.path, "headers": dict(self.headers), "length": length, "filler": "晒" * 2000}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        # The second event comes only once the test has seen the first: a buffering proxy never gets there.
        if self.server.first_event_seen.wait(DEADLINE_SECONDS):
            self.wfile.write(b"data: second\n\n")
        self.close_connection = True


def serve_replica(address: str, port: int) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer((address, port), Replica)
    server.daemon_threads = True
    server.first_event_seen = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def serve_names(server: socket.socket) -> None:
    """A name server that knows `serve` alone."""
    while True:
        try:
            query, client = server.recvfrom(512)
        except OSError:
            return
        question_end = query.index(b"\0", 12) + 5
        question = query[12:question_end]
        known = question.startswith(b"\5serve\0") and question[-4:-2] == b"\0\1"
        addresses = [socket.inet_aton(address) for address in REPLICAS] if known else []
        flags = 0x8180 if known else 0x8183
        header = query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + address for address in addresses)
        server.sendto(header + question + records, client)


def free_port(*addresses: str) -> int:
    """A port that is free on each of these addresses."""
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
            try:
                for address in addresses[1:]:
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return port
    raise SystemExit("check_nginx: FAILED: no port is free on all of " + ", ".join(addresses))


def replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise SystemExit(f"check_nginx: FAILED: deploy/nginx.conf has no {old!r} any more; adapt this check")
    return text.replace(old, new)


def write_configuration(prefix: pathlib.Path, port: int, replica_port: int, names_port: int, trusted: str) -> None:
    text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    mime_types = pathlib.Path("/etc/nginx/mime.types")
    if mime_types.is_file():
        shutil.copy(mime_types, prefix / "mime.types")
    else:
        (prefix / "mime.types").write_text("types { text/html html; }\n")
    (prefix / "trusted_proxies.conf").write_text((ROOT / "deploy/trusted_proxies.conf").read_text() + trusted)
    text = replaced(text, "/etc/nginx/", f"{prefix}/")
    text = replaced(text, "/dev/stdout", f"{prefix}/access.log")
    text = replaced(text, "/dev/stderr", f"{prefix}/error.log")
    text = replaced(text, "listen 80 default_server", f"listen 127.0.0.1:{port} default_server")
    text = replaced(text, "http://serve:8080", f"http://serve:{replica_port}")
    text = replaced(text, "resolver 127.0.0.11 ", f"resolver 127.0.0.1:{names_port} ")
    text = replaced(text, "worker_rlimit_nofile 65536;", "")  # an unprivileged user may not raise it
    paths = "".join(
        f"    {kind}_temp_path {prefix}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = replaced(text, "http {\n", "http {\n" + paths)
    user = "user root;\n" if os.geteuid() == 0 else ""  # the files here belong to whoever runs the check
    (prefix / "nginx.conf").write_text(f"{user}pid {prefix}/nginx.pid;\ndaemon off;\n" + text, encoding="utf-8")


def request(port: int, method: str, path: str, body: bytes | None = None, headers: dict | None = None):
    """Status, headers and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@contextlib.contextmanager
def running(nginx: str, prefix: pathlib.Path, port: int):
    command = [nginx, "-p", str(prefix), "-c", str(prefix / "nginx.conf"), "-e", str(prefix / "error.log")]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    if tested.returncode != 0:
        log = (prefix / "error.log").read_text() if (prefix / "error.log").exists() else ""
        raise SystemExit(f"check_nginx: FAILED: nginx -t:\n{tested.stderr}{log}")
    process = subprocess.Popen(command)
    try:
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("check_nginx: FAILED: nginx does not start:\n" + (prefix / "error.log").read_text())
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"check_nginx: FAILED: {what}")


def check_headers(port: int) -> None:
    claims = {"X-Request-Id": "abc-123_DEF.45", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
    status, _, body = request(port, "GET", "/livez?phone=13900000000", headers=claims)
    seen = json.loads(body)
    expect(status == 200 and seen["path"] == "/livez?phone=13900000000", "the path arrives as it was sent")
    headers = seen["headers"]
    expect(headers["X-Request-Id"] == "abc-123_DEF.45", "a harmless request id is passed on")
    expect(headers["X-Forwarded-For"] == "127.0.0.1", "a stranger's X-Forwarded-For is replaced")
    expect(headers["X-Forwarded-Proto"] == "http", "a stranger's X-Forwarded-Proto is replaced")
    expect(headers["Host"] == f"127.0.0.1:{port}", "the host is passed on")
    _, _, body = request(port, "GET", "/livez", headers={"X-Request-Id": "a b\"c"})
    expect(len(json.loads(body)["headers"]["X-Request-Id"]) == 32, "a strange request id is replaced")


def check_trusted_gateway(port: int) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "X-Forwarded-Proto": "https"}
    headers = json.loads(request(port, "GET", "/livez", headers=claims)[2])["headers"]
    expect(headers["X-Forwarded-For"] == "203.0.113.9", "a trusted gateway names the caller")
    expect(headers["X-Forwarded-Proto"] == "https", "a trusted gateway names the scheme")


def check_compression(port: int) -> None:
    _, headers, body = request(port, "GET", "/api/v1/orders", headers={"Accept-Encoding": "gzip"})
    expect(headers.get("Content-Encoding") == "gzip", "JSON is compressed")
    expect("晒" in json.loads(gzip.decompress(body))["filler"], "and can be read")


def check_limits(port: int) -> None:
    megabyte = b"x" * 1024 * 1024
    status, _, body = request(port, "POST", "/api/v1/media", megabyte * 11)
    expect(status == 200 and json.loads(body)["length"] == 11 * len(megabyte), "a picture of 11 MiB passes")
    for path, size in (("/api/v1/orders", 2), ("/api/v1/media", 13)):
        # Only the head is sent: the announced length is enough to be refused.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(size * len(megabyte)))
        connection.endheaders()
        response = connection.getresponse()
        problem = json.loads(response.read())
        connection.close()
        expect(response.status == 413, f"{size} MiB to {path} is refused")
        expect(response.headers.get_content_type() == "application/problem+json", "as a problem")
        expect(problem["code"] == "payload_too_large" and problem["status"] == 413, "with its code")
    expect(request(port, "GET", "/metrics")[0] == 404, "/metrics is hidden")


def check_stream(port: int, replicas: list) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    connection.request("GET", "/api/v1/stream", headers={"Accept-Encoding": "gzip"})
    try:
        response = connection.getresponse()
        first = response.readline()
    except TimeoutError:
        raise SystemExit("check_nginx: FAILED: an event waits in a buffer of nginx") from None
    expect(first == b"data: first\n", f"the first event comes at once, uncompressed; came: {first!r}")
    for replica in replicas:
        replica.first_event_seen.set()
    expect(b"data: second\n" in response.read(), "and the second after it")
    connection.close()


def check_replicas(port: int, replicas: list) -> None:
    seen = {json.loads(request(port, "GET", "/livez")[2])["at"] for _ in range(40)}
    expect(seen == set(REPLICAS), f"both replicas are asked; asked: {sorted(seen)}")

    Replica.broken = {REPLICAS[0]}
    for method in ("GET", "PUT"):
        statuses = [request(port, method, "/livez")[0] for _ in range(20)]
        expect(statuses == [200] * 20, f"{method} goes on to the next replica when one breaks off: {statuses}")
    Replica.posts.clear()
    statuses = [request(port, "POST", "/api/v1/orders", b"{}")[0] for _ in range(20)]
    expect(len(Replica.posts) == 20, f"a POST is never sent twice: sent {len(Replica.posts)} times instead of 20")
    expect(set(statuses) == {200, 503}, f"and its caller learns which ones broke: {statuses}")
    Replica.broken = set()

    replicas[0].shutdown()
    replicas[0].server_close()
    statuses = [request(port, "POST", "/api/v1/orders", b"{}")[0] for _ in range(20)]
    expect(statuses == [200] * 20, f"a POST that reached nobody goes to the other replica: {statuses}")
    replicas[1].shutdown()
    replicas[1].server_close()
    status, headers, body = request(port, "GET", "/api/v1/orders", headers={"X-Request-Id": "wanted-id"})
    problem = json.loads(body)
    expect(status == 503 and headers["Retry-After"] == "2", f"without replicas: 503 and Retry-After, not {status}")
    expect(headers.get_content_type() == "application/problem+json", "as a problem")
    expect(problem["requestId"] == "wanted-id" and problem["code"] == "unavailable", "with the request's id")


def check_log(prefix: pathlib.Path) -> None:
    lines = [json.loads(line) for line in (prefix / "access.log").read_text(encoding="utf-8").splitlines()]
    expect(any(line["requestId"] == "abc-123_DEF.45" for line in lines), "the access log has the request ids")
    expect("13900000000" not in (prefix / "access.log").read_text(), "the access log has no query")


def main() -> None:
    nginx = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="xingfuma-nginx-") as folder, contextlib.ExitStack() as stack:
        prefix = pathlib.Path(folder)
        port, replica_port = free_port("127.0.0.1"), free_port(*REPLICAS)
        names = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        names.bind(("127.0.0.1", 0))
        threading.Thread(target=serve_names, args=(names,), daemon=True).start()
        replicas = [serve_replica(address, replica_port) for address in REPLICAS]
        names_port = names.getsockname()[1]
        write_configuration(prefix, port, replica_port, names_port, "set_real_ip_from 127.0.0.1;\n")
        with running(nginx, prefix, port):
            check_trusted_gateway(port)
        write_configuration(prefix, port, replica_port, names_port, "")
        with running(nginx, prefix, port):
            check_headers(port)
            check_compression(port)
            check_limits(port)
            check_stream(port, replicas)
            check_replicas(port, replicas)
        check_log(prefix)
    print("check_nginx: nginx -t, headers, limits, stream, compression, fail-over and log are as promised")


if __name__ == "__main__":
    main()
