#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every number against those who must know it: nginx's own counter, the kernel's, ab's and ss's.
# Two nginx in a chain under 100 000 connections and more: with `Connection: close` towards the
# second nginx, then with keep-alive on both sides.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

# Both ends of both connections are hops, so that together they are all TCP of the namespace.
cat >"$W/fantail.conf" <<TEXT
interval = "200ms";
hops = (
  { name = "client"; connect = "127.0.0.1:8080-8081"; },
  { name = "front"; accept = "8080-8081"; },
  { name = "upstream"; connect = "127.0.0.1:3000"; from = "front"; process = "front"; },
  { name = "app"; accept = "3000"; from = "upstream"; }
);
TEXT
app='server { listen 127.0.0.1:3000 backlog=4096; keepalive_requests 1000000;
	location / { return 200 "app\n"; } }'
front='keepalive_requests 1000000;
	upstream app { server 127.0.0.1:3000; }
	upstream app_kept { server 127.0.0.1:3000; keepalive 64; keepalive_requests 1000000; }
	server { listen 127.0.0.1:8080 backlog=4096; location / { proxy_pass http://app; } }
	server { listen 127.0.0.1:8081 backlog=4096; location / { proxy_pass http://app_kept;
		proxy_http_version 1.1; proxy_set_header Connection ""; } }'

# Everything that has to be equal once the connections rest. $1 says when.
agree() {
	local client front upstream app
	settle
	read -r client front upstream app < <(hops '[.hops[].opened] | @tsv')
	equal "$1: front opened = accepted by nginx" "$front" "$(nginx_accepts front)"
	equal "$1: app opened = accepted by the second nginx" "$app" "$(nginx_accepts app)"
	equal "$1: front + app opened = the kernel's PassiveOpens" \
		$((front + app)) "$(snmp TcpPassiveOpens)"
	equal "$1: client + upstream opened = the kernel's ActiveOpens" \
		$((client + upstream)) "$(snmp TcpActiveOpens)"
	equal "$1: upstream opened = ActiveOpens without the client's" \
		"$upstream" $(($(snmp TcpActiveOpens) - front))
	equal "$1: opened = closed + active, for each hop" \
		"$(hops '[.hops[] | .opened - ([.closed[]] | add) - .active] | @csv')" 0,0,0,0
	equal "$1: no connect failed" "$(hops '[.hops[].failed[]] | add')" 0
	holds "$1: flow ratio of the edge = upstream / front" \
		jq -e ".edges[] | select(.to == \"upstream\") | .flow.start * $front - $upstream |
			fabs < 0.001 * $front" "$W/hops.json"
	no_loss
}

# The flow table is what ss sees, socket by socket, and so are the gauges. Two looks, one after the
# other: as often as it takes until nothing changes in between.
same_sockets() {
	inside ss -Htan | awk '$1 != "LISTEN" && $1 != "TIME-WAIT" { print $1, $4, $5 }' |
		sed 's/^ESTAB /ESTABLISHED /; s/^\([A-Z0-9]*\)-\([A-Z0-9]*\)-*\([0-9]*\) /\1_\2\3 /' |
		sort >"$W/ss"
	show flows --limit 100000 | jq -r '.flows[] | "\(.state) \(.local) \(.remote)"' |
		sort >"$W/flows"
	cmp "$W/ss" "$W/flows"
}
table_is_ss() {
	until_true 30 same_sockets
	holds "$1: the flow table is what ss lists, all $(wc -l <"$W/ss") sockets" \
		diff "$W/ss" "$W/flows"
	hops '.hops[] | "\(.name) \(.active) \(.states.established)"' >"$W/gauges"
	inside ss -Htan state established | awk '
		{ split($3, near, ":"); split($4, far, ":"); hop = "upstream" }
		near[2] == 8080 || near[2] == 8081 { hop = "front" }
		near[2] == 3000 { hop = "app" }
		far[2] == 8080 || far[2] == 8081 { hop = "client" }
		{ n[hop]++ }
		END { split("client front upstream app", all, " ")
			for (i = 1; i <= 4; i++) print all[i], n[all[i]] + 0, n[all[i]] + 0 }' >"$W/counted"
	holds "$1: active and established = ss's count: $(tr '\n' ';' <"$W/counted")" \
		diff "$W/counted" "$W/gauges"
}

# one_shot CONNECTIONS PORT - with ab, which opens one for each request
one_shot() {
	inside ab -q -n "$1" -c 50 "http://127.0.0.1:$2/" >"$W/ab" 2>&1 ||
		die "ab runs" "$(tail -n 3 "$W/ab")"
	awk '/^Failed requests:/ { exit $3 > 0 }' "$W/ab" || die "ab gets its answers"
}

make_netns
many=$(storm_size 50000)
nginx_start app "$app"
nginx_start front "$front"
agent -c "$W/fantail.conf" --netns "$NS"
equal "nothing is counted before anything happens" "$(hops '[.hops[].opened] | add')" 0

one_shot "$many" 8080
agree "close"
equal "close: one upstream connection for each request" "$(hops 'hop("upstream").opened')" "$many"

start_inside wrk -t 2 -c 50 -d 60s http://127.0.0.1:8081/ >"$W/wrk"
wrk=$PID
fifty() {
	[ "$(hops 'hop("front").active')" = 50 ]
}
until_true 20 fifty
sleep 1
equal "keep-alive: the 50 connections that wrk holds are active" "$(hops 'hop("front").active')" 50
kill -INT "$wrk" # it ends as after its time
wait "$wrk"
one_shot "$many" 8081
agree "keep-alive"
holds "keep-alive: few upstream connections for many" \
	jq -e ".hops[1].opened > 2 * $many and .hops[2].opened < $many + 1000" "$W/hops.json"

# connections that stay: what nginx keeps towards the app, and five idle clients
start_inside bash -c 'for _ in 1 2 3 4 5; do exec {fd}<>/dev/tcp/127.0.0.1/8081; done; exec sleep 60'
five() {
	[ "$(hops 'hop("front").active')" = 5 ]
}
until_true 20 five
table_is_ss "at rest"

stop "$AGENT"
holds "a clean stop removes the pins" test ! -e "$PINS"
holds "and the textfile" test ! -e "$PROM"
