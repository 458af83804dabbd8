#!/bin/sh
# Runs a program with a loopback and no other network. What it leaves running ends with it.
set -eu
PATH=$PATH:/usr/sbin:/sbin
if unshare --user --map-root-user --net true 2>/dev/null; then
    set -- --user --map-root-user -- "$@"
else
    set -- -- "$@"
fi
options=
while [ "$1" != -- ]; do
    options="$options $1"
    shift
done
shift
# shellcheck disable=SC2086 # words
exec unshare $options --net --pid --fork --kill-child sh -c 'ip link set lo up && exec "$@"' sh "$@"
