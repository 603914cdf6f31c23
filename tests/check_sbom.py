"""Checks the bill of materials: complete, without doubles, every crate with licence and checksum, the same twice."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def written():
    return subprocess.run([sys.executable, ROOT / "deploy" / "sbom.py"], check=True, stdout=subprocess.PIPE).stdout


def main():
    text = written()
    assert text == written(), "two runs differ"
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "xingfuma"
    refs = [bill["metadata"]["component"]["bom-ref"]] + [one["bom-ref"] for one in bill["components"]]
    assert len(refs) == len(set(refs)), "a component stands there twice"
    by_name = {one["name"]: one for one in bill["components"]}
    for name in ["actix-web", "sqlx-postgres", "sqlx-sqlite", "redis", "ring", "aes-gcm", "argon2", "xingfuma-domain"]:
        assert name in by_name, f"{name} is linked and not in the bill"
    # What only tests need is not shipped.
    for name in ["proptest", "ureq", "xingfuma-tests"]:
        assert name not in by_name, f"{name} is not linked"
    locked = {
        (one["name"], one["version"]): one.get("checksum")
        for one in tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    }
    for one in bill["components"]:
        assert one["licenses"][0]["expression"], f"{one['name']} has no licence"
        checksum = locked[(one["name"], one["version"])]
        told = [entry["content"] for entry in one.get("hashes", [])]
        assert told == ([checksum] if checksum else []), f"{one['name']}: another checksum than Cargo.lock's"
    told = {entry["ref"] for entry in bill["dependencies"]}
    assert told == set(refs), "the graph and the list differ"
    for entry in bill["dependencies"]:
        assert set(entry["dependsOn"]) <= told, f"{entry['ref']} needs what is not in the bill"
    print(f"{len(bill['components'])} components")


if __name__ == "__main__":
    main()
