#!/usr/bin/env python3
"""Prints the licences of all crates that are in what is shipped: licences.py TARGET PACKAGE...

Every crate has its own text, as its authors published it, or the standard one of its licence if they published none."""

import json
import pathlib
import subprocess
import sys

NAMES = ("licen", "copying", "copyright", "notice", "unlicense")
RULE = "=" * 78
ZLIB = """Copyright (c) {authors}

This software is provided 'as-is', without any express or implied warranty. In no event will the authors be held liable
for any damages arising from the use of this software.

Permission is granted to anyone to use this software for any purpose, including commercial applications, and to alter it
and redistribute it freely, subject to the following restrictions:

1. The origin of this software must not be misrepresented; you must not claim that you wrote the original software. If
you use this software in a product, an acknowledgment in the product documentation would be appreciated but is not
required.
2. Altered source versions must be plainly marked as such, and must not be misrepresented as being the original software.
3. This notice may not be removed or altered from any source distribution."""


def graph(target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked(metadata, packages):
    """The packages that these are built with, by normal dependencies."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    members = set(metadata["workspace_members"])
    known = {package["id"]: package for package in metadata["packages"]}
    waiting = [key for key in members if known[key]["name"] in packages]
    missing = set(packages) - {known[key]["name"] for key in waiting}
    if missing:
        sys.exit(f"licences: no package {', '.join(sorted(missing))} in this workspace")
    seen = set()
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += [
                dep["pkg"] for dep in nodes[key]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])
            ]
    return sorted((known[key] for key in seen - members), key=lambda package: (package["name"], package["version"]))


def texts(folder):
    files = sorted(path for path in folder.iterdir() if path.name.lower().startswith(NAMES))
    for path in files:
        inner = sorted(path.iterdir()) if path.is_dir() else [path]
        yield from (text for text in inner if text.is_file())


def standard(package, shared):
    """The text of a licence that says the same whoever grants it."""
    terms = package["license"] or ""
    if "Apache-2.0" in terms:
        whole = [text for text in shared if "Apache License" in text[:200] and "END OF TERMS AND CONDITIONS" in text]
        return min(whole, key=len)
    if terms == "Zlib":
        return ZLIB.format(authors=", ".join(package["authors"]))
    sys.exit(f"licences: {package['name']} {package['version']} ({terms}) publishes no text: say here which one it is")


def main():
    target, *packages = sys.argv[1:]
    shared = {}
    silent = []
    for package in linked(graph(target), packages):
        title = f"{package['name']} {package['version']} ({package['license'] or package['license_file']})"
        folder = pathlib.Path(package["manifest_path"]).parent
        found = [path.read_text(encoding="utf-8", errors="replace").strip() for path in texts(folder)]
        if not found:
            silent.append((title, package))
        for text in found:
            shared.setdefault(text, []).append(title)
    for title, package in silent:
        shared.setdefault(standard(package, shared), []).append(title)
    for text, titles in shared.items():
        print(RULE, *titles, RULE, text, "", sep="\n")


main()
