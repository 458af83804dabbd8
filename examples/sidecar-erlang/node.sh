#!/bin/sh
# Starts the service as a node with the name in $NODE, as any Erlang node is started.
set -eu
cd "$(dirname "$0")"
test -e ebin/hello.beam || { mkdir -p ebin && erlc -o ebin hello.erl; }
exec erl -name "${NODE:?the name of the node, such as hello@10.0.0.5}" -noshell -noinput -pa ebin -s hello
