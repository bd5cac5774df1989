#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a scan says, against ss, nstat, /proc and nginx: a queue whose places are held by idle
# connections, TIME_WAIT, backlog, local ports, open files, one-shot flows, drift.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

cat >"$W/limits.conf" <<-'TEXT'
	interval = "200ms";
	scan = "200ms";
	hops = (
	  { name = "nlb";   accept  = "80"; },
	  { name = "queue"; connect = "127.0.0.1:8080"; from = "nlb"; process = "queue"; limit = 15; },
	  { name = "web";   accept  = "8080"; },
	  { name = "slow";  accept  = "8081"; },
	  { name = "out";   connect = "127.0.0.1:3000"; },
	  { name = "app";   accept  = "3000"; }
	);
TEXT

# clients_start NAME N PORT [PATH]; then clients_stop NAME
clients_start() {
	mkfifo "$W/$1.stdin"
	exec {hold}<>"$W/$1.stdin" # both ways: otherwise each end waits for the other
	declare -g "hold_$1=$hold"
	start_inside "$here/clients" "${@:2}" <"$W/$1.stdin" >"$W/$1.out" 2>"$W/$1.err"
	declare -g "pid_$1=$PID"
	until_true 20 grep -q open "$W/$1.out" || die "clients connect"
}
clients_stop() {
	local name=hold_$1 pid=pid_$1
	local fd=${!name}

	stop "${!pid}"
	exec {fd}>&-
	rm -f "$W/$1.stdin"
}
# becomes VALUE FILTER - the answer of `hops FILTER` becomes VALUE within 10 s
becomes() {
	until_true 10 is "$1" "$2"
}
is() {
	[ "$(hops "$2")" = "$1" ]
}
socks() { # how many sockets ss shows
	inside ss -Htan "$@" | wc -l
}
drifted() {
	[ "$(show hops | jq '.drift.app')" != 0 ]
}
settled() {
	[ "$(show hops | jq '.drift.app')" = 0 ]
}
# When the last scan ended, in ms since the counters began. A scan comes as often as its own cost
# allows: how long to wait for one is not known beforehand.
scan_end() {
	hops '(.uptime_seconds - .scan.age_seconds) * 1000 | round'
}
later_scan() { # they are 200 ms apart at least
	[ "$(scan_end)" -gt $(($1 + 50)) ]
}
after_a_scan() { # one that began after now: the second one that ends
	local before
	for _ in 1 2; do
		before=$(scan_end)
		until_true 20 later_scan "$before" || die "there is a scan"
	done
}

make_netns
# shellcheck disable=SC2016 # nginx's $
nginx_start web 'keepalive_timeout 75s; server { listen 8080 backlog=511; location / { return 200 "ok\n"; } }'
nginx_start slow 'server { listen 8081 backlog=8; location / { return 200 "ok\n"; } }'
slow_pid=$PID
nginx_start app 'server { listen 3000; location / { return 200 "app\n"; } }'
# of another user, as a service is: what an agent may know of root's processes proves nothing
cp "$BUILD/lib/queue" "$W/queue"
inside sysctl -qw net.ipv4.ip_unprivileged_port_start=80
start_inside setpriv --reuid 65534 --regid 65534 --clear-groups "$W/queue" 80 8080 15 >"$W/queue.out"
queue_pid=$PID
until_true 5 grep -q ready "$W/queue.out" || die "the queue starts"
agent -c "$W/limits.conf" --netns "$NS"
becomes 0 'hop("nlb").held' || die "the first scan ends"

# --- the outage: idle keep-alive connections hold all places ---

clients_start first 100 80 /
equal "100 clients are connected" "$(cat "$W/first.out")" "open 100"
holds "85 of 100 are held" becomes 85 'hop("nlb").held'
unread=$(inside ss -Htn state established 'sport = :80' | awk '$1 > 0' | wc -l)
equal "ss shows as many with unread bytes" "$unread" 85
equal "the difference of active flows agrees" "$(hops 'hop("nlb").held_check')" 85
got() {
	[ "$(nginx_accepts web)" = "$1" ]
}
until_true 5 got 15
equal "nginx got 15" "$(nginx_accepts web)" 15
holds "all places are taken by idle ones" becomes '15 15' 'hop("queue").places | "\(.used) \(.idle)"'
equal "they free 15 / 75 s" "$(hops 'hop("queue").places.drain_per_second')" 0.2
"$FT" show hops >"$W/hops.txt"
says "one line says it" "$W/hops.txt" '^queue: 15/15 places, 15 idle .* free 0.2/s; nlb holds 85, oldest [0-9]+s$'
requests=$(curl -s --unix-socket "$W/web/status" http://localhost/ | awk 'NR == 3 { print $3 }')
clients_start more 20 80 /
holds "flows keep arriving" becomes 120 'hop("nlb").active'
holds "and wait" becomes 105 'hop("nlb").held'
equal "no request is served" \
	"$(curl -s --unix-socket "$W/web/status" http://localhost/ | awk 'NR == 3 { print $3 }')" \
	$((requests + 1)) # the one that asked
equal "the health check is green" \
	"$(inside curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/)" 200
holds "files of the queue are those of /proc" becomes "$(find "/proc/$queue_pid/fd" -mindepth 1 |
	wc -l) $(awk '/open files/ { print $4 }' "/proc/$queue_pid/limits")" \
	'hop("queue").files | "\(.used) \(.limit)"'
says "the textfile has the line, too" "$PROM" '^fantail_held_flows\{hop="nlb"\} 105$'
clients_stop more
clients_stop first
holds "nothing is held when they are gone" becomes 0 'hop("nlb").held'

# --- TIME_WAIT, one-shot ---

flows() { hops 'hop("web") | "\(.closed | add) \(.one_shot.flows)"'; }
settle
read -r closed shots < <(flows)
accepts=$(nginx_accepts web)
inside ab -q -n 300 -c 3 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab runs"
settle
after_a_scan
read -r closed_ab shots_ab < <(flows)
equal "without -k each connection is one-shot" "$((shots_ab - shots)) of $((closed_ab - closed))" \
	"$(($(nginx_accepts web) - accepts)) of $(($(nginx_accepts web) - accepts))"
for _ in 1 2 3; do # at once, one of them might find that the others have done all the work
	inside ab -q -k -n 100 -c 1 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab -k runs"
done
settle
after_a_scan
read -r closed_k shots_k < <(flows)
equal "with -k none is" "$((shots_k - shots_ab)) of $((closed_k - closed_ab))" "0 of 3"
same_time_wait() { # HOP SIDE - one may end between the two looks
	waiting=$(socks state time-wait "$2 = :8080")
	is "$waiting" "hop(\"$1\").states.time_wait"
}
for side in sport dport; do
	name=$([ $side = sport ] && echo web || echo queue)
	until_true 10 same_time_wait "$name" "$side"
	equal "TIME_WAIT of $name is what ss shows" "$(hops "hop(\"$name\").states.time_wait")" "$waiting"
done
equal "nginx closes first" "$(hops 'hop("web").closed.local >= 300')" true
equal "and so has the TIME_WAIT" "$(hops 'hop("web").states.time_wait >= 300')" true

# --- backlog ---

kill -STOP "$slow_pid"
for worker in $(pgrep -P "$slow_pid"); do
	kill -STOP "$worker"
done
before=$(snmp TcpExtListenOverflows)
start_inside timeout 8 "$here/clients" 14 8081 / >"$W/slow.out" 2>&1
slow_clients=$PID
holds "the backlog is full" becomes '9/8' 'hop("slow") | "\(.backlog)/\(.backlog_limit)"' # one more fits
equal "ss says the same" "$(inside ss -Hltn 'sport = :8081' | awk '{ print $2 "/" $3 }')" 9/8
overflowed() {
	[ "$(snmp TcpExtListenOverflows)" -gt "$before" ]
}
until_true 5 overflowed
after_a_scan
overflows=$(show listeners | jq --argjson ns "$(stat -Lc %i "$NS")" '.namespaces[] | select(.netns == $ns).listen_overflows')
now=$(snmp TcpExtListenOverflows)
equal "overflows are nstat's" "$([ "$overflows" -gt "$before" ] && [ "$overflows" -le "$now" ] && echo yes)" yes
equal "show listeners has the row" "$(show listeners | jq -r '.listeners[] |
	select(.hop == "slow") | "\(.local) \(.backlog) \(.backlog_limit)"')" "[::]:8081 9 8"
"$FT" show listeners >"$W/listeners"
says "the table says any address" "$W/listeners" '^\*:8081 +slow '
says "and how often a handshake found a queue full" "$W/listeners" "^namespace [0-9]+: [1-9][0-9]* times a handshake found "
kill -CONT "$slow_pid"
for worker in $(pgrep -P "$slow_pid"); do
	kill -CONT "$worker"
done
holds "the backlog empties" becomes 0 'hop("slow").backlog'
stop "$slow_clients"

# --- local ports ---

inside sysctl -qw net.ipv4.ip_local_port_range='40000 40063' net.ipv4.ip_local_reserved_ports=40010-40013
clients_start some 40 3000 /
holds "40 ports of 60 are used" becomes '40/60' 'hop("out").ports | "\(.used)/\(.limit)"'
clients_start rest 30 3000 /
equal "20 more find one" "$(cat "$W/rest.out")" "open 20"
holds "none is left" becomes '60/60' 'hop("out").ports | "\(.used)/\(.limit)"'
equal "10 connects failed for want of a port" "$(hops 'hop("out").failed.no_port')" 10
equal "show ports is what ss shows" "$(show ports | jq '.ports[] | select(.hop == "out").used')" \
	"$(socks 'dport = :3000')"
clients_stop some
clients_stop rest
inside sysctl -qw net.ipv4.ip_local_port_range='1024 65000' net.ipv4.ip_local_reserved_ports=''

# --- drift ---

# a drift is seen by one scan and gone with the next: they come more slowly here, to be looked at
sed -i 's/scan = "200ms"/scan = "1s"/' "$W/limits.conf"
: >"$W/agent.log"
kill -HUP "$AGENT"
until_true 10 grep -q 'counting 6 hops' "$W/agent.log" || die "it reloads" "$(tail -n 2 "$W/agent.log")"
clients_start few 5 3000 /
holds "5 are open" becomes 5 'hop("app").active'
equal "nothing drifts" "$(show hops | jq -c '[.drift[]] | unique')" "[0]"
# the entry of one of the app's flows is taken away, as if it had been lost
key=$(bpftool -j map dump pinned "$PINS/flows" | jq -r '[.[] | select(.formatted.value.hop == 5 and
	.formatted.value.state == 1)][0].key | join(" ")')
# shellcheck disable=SC2086 # bytes
bpftool map delete pinned "$PINS/flows" key $key || die "take an entry away"
holds "the count is off by one, and says so" until_true 10 drifted
holds "it is repaired" becomes 5 'hop("app").active'
holds "and drifts no more" until_true 10 settled
equal "both halves of the repair are counted" \
	"$(show loss | jq -c '.loss | [.missed_open >= 1, .missed_close >= 1]')" "[true,true]"
clients_stop few
holds "all of them end" becomes 0 'hop("app").active'
after_a_scan
equal "nothing drifts at the end" "$(show hops | jq -c '[.drift[]] | unique')" "[0]"

# --- a namespace that comes and goes ---

stop "$AGENT"
mkdir -p /run/netns && : >/run/netns/guest
unshare --net=/run/netns/guest true || die "make another network namespace"
guest=$(stat -Lc %i /run/netns/guest)
known() { # whether the agent keeps numbers of the guest
	bpftool -j map dump pinned "$PINS/spaces" | jq -e --argjson ns "$guest" 'any(.[]; .formatted.key == $ns)'
}
agent -c "$W/limits.conf" --netns all
holds "a namespace has its own numbers" until_true 5 known
umount -l /run/netns/guest && rm /run/netns/guest
forgotten() {
	! known
}
holds "and takes no room when it is gone" until_true 5 forgotten
