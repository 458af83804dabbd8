#!/usr/bin/env bash
# Builds what scripts/dist.sh makes of the last commit twice, in clones at two places, and fails where a byte differs.
# What was built first is left in dist/. Takes the same variables.
set -euo pipefail
cd "$(dirname "$0")/.."

here=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset CARGO_TARGET_DIR
if [[ -n $(git status --porcelain) ]]; then
    echo "note: what is not committed is not built" >&2
fi
commit=$(git rev-parse HEAD)
rm -rf dist
for folder in one "another place/two"; do
    git clone --quiet . "$scratch/$folder"
    git -C "$scratch/$folder" checkout --quiet --detach "$commit"
    "$scratch/$folder/scripts/dist.sh"
    mkdir -p dist
    if [[ $folder == one ]]; then
        cp -r "$scratch/$folder/dist/." dist/
    else
        diff -r dist "$scratch/$folder/dist"
    fi
    rm -rf "${scratch:?}/$folder"
done
if grep --recursive --files-with-matches --binary-files=text --fixed-strings -e "$scratch" -e "$here" dist; then
    echo "error: these name the folder that they were built in" >&2
    exit 1
fi
echo "two builds in two folders are the same: $(sha256sum <dist/SHA256SUMS | cut -c -16)"
