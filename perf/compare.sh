#!/usr/bin/env bash
# Rondel beside Debian's Prosody (as packaged, and with its generational collector), ejabberd and the bare relay: login,
# idle sessions, chat. Prints tables and writes reports to $REPORTS (target/comparison): compare-*.html.
set -euo pipefail
. "$(dirname "$0")/bars/common.sh"
without_archive

REPORTS="${REPORTS:-${CARGO_TARGET_DIR:-$root/target}/comparison}"
mkdir -p "$REPORTS"
sessions="${SESSIONS:-200}"
# Others with SERVERS="rondel ejabberd"; ratios are to the first.
read -ra servers <<<"${SERVERS:-rondel prosody prosody-generational ejabberd}"

# side_by_side NAME TITLE SERVER…: the reports that were made for NAME.
side_by_side() {
    local name=$1 title=$2 server files=()
    shift 2
    for server in "$@"; do
        files+=("$REPORTS/$name-$server.json")
    done
    printf '\n== %s\n' "$title"
    "$RONDEL_PERF" compare "${files[@]}" --html "$REPORTS/compare-$name.html"
}

# one NAME ACCOUNTS SERVER SCENARIO FLAGS…: one run against a server started for it.
one() {
    local name=$1 accounts=$2 server=$3 scenario=$4
    shift 4
    echo "$name: $server" >&2
    start_peer "$server" "$accounts"
    load "$server" "$scenario" "$REPORTS/$name-$server.json" "$@"
    stop_peer "$server:$instance"
}

for server in "${servers[@]}"; do
    one login 1000 "$server" login --logins 500
    one idle 1000 "$server" idle --sessions 1000 --from 100
done
for server in "${servers[@]}" relay; do
    for window in 1 16; do
        one "chat-window-$window" "$sessions" "$server" chat --sessions "$sessions" --window "$window" \
            --duration "$DURATION" --warmup "$WARMUP"
    done
done
for server in "${servers[@]}"; do
    one chat-tls "$sessions" "$server" chat --sessions "$sessions" --tls starttls --duration "$DURATION" \
        --warmup "$WARMUP"
done
side_by_side login "logins: SCRAM-SHA-1 and bind, in the clear" "${servers[@]}"
side_by_side idle "idle sessions, in the clear" "${servers[@]}"
side_by_side chat-window-1 "chat, $sessions sessions, window 1" "${servers[@]}" relay
side_by_side chat-window-16 "chat, $sessions sessions, window 16" "${servers[@]}" relay
side_by_side chat-tls "chat, $sessions sessions, window 1, STARTTLS" "${servers[@]}"
echo
echo "reports: $REPORTS"
