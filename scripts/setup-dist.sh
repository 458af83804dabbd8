#!/usr/bin/env bash
# Installs what scripts/dist.sh needs beyond Rust and Debian's own tools (dpkg-dev, python3): into Cargo's own directory,
# where the next clone finds it; unoptimised, as they run for seconds and are built for minutes.
set -euo pipefail

for tool in auditable cyclonedx deb; do
    if ! cargo "$tool" --help >/dev/null 2>&1; then
        echo "missing: cargo-$tool; cargo installs it, which takes a minute"
        cargo install "cargo-$tool" --locked --debug --quiet
    fi
done
