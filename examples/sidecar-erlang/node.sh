#!/bin/sh
# Starts the service as a node with the name in $NODE, as any Erlang node is started.
set -eu
cd "$(dirname "$0")"
exec erl -name "${NODE:?the name of the node, such as hello@10.0.0.5}" -noshell -noinput -pa . -s hello
