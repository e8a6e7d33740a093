#!/usr/bin/env bash
# Debian's ejabberd on loopback ports of its own, to be measured.
#
#   ejabberd.sh start DIRECTORY ACCOUNTS    prints port=, tls_port= and pid=
#   ejabberd.sh stop DIRECTORY
#
# The accounts are load0, load1, … with the password in $PASSWORD (secret). The modules are those whose work Rondel
# does, too; no shapers, no archive, no carbons, no federation.
set -euo pipefail
# shellcheck source=perf/peers/common.sh
. "$(dirname "$0")/common.sh"

control() {
    local directory=$1
    shift
    ERL_EPMD_PORT=$(cat "$directory/epmd_port") ERL_EPMD_ADDRESS=127.0.0.1 "$directory/ejabberdctl" \
        --node "$(cat "$directory/node")" --config-dir "$directory" --config "$directory/ejabberd.yml" \
        --ctl-config "$directory/ejabberdctl.cfg" --logs "$directory/logs" --spool "$directory/spool" "$@"
}

start() {
    local directory=$1 accounts=$2 port tls_port number node pid
    need ejabberdctl ejabberd
    mkdir -p "$directory/logs" "$directory/spool"
    directory=$(realpath "$directory")
    certificate "$directory"
    # Debian's changes to a user of its own, who may have fewer descriptors than a measurement needs.
    sed 's/^INSTALLUSER=.*/INSTALLUSER=/' "$(command -v ejabberdctl)" >"$directory/ejabberdctl"
    chmod +x "$directory/ejabberdctl"
    cat "$directory/cert.pem" "$directory/key.pem" >"$directory/both.pem"
    port=$(free_port)
    tls_port=$(free_port)
    free_port >"$directory/epmd_port"
    node="perf$port@localhost"
    echo "$node" >"$directory/node"
    # Addresses of the Erlang node only on loopback.
    printf 'INET_DIST_INTERFACE=127.0.0.1\nERL_EPMD_ADDRESS=127.0.0.1\n' >"$directory/ejabberdctl.cfg"
    cp /etc/ejabberd/inetrc "$directory/" 2>/dev/null || true
    cat >"$directory/ejabberd.yml" <<CONFIG
hosts: [localhost]
loglevel: warning
certfiles: ["$directory/both.pem"]
auth_method: internal
auth_password_format: scram
listen:
  - port: $port
    ip: "127.0.0.1"
    module: ejabberd_c2s
    backlog: 4096
    starttls: true
    starttls_required: false
    shaper: none
  - port: $tls_port
    ip: "127.0.0.1"
    module: ejabberd_c2s
    backlog: 4096
    tls: true
    shaper: none
acl: {}
access_rules: {}
modules:
  mod_roster: {}
  mod_disco: {}
  mod_ping: {}
  mod_time: {}
  mod_version: {}
CONFIG
    {
        echo "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'>"
        for ((number = 0; number < accounts; number++)); do
            echo "<user name='load$number' password='$PASSWORD'/>"
        done
        echo "</host></server-data>"
    } >"$directory/accounts.xml"
    control "$directory" start >"$directory/output" 2>&1 </dev/null
    wait_for "$port" "$directory/output"
    control "$directory" started >/dev/null 2>&1
    control "$directory" import_piefxis "$directory/accounts.xml" >"$directory/output" 2>&1 ||
        { cat "$directory/output" >&2; fail "the accounts were not added"; }
    pid=$(pgrep -f "beam.smp.*$node" | head -n 1)
    told "$directory" "$port" "$tls_port" "$pid"
}

stop() {
    local pid
    pid=$(sed -n 's/^pid=//p' "$1/peer")
    end_process "$pid"
    # The node's own name service, which nobody else uses.
    ERL_EPMD_PORT=$(cat "$1/epmd_port") ERL_EPMD_ADDRESS=127.0.0.1 epmd -kill >/dev/null 2>&1 || true
}

case "${1:-}" in
    start) start "$2" "${3:-200}" ;;
    stop) stop "$2" ;;
    *) fail "ejabberd.sh start DIRECTORY ACCOUNTS, or ejabberd.sh stop DIRECTORY" ;;
esac
