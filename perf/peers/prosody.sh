#!/usr/bin/env bash
# Debian's Prosody on loopback ports of its own, to be measured.
#
#   prosody.sh start DIRECTORY ACCOUNTS    as packaged; prints port=, tls_port= and pid=
#   prosody.sh stop DIRECTORY
#
# GC=generational exchanges the garbage collector, MODULES="smacks mam" adds modules. The accounts are load0, load1, …
# with the password in $PASSWORD (secret). The modules are those whose work Rondel does, too; no limits, no archive, no
# carbons, no federation.
set -euo pipefail
# shellcheck source=perf/peers/common.sh
. "$(dirname "$0")/common.sh"

start() {
    local directory=$1 accounts=$2 port tls_port gc="" number module modules="" disabled=""
    need prosody prosody
    mkdir -p "$directory/data"
    directory=$(realpath "$directory")
    certificate "$directory"
    port=$(free_port)
    tls_port=$(free_port)
    [ "${GC:-}" = generational ] && gc='gc = { mode = "generational" }'
    for module in ${MODULES:-}; do modules+=", \"$module\""; done
    [[ " ${MODULES:-} " == *" offline "* ]] || disabled=', "offline"'
    cat >"$directory/prosody.cfg.lua" <<CONFIG
run_as_root = true
daemonize = false
pidfile = "$directory/prosody.pid"
data_path = "$directory/data"
certificates = "$directory"
ssl = { certificate = "$directory/cert.pem", key = "$directory/key.pem" }
interfaces = { "127.0.0.1" }
c2s_ports = { $port }
c2s_direct_tls_ports = { $tls_port }
modules_enabled = { "roster", "saslauth", "tls", "disco", "version", "time", "ping"$modules }
modules_disabled = { "s2s"$disabled }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
log = { warn = "$directory/prosody.log" }
$gc
VirtualHost "localhost"
CONFIG
    prosodyctl --config "$directory/prosody.cfg.lua" register load0 localhost "$PASSWORD" >/dev/null 2>&1 ||
        fail "the first account was not added"
    # All have the password of the first, so its keys will do for all.
    (
        cd "$directory/data/localhost/accounts"
        for ((number = 1; number < accounts; number++)); do cp load0.dat "load$number.dat"; done
    )
    prosody --config "$directory/prosody.cfg.lua" >"$directory/output" 2>&1 </dev/null &
    local pid=$!
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
    *) fail "prosody.sh start DIRECTORY ACCOUNTS, or prosody.sh stop DIRECTORY" ;;
esac
