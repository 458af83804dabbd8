#!/usr/bin/env bash
# Makes what is given to others, in dist/: a tar.gz and a .deb of the host and its plugins, bills of materials, and the
# sums of all of them. The same commit gives the same bytes, in whatever folder it is built.
# PROFILE, PLUGINS and CARGO_TARGET_DIR choose another profile, fewer plugins and where Cargo builds.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

profile=${PROFILE:-release}
read -ra plugins <<<"${PLUGINS:-gossip epmd dns k8s basic}"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/dist}
built=$CARGO_TARGET_DIR/$profile
out=$PWD/dist
# When whatever is made says it was made.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
export LC_ALL=C TZ=UTC

for tool in auditable cyclonedx deb; do
    cargo "$tool" --help >/dev/null 2>&1 || { echo "error: cargo-$tool is missing: make setup-dist" >&2; exit 1; }
done

# No path of this machine is in what is built. What names a place says one that is the same everywhere.
flags=(
    "--remap-path-prefix=$PWD=/build/libcluster-rs"
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/build/cargo"
    "--remap-path-prefix=$CARGO_TARGET_DIR=/build/target"
    "--codegen=strip=symbols"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# C of dependencies likewise; a folder may have a space in its name.
prefixes=("$PWD=/build/libcluster-rs" "${CARGO_HOME:-$HOME/.cargo}=/build/cargo" "$CARGO_TARGET_DIR=/build/target")
CFLAGS=$(printf -- '-ffile-prefix-map=%q ' "${prefixes[@]}")
export CFLAGS CC_SHELL_ESCAPED_FLAGS=1
# The host does not look for the checkout that it was built from.
export CLUSTER_HOST_DIST=1

cargo auditable build --locked --quiet --profile "$profile" --package cluster-host --bin cluster-host
# As an rlib too it would get no link-time optimisation.
for plugin in "${plugins[@]}"; do
    cargo auditable rustc --locked --quiet --profile "$profile" --package "strategy-$plugin" --lib --crate-type cdylib
done

host=$built/cluster-host
version=$("$host" --version | cut -d ' ' -f 2)
target=$(rustc -vV | sed -n 's/^host: //p')
name=cluster-host-$version-$target
stage=$out/stage
rm -rf "$out"
mkdir -p "$stage"/{bin,plugins,completions,man,systemd,docs,include,sbom,contrib}

install -m 755 "$host" "$stage/bin/"
for plugin in "${plugins[@]}"; do
    install -m 644 "$built/libstrategy_$plugin.so" "$stage/plugins/"
done
"$host" completions bash >"$stage/completions/cluster-host.bash"
"$host" completions zsh >"$stage/completions/_cluster-host"
"$host" completions fish >"$stage/completions/cluster-host.fish"
# A program of its own, so that the daemon is smaller.
cargo run --locked --quiet --profile quick --package man-pages -- "$stage/man"
gzip -n9 "$stage"/man/*
install -m 644 contrib/systemd/cluster-host.service "$stage/systemd/"
install -m 644 contrib/deb/cluster.toml "$stage/"
install -m 644 README.md CHANGELOG.md SECURITY.md LICENSE "$stage/"
install -m 644 docs/*.md "$stage/docs/"
install -m 644 cluster-sdk/include/*.h "$stage/include/"
cp -r contrib/kubernetes "$stage/contrib/"

# It writes beside each manifest of the workspace, names this folder in them, and calls a library of two types by both.
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps
here=$(python3 -c 'import pathlib; print(pathlib.Path.cwd().as_uri())')
bill() {
    local bill="$stage/sbom/$2.cdx.json"
    sed "s|path+$here/|path+file:///build/libcluster-rs/|g" "$1" >"$bill"
    scripts/bill.py "$3" "$bill"
}
bill cluster-host/cluster-host_bin.cdx.json cluster-host "$stage/bin/cluster-host"
for plugin in "${plugins[@]}"; do
    file=libstrategy_$plugin
    bill "strategy-$plugin/strategy_${plugin}_cdylib-rlib.cdx.json" "$file" "$stage/plugins/$file.so"
done
find . -path ./target -prune -o -path ./dist -prune -o -name '*.cdx.json' -type f -exec rm {} +

scripts/licences.py "$target" cluster-host "${plugins[@]/#/strategy-}" >"$stage/THIRD-PARTY-LICENCES.txt"
# The standard library is in each of them too.
install -m 644 "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" "$stage/RUST-LICENCES.html"

(cd "$stage" && find . -type f -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
tar --directory "$out" --transform "s|^stage|$name|" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --create stage | gzip -n9 >"$out/$name.tar.gz"

# A package has a changelog in Debian's form, and ours beside it.
mkdir "$out/debian"
gzip -n9c CHANGELOG.md >"$out/debian/changelog.gz"
cat >"$out/debian/changelog" <<EOF
cluster-host ($version-1) stable; urgency=medium

  * What has changed is in changelog.gz.

 -- The libcluster-rs authors <libcluster-rs@example.org>  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
EOF
# What it takes is in the stage: see [package.metadata.deb] of cluster-host.
cargo deb --quiet --package cluster-host --no-build --no-strip --profile "$profile" --output "$out/"
rm -r "$out/debian"
(cd "$out" && sha256sum -- *.tar.gz *.deb >SHA256SUMS)
ls -l "$out"
