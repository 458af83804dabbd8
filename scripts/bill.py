#!/usr/bin/env python3
"""Fails where a binary has a crate in it that its bill of materials does not name: bill.py BINARY BILL.

What is in it says the binary itself, by the list that cargo-auditable has put there."""

import json
import subprocess
import sys
import tempfile
import zlib


def linked(binary):
    with tempfile.NamedTemporaryFile() as section, tempfile.NamedTemporaryFile() as copy:
        command = ["objcopy", "--dump-section", f".dep-v0={section.name}", binary, copy.name]
        subprocess.run(command, check=True)
        packages = json.loads(zlib.decompress(section.read()))["packages"]
    return {(package["name"], package["version"]) for package in packages if package.get("kind") != "build"}


def main():
    binary, bill = sys.argv[1:]
    with open(bill, encoding="utf-8") as file:
        named = json.load(file)
    components = named["components"] + [named["metadata"]["component"]]
    # A library is named as its file is, not as its crate.
    known = {(component["name"].replace("_", "-"), component["version"]) for component in components}
    missing = {(name, version) for name, version in linked(binary) if (name.replace("_", "-"), version) not in known}
    if missing:
        sys.exit(f"{bill} does not name what is in {binary}: {sorted(missing)}")


main()
