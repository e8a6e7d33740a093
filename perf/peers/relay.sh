#!/usr/bin/env bash
# The relay of rondel-perf, the floor, on a port of its own. Measured with rondel-perf chat --raw.
#
#   relay.sh start DIRECTORY    prints port=, tls_port= and pid=
#   relay.sh stop DIRECTORY
#
# $SHARDS is the number of its shards (1).
set -euo pipefail
# shellcheck source=perf/peers/common.sh
. "$(dirname "$0")/common.sh"

root=$(realpath "$(dirname "$0")/../..")
RONDEL_PERF="${RONDEL_PERF:-${CARGO_TARGET_DIR:-$root/target}/release/rondel-perf}"

start() {
    local directory=$1 port pid
    [ -x "$RONDEL_PERF" ] || fail "$RONDEL_PERF is missing. Please type: make build"
    mkdir -p "$directory"
    "$RONDEL_PERF" relay --shards "${SHARDS:-1}" >"$directory/output" 2>&1 </dev/null &
    pid=$!
    disown
    # Not asked by connecting: a connection is one end of a pair.
    for _ in $(seq 100); do
        port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$directory/output")
        [ -n "$port" ] && break
        sleep 0.1
    done
    [ -n "$port" ] || { cat "$directory/output" >&2; fail "the relay did not start"; }
    told "$directory" "$port" 0 "$pid"
}

stop() {
    local pid
    pid=$(sed -n 's/^pid=//p' "$1/peer")
    end_process "$pid"
}

case "${1:-}" in
    start) start "$2" ;;
    stop) stop "$2" ;;
    *) fail "relay.sh start DIRECTORY, or relay.sh stop DIRECTORY" ;;
esac
