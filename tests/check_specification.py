"""Runs Schemathesis over the served specification, as each kind of caller, against the program on SQLite.

    target/venv/bin/python tests/check_specification.py [PROGRAM] [--seconds N]

Prints the number of requests. Whatever a generated client sends, good or bad: no server error, only statuses, types and
bodies that the specification names.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
ROLES = ["resident", "volunteer", "dispatcher", "operator", "county_admin", "auditor"]
# These end the session, or the person, that asks.
ENDINGS = r"^(POST /api/v1/auth/logout|DELETE /api/v1/me)$"
READY_WITHIN = 240


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(base, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def wait_until_ready(base, process):
    begun = time.monotonic()
    while time.monotonic() - begun < READY_WITHIN:
        if process.poll() is not None:
            sys.exit(f"the program ended with {process.returncode}")
        try:
            call(base, "/readyz")
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("the program did not get ready")


def log_in(base, account):
    login = account["login"]
    if "wechatCode" in login:
        answer = call(base, "/api/v1/auth/wechat", {"code": login["wechatCode"]})
    else:
        answer = call(base, "/api/v1/auth/password", login)
    return json.loads(answer)["accessToken"]


def run(base, role, token, seconds, directory):
    report = directory / f"{role}.json"
    command = [
        SCHEMATHESIS, "run", f"{base}/api/v1/openapi.json", "--no-color", "--checks", ",".join(CHECKS),
        "--phases", "coverage,fuzzing", "--max-time", str(seconds), "--request-timeout", "20",
        "--continue-on-failure", "--generation-database", "none", "--seed", "1", "--warnings", "off",
        "--exclude-path-regex", "logout$", "--exclude-operation-id", "erase",
        "--report", "json", "--report-json-path", str(report),
    ]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    cases = re.search(r"(\d[\d,]*) generated", done.stdout)
    print(f"{role}: {cases[0] if cases else 'no cases'}, {'passed' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode != 0:
        print(done.stdout[-60_000:])
    return done.returncode == 0, int(cases[1].replace(",", "")) if cases else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=ROOT / "target" / "debug" / "xingfuma")
    parser.add_argument("--seconds", type=int, default=8, help="for each kind of caller")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="xingfuma-schemathesis-"))
    base = f"http://127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XINGFUMA_")}
    environment["XINGFUMA_LIMITS__FACTOR"] = "100000"
    arguments = [asked.program, "demo", "--data-dir", directory / "data", "--listen", base.removeprefix("http://")]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(base, process)
        accounts = json.loads((directory / "data" / "demo-accounts.json").read_text())["accounts"]
        first = {}
        for account in accounts:
            first.setdefault(account["role"], account)
        outcomes = [run(base, "anonymous", None, asked.seconds, directory)]
        for role in ROLES:
            outcomes.append(run(base, role, log_in(base, first[role]), asked.seconds, directory))
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(directory, ignore_errors=True)
    total = sum(cases for _, cases in outcomes)
    print(f"Schemathesis: {total} requests as {len(outcomes)} kinds of callers")
    if total == 0 or not all(passed for passed, _ in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
