#!/usr/bin/env bash
# Runs in a machine that was booted for it by scripts/dist-test.sh: installs the package, lives with it, removes it.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PAGER=cat SYSTEMD_COLORS=0
deb=$1
config=/etc/cluster-host/cluster.toml
plugins=/usr/lib/cluster-host/plugins

step() { echo "--- $*"; }
fail() {
    echo "failed: $*"
    systemctl status cluster-host --no-pager --full || true
    journalctl --unit cluster-host --no-pager --lines 40 || true
    exit 1
}
property() { systemctl show cluster-host --property "$1" --value; }
equal() { [[ $2 == "$3" ]] || fail "$1 is \"$2\", not \"$3\""; }
# Waits until a command succeeds.
until_so() {
    local what=$1 tries=300
    shift
    until "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || fail "not within 60 s: $what"
        sleep 0.2
    done
}
# What is there, but for what any installation or service leaves behind.
inventory() {
    find /etc /usr /var /run -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /run/systemd -o -path /var/cache -o -path /run/log \
        -o -path /run/udev -o -path /var/lib/systemd -o -path /var/tmp -o -path /run/lock -o -path /etc/systemd/system/cluster-host.service.d \) \
        -prune -o -print | sort
}

step "install: it starts, harmless as it is"
inventory >/tmp/before
dpkg --install "$deb"
equal state "$(property ActiveState)/$(property SubState)" active/running
equal enabled "$(systemctl is-enabled cluster-host)" enabled
equal status "$(property StatusText)" "0 of 0 members up"
cluster-host members --json | grep --quiet '"members":\[\]' || fail "the API does not answer root"
cluster-host check --config "$config" --plugins "$plugins"
man --where cluster-host-run | grep --quiet cluster-host-run.1 || fail "no manual page"
[[ -e /usr/share/bash-completion/completions/cluster-host ]] || fail "no completions"

step "it runs as nobody in particular, and may do nothing in particular"
pid=$(property MainPID)
fact() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }
equal user "$(ps -o user= -p "$pid")" cluster-host
equal capabilities "$(fact "$pid" CapBnd)" 0000000000000000
equal seccomp "$(fact "$pid" Seccomp)" 2
equal no-new-privileges "$(fact "$pid" NoNewPrivs)" 1
equal state-directory "$(stat -c %a /var/lib/cluster-host/)" 700
equal socket "$(stat -c '%U %a' /run/cluster-host/cluster-host.sock)" "cluster-host 600"
writes() {
    nsenter --target "$pid" --mount -- setpriv --reuid "$(fact "$pid" Uid)" --regid "$(fact "$pid" Gid)" --clear-groups -- \
        touch "$1" 2>/dev/null
}
for place in /etc/cluster-host /usr/lib/cluster-host/plugins /var/lib /run; do
    if writes "$place/probe"; then fail "its $place can be written to"; fi
done
writes /var/lib/cluster-host/probe || fail "it has nowhere to remember anything"
rm /var/lib/cluster-host/probe

step "plugins in the host, in processes of their own, and pinned, under all that"
cat >>"$config" <<'EOF'
[node]
name = "a@127.0.0.1"
[plugins]
lock = "plugins.lock"
[topologies.inside]
strategy = "gossip"
config = { multicast_if = "127.0.0.1", port = 45901 }
connect = "none"
[topologies.apart]
strategy = "gossip"
config = { multicast_if = "127.0.0.1", port = 45902 }
connect = "none"
opts = { isolation = "process" }
EOF
cluster-host plugins lock --config "$config" --plugins "$plugins"
systemctl restart cluster-host
running() { [[ $(cluster-host topologies | grep --count --word-regexp running) == 2 ]]; }
until_so "both topologies run" running
pid=$(property MainPID)
apart=$(pgrep --parent "$pid") || fail "no process of its own"
equal "its user" "$(ps -o user= -p "$apart")" cluster-host
equal "its seccomp" "$(fact "$apart" Seccomp)" 2
is_status() { [[ $(property StatusText) == "$1" ]]; }
until_so "the status follows" is_status "1 of 1 members up"

step "a plugin of somebody else, which opens in a process of its own only what it was given"
install -m 644 /opt/packaging/libstrategy_basic.so "$plugins"
writes /var/lib/cluster-host/kept || fail "there is no file to keep"
with() { sed "s|^opts = .*exec$|opts = { isolation = $1 } # exec|" -i "$config"; }
cat >>"$config" <<'EOF'
[topologies.command]
strategy = "exec"
config = { command = ["sh", "-c", "if cat /var/lib/cluster-host/kept; then echo open@h; else echo shut@h; fi"], interval = "200ms" }
connect = "none"
opts = { isolation = "process" } # exec
EOF
cluster-host plugins lock --config "$config" --plugins "$plugins"
systemctl reload cluster-host
is_told() { cluster-host members | grep --quiet --word-regexp "$1"; }
until_so "the file is shut in a process of its own" is_told shut@h
with '{ process = { read = ["/var/lib/cluster-host"] } }'
systemctl reload cluster-host
until_so "the file is open where that is given" is_told open@h
is_warned() { journalctl --unit cluster-host --no-pager | grep --quiet 'has no Landlock, or its calls are forbidden'; }
if is_warned; then fail "it warns of what is not so"; fi
forbidden=/etc/systemd/system/cluster-host.service.d/forbidden.conf
mkdir -p "${forbidden%/*}"
printf '[Service]\nSystemCallFilter=~landlock_create_ruleset\n' >"$forbidden"
systemctl daemon-reload
with '"process"'
systemctl restart cluster-host
until_so "the file is open where Landlock is forbidden" is_told open@h
until_so "that is told" is_warned
rm "$forbidden" "$plugins/libstrategy_basic.so" /var/lib/cluster-host/kept
systemctl daemon-reload
sed -i '/^\[topologies.command\]/,$d' "$config"
cluster-host plugins lock --config "$config" --plugins "$plugins"
systemctl restart cluster-host
until_so "both topologies run" running
pid=$(property MainPID)

step "reload"
sed -i 's/topologies.inside/topologies.within/' "$config"
systemctl reload cluster-host
reloaded() { cluster-host topologies | grep --quiet within; }
until_so "the topology has its new name" reloaded
equal "process" "$(property MainPID)" "$pid"
cp "$config" /tmp/good.toml
echo 'nonsense = 1' >>"$config"
systemctl reload cluster-host
refused() { [[ $(property StatusText) == "reload refused, runs as before: "* ]]; }
until_so "the status says that it is refused" refused
equal state "$(property ActiveState)/$(property SubState)" active/running
cp /tmp/good.toml "$config"

step "watchdog: one that stands still is started again"
mkdir -p /etc/systemd/system/cluster-host.service.d
printf '[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n' >/etc/systemd/system/cluster-host.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart cluster-host
pid=$(property MainPID)
kill -STOP "$pid"
again() { [[ $(property NRestarts) == 1 && $(property ActiveState) == active && $(property MainPID) != "$pid" ]]; }
until_so "another process in its place" again
journalctl --unit cluster-host --no-pager | grep --quiet 'Watchdog timeout' || fail "it was not the watchdog"
until_so "its topologies are back" running

step "a configuration that is wrong is no loop of restarts"
echo 'nonsense = 1' >>"$config"
if systemctl restart cluster-host; then fail "it starts with nonsense"; fi
equal "exit code" "$(property ExecMainStatus)" 2
equal state "$(property ActiveState)" failed
cp /tmp/good.toml "$config"
systemctl start cluster-host

step "stop"
systemctl stop cluster-host
equal result "$(property Result)/$(property ActiveState)" success/inactive
[[ ! -e /run/cluster-host ]] || fail "/run/cluster-host is left"
systemctl start cluster-host

step "upgrade: what was configured stays, and it runs anew"
pid=$(property MainPID)
dpkg --install "$deb"
cmp "$config" /tmp/good.toml || fail "the configuration was changed"
equal state "$(property ActiveState)" active
[[ $(property MainPID) != "$pid" ]] || fail "the old one runs on"

step "remove, purge: nothing is left"
dpkg --remove cluster-host
if systemctl is-active --quiet cluster-host; then fail "it runs without its package"; fi
[[ -e $config ]] || fail "the configuration went with the package"
rm /etc/cluster-host/plugins.lock
dpkg --purge cluster-host
inventory >/tmp/after
diff /tmp/before /tmp/after || fail "that is left, or gone"
echo "--- all is well"
