#!/usr/bin/env bash
# Shows the main job: three hosts on this machine find each other over loopback multicast, one is killed, the others
# notice, it is started again and returns, one stops cleanly. Needs no root, no network and no other service.
#
#     scripts/demo.sh HOST PLUGINS      the program and the plugin directory; `make demo` builds both
#
# Exits 0 only if all of that happened.
set -euo pipefail

host=$(realpath "${1:?the cluster-host program}")
plugins=$(realpath "${2:?the plugin directory}")
deadline=30 # seconds that each step may take
timeout=2   # seconds of silence after which a node is given up

bold='' dim='' green='' red='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

dir=$(mktemp -d)
declare -A pid events seen incarnation

clean_up() {
    local code=$?
    if ((${#pid[@]} > 0)); then
        { kill -9 "${pid[@]}" && wait "${pid[@]}"; } 2>/dev/null || true
    fi
    if ((code != 0)); then
        echo "${red}It did not work.${plain} What the hosts logged last:"
        tail -n 15 "$dir"/*.log || true
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() {
    echo "  ${red}$*${plain}"
    exit 1
}

# Microseconds since 1970, as a bash that takes no time for it knows them.
now() { echo "${EPOCHREALTIME/[^0-9]/}"; }

step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# NAME: starts its host.
start() {
    local name=$1
    "$host" run --config "$dir/$name.toml" --plugins "$plugins" --listen "unix:$dir/$name.sock" >>"$dir/$name.log" 2>&1 &
    pid[$name]=$!
}

# NAME: follows the events of its host, from the first one on, as soon as it answers.
follow() {
    local name=$1 api=unix:$dir/$1.sock fd end
    end=$(($(now) + deadline * 1000000))
    until "$host" members --json --api "$api" >/dev/null 2>&1; do
        kill -0 "${pid[$name]}" 2>/dev/null || fail "the host of $name has ended"
        (($(now) < end)) || fail "the host of $name does not answer"
        sleep 0.01
    done
    exec {fd}< <(exec "$host" events --json --follow --since 0 --api "$api" 2>/dev/null)
    events[$name]=$fd
}

# NAME TYPE NODE: waits until NAME has this event, and sets `at` to its time in microseconds. What it reads on the way is
# kept for the next one who waits.
await() {
    local name=$1 key=$1/$2/$3 line='' type node end
    end=$(($(now) + deadline * 1000000))
    while [[ -z ${seen[$key]:-} ]]; do
        (($(now) < end)) && read -r -t "$deadline" -u "${events[$name]}" line ||
            fail "$name has no $2 of $3 within $deadline s"
        [[ $line =~ \"type\":\"([a-z_]+)\",\"node\":\"([^\"]+)\" ]] || continue
        type=${BASH_REMATCH[1]} node=${BASH_REMATCH[2]%%@*}
        [[ $line =~ \"incarnation\":([0-9]+) ]] && incarnation[$name/$node]=${BASH_REMATCH[1]}
        [[ $line =~ \"at\":\"([^\"]+)\"\}?$ ]] || continue
        seen[$name/$type/$node]=${BASH_REMATCH[1]}
    done
    at=$(($(date -d "${seen[$key]}" +%s%N) / 1000))
}

# NAME WHAT TYPE NODE: waits for the event and tells how long it took since `began`.
report() {
    local took
    await "$1" "$3" "$4"
    took=$((at - began))
    ((took >= 0)) || took=0
    printf '  %s %-6s %-24s %safter %6d.%d ms%s\n' "${green}*${plain}" "$1" "$2" "$dim" $((took / 1000)) $((took % 1000 / 100)) "$plain"
}

# Forgets the events so far, so that the next ones of their kind can be waited for.
forget() { seen=(); }

show_members() {
    printf '\n  %scluster-host members%s, asked of alice:\n' "$dim" "$plain"
    "$host" members --api "unix:$dir/alice.sock" | sed 's/^/    /'
}

# A UDP port that nobody uses.
while
    port=$((20000 + RANDOM))
    printf -v hex ':%04X ' "$port"
    [[ $(</proc/net/udp) == *"$hex"* ]]
do :; done

for name in alice bob carol; do
    cat >"$dir/$name.toml" <<TOML
cluster = "demo"

[node]
name = "$name@127.0.0.1"

[topologies.lan]
strategy = "gossip"
connect = "none"

[topologies.lan.config]
port = $port
multicast_if = "127.0.0.1"
heartbeat_interval = "500ms"
heartbeat_timeout = "${timeout}s"
TOML
done

echo "${bold}$("$host" --version)${plain}, with the plugins in ${plugins/#$PWD\//}/. Each host has this configuration, with its own name:"
printf '\n%s%s%s\n' "$dim" "$(sed 's/^/    /' "$dir/alice.toml")" "$plain"

step "1. alice, bob and carol are started"
began=$(now)
for name in alice bob carol; do start "$name"; done
for name in alice bob carol; do follow "$name"; done
for name in alice bob carol; do
    report "$name" "is up" node_up "$name"
done
for pair in alice/bob alice/carol bob/alice bob/carol carol/alice carol/bob; do
    report "${pair%/*}" "sees ${pair#*/}" node_up "${pair#*/}"
done
show_members
before=${incarnation[alice/carol]}

step "2. carol is killed (kill -9), so that she cannot say goodbye; whoever is silent for $timeout s is given up"
forget
began=$(now)
kill -9 "${pid[carol]}"
{ wait "${pid[carol]}" || true; } 2>/dev/null
report alice "sees carol gone" node_left carol
report bob "sees carol gone" node_left carol

step "3. carol is started again"
forget
began=$(now)
start carol
follow carol
report alice "sees carol again" node_up carol
report bob "sees carol again" node_up carol
report carol "sees alice" node_up alice
report carol "sees bob" node_up bob
after=${incarnation[alice/carol]}
((after > before)) || fail "carol's incarnation was $before and is $after: it has not grown"
echo "    carol's incarnation was $before and is $after: nobody takes her for the one who died"

step "4. bob is stopped (SIGTERM), and says goodbye"
forget
began=$(now)
kill -TERM "${pid[bob]}"
report alice "sees bob gone" node_left bob
report carol "sees bob gone" node_left bob
((at - began < timeout * 1000000)) || fail "that took as long as noticing his silence would have"
code=0
wait "${pid[bob]}" || code=$?
unset 'pid[bob]'
((code == 0)) || fail "the host of bob ended with exit code $code"
show_members

printf '\n%sAll of it happened.%s README.md says how to go on.\n' "$green" "$plain"
