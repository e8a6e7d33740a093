#!/usr/bin/env bash
# Instructions per stanza, counted by callgrind: the same on every run, however busy the machine is. Fails when the
# framer needs more than it may.
set -euo pipefail
cd "$(dirname "$0")/.."
frame_max=5000
binary="$(cargo build --release --bench instructions --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*instructions[^"]*\)".*/\1/p' | tail -1)"
[ -n "$binary" ] || { echo "the bench could not be built" >&2; exit 1; }

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
per_stanza() { echo $((($(count "$1" 3000) - $(count "$1" 1000)) / 2000)); }

frame="$(per_stanza frame)"
echo "framing a message of 300 bytes: $frame instructions (at most $frame_max)"
echo "framing, addressing and stamping it: $(per_stanza relay) instructions"
[ "$frame" -le "$frame_max" ]
