#!/usr/bin/env bash
# One box, measured from outside: publishes 100,000 names in one go and then asks for them over UDP. Client and server of the
# publish share one core; the server of the questions has it for itself. Where NSD is installed it serves the same zone on
# the same core in the same run, for a ratio. docs/BENCHMARKS.md has the results.
#
#   cargo build --release && benches/one-box.sh [NAMES] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
names=${1:-100000} seconds=${2:-5}
lfdns=${CARGO_TARGET_DIR:-target}/release/lfdns
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

zone() { # names
    printf '$ORIGIN demo.lf.\n$TTL 300\n@ SOA ns hostmaster 1 7200 900 1209600 60\n@ NS ns\nns A 127.0.0.1\n'
    seq 0 $(($1 - 1)) | awk '{ printf "n%d A 10.%d.%d.%d\n", $1, $1 / 65536, $1 / 256 % 256, $1 % 256 }'
}

# 200,000 questions drawn from so many names, a part of which (percent) do not exist.
questions() { # names percent-absent
    awk -v names="$1" -v absent="$2" 'BEGIN {
        srand(1)
        for (i = 0; i < 200000; i++)
            if (rand() * 100 < absent) print "no" int(rand() * names / 20) ".demo.lf A"
            else print "n" int(rand() * names) ".demo.lf A"
    }'
}

rss() { awk -v what="$2" '/VmHWM/ { printf "%s: at most %d MiB resident\n", what, $2 / 1024 }' "/proc/$1/status"; }
dns_port() { sed -n 's/.*"dns":\["127\.0\.0\.1:\([0-9]*\)".*/\1/p' "$work/home/node.json"; }
# Lost questions are printed, and are no reason to stop.
ask() { { taskset -c 1 "$lfdns" bench dns --server "$1" --duration "$seconds" "$2" || true; } | sed 's/^/    /'; }

mkdir -p "$work/empty" && zone "$names" > "$work/zone" && questions 1000 0 > "$work/q-1k" && questions "$names" 5 > "$work/q-all"
# Every name once, so that nothing is in the cache.
seq 0 $((names - 1)) | awk '{ print "n" $1 ".demo.lf A" }' > "$work/q-cold"
printf '[dns]\nudp_threads = 1\n' > "$work/node.toml"
taskset -c 0 "$lfdns" --home "$work/home" node --config "$work/node.toml" \
    --dns 127.0.0.1:0 --http 127.0.0.1:0 --quic 127.0.0.1:0 > "$work/log" 2>&1 &
node=$! && pids+=("$node")
until [ -s "$work/home/node.json" ]; do kill -0 "$node" && sleep 0.1; done
server=127.0.0.1:$(dns_port)

echo "== publish $names names; node and client on one core"
begin=$(date +%s%N)
taskset -c 0 "$lfdns" --home "$work/home" zone publish "$work/zone" --zone demo.lf --force &
client=$!
peak=0
while kill -0 "$client" 2> /dev/null; do
    now=$(awk '/VmHWM/ { print $2 }' "/proc/$client/status" 2> /dev/null || true)
    ((${now:-0} > peak)) && peak=$now
    sleep 0.2
done
wait "$client"
end=$(date +%s%N)
awk -v n="$names" -v ns=$((end - begin)) 'BEGIN { printf "%d records in %.1f s: %d a second\n", n, ns / 1e9, n / (ns / 1e9) }'
rss "$node" node
echo "client: at most $((peak / 1024)) MiB resident"
du -k "$work/home/store.db" | awk -v n="$names" '{ printf "store: %d bytes a record\n", $1 * 1024 / n }'

echo "== every name once, nothing cached" && ask "$server" "$work/q-cold"
# All the others, so that what follows is asked of a full cache, as NSD has everything from the start.
seconds=$((names / 4000 + 2)) ask "$server" "$work/q-cold" > /dev/null
echo "== questions over 1,000 names" && ask "$server" "$work/q-1k" && ask "$server" "$work/q-1k"
echo "== questions over $names names, 5 % absent, second round" && ask "$server" "$work/q-all" > /dev/null && ask "$server" "$work/q-all"
rss "$node" node

if command -v nsd > /dev/null; then
    cat > "$work/nsd.conf" << CONF
server:
  ip-address: 127.0.0.1@5399
  username: ""
  chroot: ""
  zonesdir: "$work"
  database: ""
  pidfile: "$work/nsd.pid"
  xfrdfile: "$work/xfrd"
  zonelistfile: "$work/zones.list"
  server-count: 1
  verbosity: 0
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: demo.lf
  zonefile: zone
CONF
    taskset -c 0 nsd -d -c "$work/nsd.conf" > "$work/nsd.log" 2>&1 &
    pids+=($!)
    until dig +short +tries=1 +time=1 @127.0.0.1 -p 5399 n1.demo.lf A 2> /dev/null | grep -q '^10\.'; do sleep 0.2; done
    echo "== NSD: questions over $names names, 5 % absent, second round"
    ask 127.0.0.1:5399 "$work/q-all" > /dev/null && ask 127.0.0.1:5399 "$work/q-all"
fi
