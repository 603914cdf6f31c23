"""Writes the bill of materials of the program (CycloneDX 1.6, JSON) to standard output.

    python3 deploy/sbom.py > xingfuma.cdx.json

Everything that is linked into `xingfuma`, with licence and checksum, from Cargo.toml and Cargo.lock alone: the same tree
gives the same bytes. It needs cargo and nothing else.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "xingfuma"
TARGET = "x86_64-unknown-linux-gnu"


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def checksums():
    """The SHA-256 of each crate's package by name and version, as Cargo.lock has it."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(one["name"], one["version"]): one["checksum"] for one in lock["package"] if "checksum" in one}


def linked(told, root):
    """The ids of all packages that `root` is built from or with, without what only its tests need."""
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    needed = {}
    waiting = [root]
    while waiting:
        package = waiting.pop()
        if package in needed:
            continue
        used = [
            dependency["pkg"]
            for dependency in nodes[package]["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        ]
        needed[package] = sorted(used)
        waiting.extend(used)
    return needed


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, sums):
    entry = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package.get("description"):
        entry["description"] = " ".join(package["description"].split())
    if package.get("license"):
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def bill():
    told = metadata()
    packages = {package["id"]: package for package in told["packages"]}
    root = next(package for package in told["packages"] if package["name"] == PROGRAM)
    needed = linked(told, root["id"])
    sums = checksums()
    others = sorted((packages[one] for one in needed if one != root["id"]), key=purl)
    dependencies = [
        {"ref": purl(packages[one]), "dependsOn": sorted(purl(packages[used]) for used in needed[one])}
        for one in sorted(needed, key=lambda one: purl(packages[one]))
    ]
    program = component(root, sums) | {"type": "application"}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program},
        "components": [component(package, sums) for package in others],
        "dependencies": dependencies,
    }


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
