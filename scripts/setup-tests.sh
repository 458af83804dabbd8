#!/usr/bin/env bash
# Installs what the tests need beyond Rust: Debian packages where this user may install them, cargo-deny by Cargo, and
# moto, which imitates Amazon's services, by pip.
# Where something stays missing it says what, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

# What is asked for, and the Debian package that has it.
needed=(
    unshare:util-linux nsenter:util-linux setpriv:util-linux mount:mount
    script:bsdutils
    ip:iproute2
    nft:nftables
    escript:erlang-base erlc:erlang-base epmd:erlang-base
    elixir:elixir mix:elixir
    openssl:openssl
    curl:curl
    knotd:knot knotc:knot
    minisign:minisign
    chromium:chromium chromedriver:chromium-driver
    prometheus:prometheus promtool:prometheus
    python3:python3
    man:man-db fish:fish zsh:zsh
    systemd-analyze:systemd systemd-nspawn:systemd-container
    dpkg-shlibdeps:dpkg-dev objcopy:binutils lintian:lintian
)

# Debian starts a server when it is installed and at each boot, and neither a name server nor a Prometheus is what a
# developer wants beside the tests. systemd starts no unit that is masked, which an upgrade leaves alone; a policy keeps
# others from starting it now (README.policy-rc.d of init-system-helpers). One that was installed before is left as it is.
keep_stopped() {
    local name unit
    for name in "$@"; do
        unit=/etc/systemd/system/$name.service
        if [[ ! -e $unit && ! -L $unit ]]; then
            "${as_root[@]}" mkdir -p "${unit%/*}"
            "${as_root[@]}" ln -s /dev/null "$unit"
            echo "masked $name.service, so that installing it starts no server; to use it: systemctl unmask $name"
        fi
    done
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy && ! -L $policy ]]; then
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\ncase " %s " in *" $1 "*) exit 101 ;; esac\n' "$*" | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
}

missing_packages() {
    local entry
    for entry in "${needed[@]}"; do
        command -v "${entry%%:*}" >/dev/null || echo "${entry#*:}"
    done
    # Libraries that Debian has in packages of their own: without the one the BEAM has no AES, without the other no TLS.
    local library
    for library in crypto ssl; do
        if ! command -v erl >/dev/null ||
            ! erl -noshell -eval "halt(case code:which($library) of non_existing -> 1; _ -> 0 end)." >/dev/null 2>&1; then
            echo "erlang-$library"
        fi
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    # Another compiler than that of the path, which stays the one that is used.
    [[ -x /usr/bin/rustc ]] || echo rustc-web
}

readarray -t missing < <(missing_packages | sort -u)
if ((${#missing[@]} > 0)); then
    echo "missing packages: ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
        as_root=(sudo -n)
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "error: run as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
    fi
    if ! command -v apt-get >/dev/null; then
        echo "error: no apt-get here; install by other means what Debian has in: ${missing[*]}" >&2
        exit 1
    fi
    servers=()
    for server in knot prometheus; do
        if [[ " ${missing[*]} " == *" $server "* ]]; then
            servers+=("$server")
        fi
    done
    if ((${#servers[@]} > 0)); then
        keep_stopped "${servers[@]}"
    fi
    "${as_root[@]}" apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
    readarray -t missing < <(missing_packages | sort -u)
    if ((${#missing[@]} > 0)); then
        echo "error: still missing: ${missing[*]}" >&2
        exit 1
    fi
fi

if ! unshare --user --map-root-user --net --mount true 2>/dev/null && ! unshare --net --mount true 2>/dev/null; then
    echo "error: network namespaces cannot be made here. Run as root, or allow user namespaces to users" >&2
    echo "       (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)," >&2
    echo "       in a container with --privileged." >&2
    exit 1
fi

# Into Cargo's own directory, where the next clone finds it; unoptimised, as it runs for seconds and is built for minutes.
if ! cargo deny --version >/dev/null 2>&1; then
    echo "missing: cargo-deny; cargo installs it, which takes some minutes"
    cargo install cargo-deny --locked --debug --quiet
fi
# In a directory of its own, where the next clone finds it. It counts once it is whole.
moto=$(scripts/moto.sh)
if [[ ! -e $moto/complete ]]; then
    echo "missing: moto; pip installs it"
    rm -rf "$moto"
    python3 -m venv "$moto"
    "$moto/bin/pip" install --quiet --disable-pip-version-check --requirement examples/strategy-ec2/tests/moto.txt
    touch "$moto/complete"
fi
echo "what the tests need is there"
