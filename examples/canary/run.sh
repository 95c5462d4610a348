#!/bin/sh
# run.sh [GOSSAMER] - README.md from start to end: two versions of a service and a node on this
# machine, the manifests one after another, and after each 200 requests counted by who answered.
# Leaves nothing behind. GOSSAMER is the program, unless it is in PATH.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
gossamer=${1:-gossamer}
outbound=127.0.0.1:4140
dir=$(mktemp -d)
pids=

finish() {
    trap - EXIT
    for pid in $pids; do
        kill "$pid" 2>/dev/null || :
    done
    wait
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

await() { # await WHAT COMMAND...: until it succeeds, at most 10 s
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            echo "run.sh: $what: not within 10 s" >&2
            cat "$dir"/*.log >&2
            exit 1
        fi
        sleep 0.1
    done
}

both_healthy() {
    [ "$("$gossamer" endpoints tools -o json | grep -o '"state":"healthy"' | wc -l)" -eq 2 ]
}

count() { # count [CURL OPTION...]: who answers 200 requests for tools
    curl -sS -H 'Host: tools' "$@" "http://$outbound/[1-200]" |
        grep -o '"version":"[^"]*"' | sort | uniq -c
}

"$gossamer" demo serve --version v1 --listen 127.0.0.1:9001 >"$dir/v1.log" 2>&1 &
pids="$!"
"$gossamer" demo serve --version v2 --listen 127.0.0.1:9002 >"$dir/v2.log" 2>&1 &
pids="$! $pids"
"$gossamer" run -c "$here/gossamer.yaml" --set "state_dir=$dir/state" \
    --set "admin.socket=$dir/admin.sock" >"$dir/node.log" 2>&1 &
pids="$! $pids" # the first to be stopped
GOSSAMER_SOCKET=$dir/admin.sock # where the verbs below find the node
export GOSSAMER_SOCKET
await 'both versions are healthy' both_healthy

echo '# canary.yaml: a tenth to v2'
"$gossamer" apply -f "$here/canary.yaml"
count
echo '# half of it'
"$gossamer" split tools v1=50 v2=50
count
echo '# ab.yaml: v2 for those who ask for it'
"$gossamer" apply -f "$here/ab.yaml"
count
echo '# with x-experiment: promptv2'
count -H 'x-experiment: promptv2'
echo '# and back to where it began'
"$gossamer" delete vs tools
"$gossamer" stat tools
