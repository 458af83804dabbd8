#!/usr/bin/env bash
# Lives with the package in dist/ on a machine of its own: this one's files, none of which it can change, booted with its
# own systemd in a container without a network. tests/packaging/installed.sh says what is done there, with the strategy
# `exec` too, whose plugin is the argument.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

if ((EUID != 0)); then
    exec sudo -n -- "$0" "$@"
fi
shopt -s nullglob
debs=(dist/*.deb)
((${#debs[@]} == 1)) || { echo "error: one .deb in dist/ is needed, made by scripts/dist.sh" >&2; exit 1; }

basic=${1:?the file of the plugin strategy-basic}
if [[ ${2-} != --mounted ]]; then
    scratch=$(mktemp -d)
    trap 'rmdir "$scratch"' EXIT
    unshare --mount --propagation private -- "$0" "$basic" --mounted "$scratch"
    exit
fi

# From here on in a mount namespace, with which all of it goes.
scratch=$3
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
root=$scratch/root
mkdir -p "$root/opt/packaging"
cp "${debs[0]}" "$root/opt/packaging/cluster-host.deb"
cp tests/packaging/installed.sh "$basic" "$root/opt/packaging/"
echo uninitialized >"$root/etc/machine-id"
# Services may be started there, whatever keeps them from it here.
rm -f "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/systemd/system/packaging.service" <<'EOF'
[Unit]
After=systemd-journald.service
SuccessAction=exit
FailureAction=exit
FailureActionExitStatus=1
[Service]
Type=oneshot
TimeoutStartSec=10min
ExecStart=/opt/packaging/installed.sh /opt/packaging/cluster-host.deb
StandardOutput=file:/opt/packaging/output
StandardError=inherit
EOF
ended=0
# The container forbids what its systemd is too old to know of; the unit has to allow it itself.
systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit --console=pipe --boot \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" -- \
    systemd.unit=packaging.service systemd.show_status=no systemd.log_level=err </dev/null >"$scratch/console" 2>&1 || ended=$?
cat "$root/opt/packaging/output" || cat "$scratch/console"
exit "$ended"
