#!/usr/bin/env bash
# Instructions and allocations per stanza, counted by valgrind: the same on every run, however busy the machine is.
# Fails when the framer needs more than it may, allocates at all, or needs more per byte the longer a stanza is.
set -euo pipefail
cd "$(dirname "$0")/.."
frame_max=5000
binary="$(cargo build --release --bench instructions --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*instructions[^"]*\)".*/\1/p' | tail -1)"
[ -n "$binary" ] || { echo "the bench could not be built" >&2; exit 1; }

# count ARGUMENT…: instructions of a run.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
per_stanza() { echo $((($(count "$1" 3000) - $(count "$1" 1000)) / 2000)); }

# allocations ARGUMENT…: of a run.
allocations() {
    valgrind "$binary" "$@" 2>&1 | sed -n 's/.*total heap usage: \([0-9,]*\) allocs.*/\1/p' | tr -d ,
}

failed=0
complain() {
    echo "$1" >&2
    failed=1
}

frame="$(per_stanza frame)"
echo "framing a message of 300 bytes: $frame instructions (at most $frame_max)"
[ "$frame" -le "$frame_max" ] || complain "framing takes too many instructions"
echo "framing, addressing and stamping it: $(per_stanza relay) instructions"
rules_max=20000
rules="$(per_stanza rules)"
echo "a hundred rules that the same message passes: $rules instructions (at most $rules_max)"
[ "$rules" -le "$rules_max" ] || complain "rules take too many instructions"
allocated=$(($(allocations relay 300) - $(allocations relay 100)))
echo "the same two hundred times more: $allocated allocations (at most 0)"
[ "$allocated" -eq 0 ] || complain "framing allocates"

# Four times as long may cost four times as much, and a tenth more. What it takes to write the stanza does not count.
dearest=0
for kind in text umlauts references sections value space names elements; do
    written_short=$(count "$kind" 32000 0) written_long=$(count "$kind" 128000 0)
    for piece in 1 1448 1000000; do
        short=$(($(count "$kind" 32000 "$piece") - written_short))
        long=$(($(count "$kind" 128000 "$piece") - written_long))
        growth=$((long * 100 / short))
        [ "$growth" -le "$dearest" ] || dearest=$growth
        [ "$growth" -le 440 ] || complain "a stanza of $kind in pieces of $piece bytes: $growth % of a quarter of it"
    done
done
echo "four times as much of anything, in pieces of any size: $dearest % of the instructions (at most 440)"
exit "$failed"
