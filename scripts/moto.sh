#!/usr/bin/env bash
# Says where moto is, or is to be: a place for each set of versions.
set -euo pipefail
cd "$(dirname "$0")/.."
versions=$(sha256sum examples/strategy-ec2/tests/moto.txt)
echo "${XDG_CACHE_HOME:-$HOME/.cache}/libcluster-rs/moto-${versions:0:12}"
