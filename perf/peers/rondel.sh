#!/usr/bin/env bash
# Rondel on loopback ports of its own, to be measured.
#
#   rondel.sh start DIRECTORY ACCOUNTS    prints port=, tls_port= and pid=; ACCOUNTS may be 0
#   rondel.sh stop DIRECTORY
#
# The binary is $RONDEL (target/release/rondel); $SHARDS is the number of its shards (one per core), $FLAGS further
# flags of rondel serve. The accounts are load0, load1, … with the password in $PASSWORD (secret). Limits per address
# are off, as all load comes from one.
set -euo pipefail
# shellcheck source=perf/peers/common.sh
. "$(dirname "$0")/common.sh"

root=$(realpath "$(dirname "$0")/../..")
target="${CARGO_TARGET_DIR:-$root/target}/release"
RONDEL="${RONDEL:-$target/rondel}"
RONDEL_PERF="${RONDEL_PERF:-$target/rondel-perf}"

start() {
    local directory=$1 accounts=$2 port tls_port pid
    [ -x "$RONDEL" ] || fail "$RONDEL is missing. Please type: make build"
    mkdir -p "$directory"
    directory=$(realpath "$directory")
    port=$(free_port)
    tls_port=$port
    while [ "$tls_port" = "$port" ]; do tls_port=$(free_port); done
    if [ "$accounts" -gt 0 ]; then
        "$RONDEL_PERF" accounts --count "$accounts" --password "$PASSWORD" |
            "$RONDEL" user add --stdin --data-dir "$directory/data" --scram-iterations 4096 >"$directory/output" 2>&1 ||
            { tail -n 5 "$directory/output" >&2; fail "the accounts were not added"; }
    fi
    # What is measured is what a message costs, not what a client may send.
    local limits=()
    if [[ "${FLAGS:-}" != *--limit-* ]] && "$RONDEL" serve --help | grep -q -- "--limit-c2s "; then
        limits=(--limit-c2s none --limit-stanzas none --limit-strangers none --limit-subscriptions none)
    fi
    # shellcheck disable=SC2086
    "$RONDEL" serve --dev --insecure-plaintext --listen "127.0.0.1:$port" --listen-direct-tls "127.0.0.1:$tls_port" \
        --data-dir "$directory/data" --log-level warn --max-connections-per-address 1000000 \
        --connection-rate 1000000/s --max-sessions-per-account 10000 ${SHARDS:+--shards "$SHARDS"} \
        "${limits[@]}" ${FLAGS:-} >"$directory/output" 2>&1 </dev/null &
    pid=$!
    disown
    wait_for "$port" "$directory/output"
    told "$directory" "$port" "$tls_port" "$pid"
}

stop() {
    local pid
    pid=$(sed -n 's/^pid=//p' "$1/peer")
    end_process "$pid"
}

case "${1:-}" in
    start) start "$2" "${3:-200}" ;;
    stop) stop "$2" ;;
    *) fail "rondel.sh start DIRECTORY ACCOUNTS, or rondel.sh stop DIRECTORY" ;;
esac
