"""Checks docker-compose.yml, deploy/env.example, Dockerfile and .dockerignore against each other."""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIRED = {
    "XINGFUMA_DATABASE__URL",
    "XINGFUMA_REDIS__URL",
    "XINGFUMA_LISTEN",
    "XINGFUMA_PUBLIC_URL",
    "XINGFUMA_KEYS__DATA",
    "XINGFUMA_KEYS__TOKEN",
    "XINGFUMA_KEYS__INDEX",
    "XINGFUMA_WECHAT__APPID",
    "XINGFUMA_WECHAT__SECRET",
    "XINGFUMA_TRUSTED_PROXIES",
    "XINGFUMA_COUNTY__CODE",
    "XINGFUMA_MEDIA__FOLDER",
}
# What may be left out: empty values are as good as none.
OPTIONAL = {
    "XINGFUMA_KEYS__DATA_OLD",
    "XINGFUMA_CORS__ORIGINS",
    "XINGFUMA_STAFF__SECOND_FACTOR",
    "XINGFUMA_WECHAT__PUSH_TOKEN",
    "XINGFUMA_WECHAT__ENCODING_AES_KEY",
}
# The owner of the database's tables, for `migrate` alone.
OWNER = "XINGFUMA_DATABASE__OWNER_URL"
failures = []


def check(holds: bool, what: str) -> None:
    if not holds:
        failures.append(what)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def check_services(services: dict) -> None:
    expected = {"postgres", "redis", "migrate", "serve", "worker", "nginx"}
    check(set(services) == expected, f"services are {sorted(services)}, expected {sorted(expected)}")
    for name in ("migrate", "serve", "worker"):
        service = services[name]
        check(service["command"] == [name], f"{name} runs `xingfuma {name}`")
        known = REQUIRED | OPTIONAL | ({OWNER} if name == "migrate" else set())
        check(set(service["environment"]) == known, f"{name} has exactly the variables that are known")
        check(service["depends_on"]["postgres"]["condition"] == "service_healthy", f"{name} waits for PostgreSQL")
    for name in ("serve", "worker"):
        service = services[name]
        check(service["deploy"]["replicas"] == 2, f"{name} has two replicas")
        check(
            service["depends_on"]["migrate"]["condition"] == "service_completed_successfully",
            f"{name} waits for the migration's success",
        )
        check(service["depends_on"]["redis"]["condition"] == "service_healthy", f"{name} waits for Redis")
        check("ports" not in service, f"{name} is reached through nginx alone")
    check(services["migrate"]["restart"] == "no", "migrate runs once")
    for name in ("postgres", "redis", "nginx"):
        check("test" in services[name].get("healthcheck", {}), f"{name} has a health check")
    for name in ("postgres", "redis"):
        check(bool(services[name].get("volumes")), f"{name} keeps its data in a volume")
        check("ports" not in services[name], f"{name} is not published")
        check(services[name]["networks"] == ["backend"], f"{name} is in the inner network alone")
    major = int(re.fullmatch(r"postgres:(\d+).*", services["postgres"]["image"])[1])
    check(major >= 15, "PostgreSQL is 15 or newer")
    redis = services["redis"]["command"]
    for option, value in (("--appendonly", "yes"), ("--maxmemory-policy", "noeviction")):
        check(option in redis and redis[redis.index(option) + 1] == value, f"Redis runs with {option} {value}")
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                check((ROOT / source).is_file(), f"{name} mounts {source}, which is not there")


def check_roles(services: dict) -> None:
    """Two users of one database: the owner, known to `migrate` alone, and whoever serves and works."""
    address = re.compile(r"postgres://(\w+):\$\{(\w+):\?[^}]*\}@postgres:5432/(\w+)")
    told = {name: services[name]["environment"] for name in ("migrate", "serve", "worker")}
    runtime = {name: address.fullmatch(values["XINGFUMA_DATABASE__URL"]) for name, values in told.items()}
    owner = address.fullmatch(told["migrate"].get(OWNER, ""))
    if not owner or not all(runtime.values()):
        check(False, "the database's addresses are a user, a password from .env, and the database")
        return
    same = {match.groups() for match in runtime.values()}
    check(len(same) == 1, "migrate, serve and worker name the same runtime role")
    user, password, database = runtime["serve"].groups()
    made = services["postgres"]["environment"]
    begun = (made["POSTGRES_USER"], made["POSTGRES_DB"])
    check((owner[1], owner[3]) == begun, "the owner is whom PostgreSQL begins with")
    check(made["POSTGRES_PASSWORD"].startswith("${" + owner[2] + ":"), "the owner's password is PostgreSQL's own")
    check(user != owner[1] and password != owner[2], "who serves is not the owner, and has another password")
    check(database == owner[3], "both address one database")
    for name in ("serve", "worker"):
        values = " ".join(str(value) for value in told[name].values())
        check("${" + owner[2] + ":" not in values, f"{name} does not know the owner's password")


def check_secrets(compose: str) -> None:
    """No value of its own for a secret, and no variable that may be forgotten silently."""
    optional = {"XINGFUMA_HTTP_PORT"} | OPTIONAL
    used = {}
    for name, rest in re.findall(r"\$\{([A-Z_]+)([^}]*)\}", compose):
        used.setdefault(name, []).append(rest)
    for name, rests in used.items():
        if name not in optional:
            check(all(rest.startswith(":?") for rest in rests), f"{name} stops the start when it is missing")
    assigned = dict(re.findall(r"^([A-Z_]+)=(.*)$", read("deploy/env.example"), re.MULTILINE))
    check(set(assigned) == set(used), f"env.example and docker-compose.yml differ in {set(assigned) ^ set(used)}")
    filled = sorted(name for name, value in assigned.items() if value)
    check(not filled, f"deploy/env.example gives values to {filled}: everybody would run with the same ones")
    check("/.env" in read(".gitignore").splitlines(), ".gitignore names /.env")
    check(".env" in read(".dockerignore").splitlines(), ".dockerignore names .env")


def check_image(compose: dict) -> None:
    dockerfile = read("Dockerfile")
    stages = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    check(len(stages) == 2, "the image has a builder and a last stage")
    wanted = re.search(r'^rust-version = "(\d+)\.(\d+)', read("Cargo.toml"), re.MULTILINE)
    built_with = re.match(r"rust:(\d+)\.(\d+)", stages[0])
    check(
        tuple(map(int, built_with.groups())) >= tuple(map(int, wanted.groups())),
        f"the builder {stages[0]} is as new as Cargo.toml's rust-version",
    )
    last = dockerfile[dockerfile.rindex("\nFROM ") :]
    user = re.search(r"^USER (\S+)", last, re.MULTILINE)
    check(bool(user) and user[1] not in ("0", "root"), "the image does not run as root")
    check("--locked" in dockerfile, "the image is built from Cargo.lock")
    health = re.search(r"^HEALTHCHECK (?:.|\\\n)*?CMD (\[.*\])", last, re.MULTILINE)
    check(bool(health) and '"healthcheck"' in health[1], "the binary itself is the health check")
    listen = compose["services"]["serve"]["environment"]["XINGFUMA_LISTEN"]
    port = listen.rsplit(":", 1)[1]
    check(f":{port}/" in health[1], "the health check asks the port that is listened on")
    check(f"http://serve:{port};" in read("deploy/nginx.conf"), "nginx asks the port that is listened on")


def main() -> None:
    text = read("docker-compose.yml")
    compose = yaml.safe_load(text)
    check_services(compose["services"])
    check_roles(compose["services"])
    check_secrets(text)
    check_image(compose)
    for failure in failures:
        print(f"check_compose: FAILED: {failure}", file=sys.stderr)
    if failures:
        sys.exit(1)
    print("check_compose: docker-compose.yml, env.example, Dockerfile and .dockerignore agree")


if __name__ == "__main__":
    main()
