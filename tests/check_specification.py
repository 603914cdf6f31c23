"""Runs Schemathesis over the served specification, as each role in turn, against the program on SQLite.

    target/venv/bin/python tests/check_specification.py [PROGRAM] [--long] [--role ROLE]

Whatever a client sends that was generated from the specification, good or bad: no server error, only statuses, types,
headers and bodies that the specification names; what it calls wrong is refused, what it calls right is not refused for
its shape; a method that is not there is 405 with `Allow`; what asks who one is does not answer nobody.

Prints the number of cases, for each role and in all. Before anything else it shows that it can fail: a specification with
a wrong schema is found out.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
READY_WITHIN = 240

# All checks that Schemathesis has, but for those named here.
LEFT_OUT = {
    # Asks as a second person of one's choosing about what the first has made. tests/tests/access does that for every
    # operation and every relation, and knows which relations may see it.
    "object_level_authorization",
}
CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
}
CONFIGURATION = """
# What a schema cannot say is refused as 422 with the fields that are wrong: whether a category is there, a time is over,
# a code is somebody's. 410 and 412: it is not in force any more, it has changed meanwhile.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "410", "412", "422", "429"]

# One of two parameters is needed, or three together: a specification has no word for that.
[[operations]]
include-path = "/api/v1/audit"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404"]

[[operations]]
include-path = "/api/v1/media/{id}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404", "410"]

# Nor for bytes that are a picture.
[[operations]]
include-path = "/api/v1/media"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "413", "415", "422", "429"]
"""
# It never ends; tests/tests/stream.rs listens to it. Logging out and erasure end whoever asks; the access table has them.
ENDLESS = ["/auth/logout", "/stream"]
ERASE = "delete_me"
EXCLUDED = ["--exclude-path-regex", f"({'|'.join(ENDLESS)})$", "--exclude-operation-id", ERASE]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Person:
    """Somebody who has logged in once. A token lives for five minutes and is refreshed: the generated log-ins lock the
    accounts that stand in the specification's examples."""

    def __init__(self, base, account):
        self.base = base
        login = account["login"]
        path, body = ("wechat", {"code": login["wechatCode"]}) if "wechatCode" in login else ("password", login)
        self.session = call(base, f"/api/v1/auth/{path}", body)
        self.id = self.session["user"]["id"]

    def is_there(self):
        """Whether he can still log in and ask: who was erased or logged out on the way is refused everything, and that
        would pass for an answer."""
        try:
            return call(self.base, "/api/v1/me", token=self.token())["id"] == self.id
        except urllib.error.HTTPError:
            return False

    def token(self):
        self.session = call(self.base, "/api/v1/auth/refresh", {"refreshToken": self.session["refreshToken"]})
        return self.session["accessToken"]


def call(base, path, body=None, token=None, method=None):
    headers = {"Content-Type": "application/json", "Idempotency-Key": os.urandom(8).hex()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text


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


def everybody(base, accounts):
    """Somebody of each role, and nobody."""
    grid = next(account["areaCode"] for account in accounts if account["role"] == "grid_leader")

    def first(role, area=None):
        found = (one for one in accounts if one["role"] == role and area in (None, one["areaCode"]))
        return Person(base, next(found))

    people = {role: first(role) for role in
              ["resident", "volunteer", "grid_leader", "operator", "department", "county_admin", "auditor"]}
    people["dispatcher of the village"] = first("dispatcher", grid[:12])
    people["dispatcher of the township"] = first("dispatcher", grid[:9])
    people["shopkeeper"] = Person(base, [one for one in accounts if one["role"] == "volunteer"][1])
    township = people["dispatcher of the township"].token()
    shop = call(base, "/api/v1/shop/shops", {"areaCode": grid[:9], "name": "爱心超市"}, township)
    call(base, f"/api/v1/shop/shops/{shop['id']}/keepers", {"personIds": [people["shopkeeper"].id]}, township, "PUT")
    return {"nobody": None, **people}


class Runner:
    def __init__(self, base, directory):
        self.base, self.directory = base, directory
        (directory / "schemathesis.toml").write_text(CONFIGURATION)

    def run(self, name, location, person, options):
        """Answers whether nothing was found, how many cases there were, and what was said."""
        command = [
            SCHEMATHESIS, "run", location, "--url", self.base, "--no-color", "--checks", ",".join(sorted(CHECKS)),
            "--request-timeout", "30", "--continue-on-failure", "--generation-database", "none", "--seed", "1",
            "--warnings", "off", "--no-shrink", *EXCLUDED, *options,
        ]
        if person:
            command += ["--header", f"Authorization: Bearer {person.token()}"]
        place = self.directory / re.sub(r"\W", "-", name)
        place.mkdir()
        shutil.copy(self.directory / "schemathesis.toml", place)
        begun = time.monotonic()
        done = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        generated = re.search(r"([\d,]+) generated", done.stdout)
        cases = int(generated[1].replace(",", "")) if generated else 0
        whole = cases > 0 and (person is None or person.is_there())
        passed = done.returncode == 0 and whole
        word = "passed" if passed else "FAILED"
        print(f"{name}: {cases} cases in {time.monotonic() - begun:.0f} s, {word}", flush=True)
        return passed, cases, done.stdout


def nothing_else_is_left_out(specification):
    """What is left out is left out by name, and a name that is none leaves out nothing."""
    document = json.loads(specification)
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert operations.count(ERASE) == 1, f"no operation is called {ERASE}"
    for end in ENDLESS:
        assert sum(path.endswith(end) for path in document["paths"]) == 1, f"no path ends with {end}"


def can_fail(runner, specification, person):
    """A schema that is not what is served is found out, or the whole check means nothing."""
    wrong = json.loads(specification)
    wrong["components"]["schemas"]["MeJson"]["properties"]["id"] = {"type": "integer"}
    file = runner.directory / "wrong.json"
    file.write_text(json.dumps(wrong))
    options = ["--include-path", "/api/v1/me", "--phases", "coverage"]
    passed, cases, said = runner.run("a wrong specification, which must fail", str(file), person, options)
    if passed or cases == 0 or not person.is_there() or "Response violates schema" not in said:
        print(said)
        sys.exit("a wrong schema was not found: this check checks nothing")


def tasks(people, long):
    """Who runs which phases. Coverage is the same cases for everybody, some thousands of them: in the short form one role
    goes through all of them, and everybody through generated ones."""
    for role, person in people.items():
        if long:
            yield role, person, ["--phases", "examples,coverage,fuzzing,stateful", "-n", "20", "--max-time", "280"]
            continue
        if role == "county_admin":
            yield f"{role}, every edge", person, ["--phases", "coverage"]
        yield role, person, ["--phases", "examples,fuzzing,stateful", "-n", "2"]


def check(program, long, only):
    directory = Path(tempfile.mkdtemp(prefix="xingfuma-schemathesis-"))
    base = f"http://127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XINGFUMA_")}
    environment["XINGFUMA_LIMITS__FACTOR"] = "100000"
    arguments = [program, "demo", "--data-dir", directory / "data", "--listen", base.removeprefix("http://")]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(base, process)
        accounts = json.loads((directory / "data" / "demo-accounts.json").read_text())["accounts"]
        people = everybody(base, accounts)
        runner = Runner(base, directory)
        specification = directory / "openapi.json"
        with urllib.request.urlopen(f"{base}/api/v1/openapi.json", timeout=30) as answer:
            specification.write_bytes(answer.read())
        nothing_else_is_left_out(specification.read_text())
        can_fail(runner, specification.read_text(), people["resident"])
        chosen = [task for task in tasks(people, long) if only is None or task[0].startswith(only)]
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            runs = [pool.submit(runner.run, name, str(specification), person, options)
                    for name, person, options in chosen]
            outcomes = [run.result() for run in runs]
        still_there = call(base, "/readyz")
        assert process.poll() is None and still_there is not None
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(directory, ignore_errors=True)
    for passed, _, said in outcomes:
        if not passed:
            print(said[-40_000:])
    total = sum(cases for _, cases, _ in outcomes)
    print(f"Schemathesis: {total} cases as {len(outcomes) if only else len(people)} kinds of callers; "
          f"left out: {', '.join(sorted(LEFT_OUT))}")
    return bool(outcomes) and all(passed for passed, _, _ in outcomes)


def built() -> Path:
    """The program as cargo has built it."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "xingfuma"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=built())
    parser.add_argument("--long", action="store_true", help="every phase as every role, about an hour")
    parser.add_argument("--role", help="only roles that begin with this")
    asked = parser.parse_args()
    if not check(asked.program, asked.long, asked.role):
        sys.exit(1)


if __name__ == "__main__":
    main()
