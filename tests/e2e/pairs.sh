#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Which backend connections carried each client connection's bytes, against what the servers say:
# the proxy puts the number of its client's connection into a header, and the application logs it
# with the number of its own. Distinct couples in that log are the truth.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

cat >"$W/pairs.conf" <<-'TEXT'
	interval = "200ms";
	scan = "200ms";
	hops = (
	  { name = "front"; accept  = "8080"; },
	  { name = "new";   connect = "127.0.0.1:3000"; from = "front"; },
	  { name = "pool";  accept  = "8081"; },
	  { name = "kept";  connect = "127.0.0.1:3001"; from = "pool"; },
	  { name = "app";   accept  = ("3000", "3001"); }
	);
TEXT
paired() { # TO FILTER
	show edges | jq -c ".edges[] | select(.to == \"$1\") | .paired | $2"
}
becomes() { # VALUE COMMAND...
	until_true 20 is "$@"
}
is() {
	[ "$("${@:2}")" = "$1" ]
}
# How many reads and writes the kernel did not show: more than 0 only where it may preempt the
# programs (Linux 7). So many exchanges and pairs may be missing.
skipped() {
	show loss | jq .pair_loss.skipped
}
truth() { # LOG: couples and clients
	sort -u "$1" | awk '{ couples++; if (!($1 in seen)) { seen[$1]; clients++ } }
		END { print couples + 0, clients + 0 }'
}

make_netns
# shellcheck disable=SC2016 # nginx's $
{
	nginx_start app 'log_format couple "$http_x_client $connection";
		keepalive_requests 1000000;
		server { listen 3000; access_log '"$W"'/new.log couple; location / { return 200 "app\n"; } }
		server { listen 3001; access_log '"$W"'/kept.log couple; location / { return 200 "app\n"; } }'
	nginx_start proxy 'keepalive_requests 1000000;
		upstream kept { server 127.0.0.1:3001; keepalive 8; }
		proxy_set_header X-Client $connection;
		server { listen 8080; location / { proxy_pass http://127.0.0.1:3000; } }
		server { listen 8081; location / { proxy_pass http://kept;
			proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Client $connection; } }'
}
# Of this agent: others of this machine come and go. Its links are descriptors of it.
pair_programs() {
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$AGENT/fdinfo/"* | sort -u | while read -r id; do
		bpftool -j prog show id "$id" | jq -r .name
	done | grep -c '^ft_pair'
}
agent -c "$W/pairs.conf" --netns "$NS"
holds "pairing has begun" becomes 0 hops 'hop("front").exchanges'
equal "nothing is claimed of nothing" "$(paired new .)" null

# ten clients, three requests each; nginx makes a connection for each request
inside ab -q -k -n 30 -c 10 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab runs"
inside ab -q -k -n 300 -c 10 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab runs"
settle
read -r couples clients < <(truth "$W/new.log")
holds "pairs are those of the servers' log ($couples of $clients clients)" \
	becomes true paired new ".flows == $clients and .partners <= $couples and
		.partners >= $couples - $(skipped)"
equal "the mean is their quotient" "$(paired new ".mean == .partners / $clients")" true
equal "every connection was used by one client" \
	"$(paired new '(.reuse.mean >= 0.99 and .reuse.mean <= 1 and .reuse.max == 1)')" true
holds "with confidence" is true paired new '.confidence >= 0.96 and .coverage >= 0.96'
are_requests() { # HOP REQUESTS - what a walk over the pairs finds comes with the next one
	becomes true hops "hop(\"$1\").exchanges | . <= $2 and . >= $2 - $(skipped)"
}
are_requests front 330
exchanges=$(hops 'hop("front").exchanges')
holds "exchanges are requests ($exchanges of 330)" \
	test "$exchanges" -le 330 -a "$exchanges" -ge $((330 - $(skipped)))
equal "one exchange for each new connection" "$(show edges | jq ".edges[] |
	select(.to == \"new\").flows_per_exchange == 330 / $exchanges")" true
says "the textfile has the ratio" "$PROM" '^fantail_fanout_ratio\{from="front",to="new",kind="paired"\} [0-9.]+$'
of_the_last_minute() { # the textfile's numerator and denominator are JSON's
	local partners flows
	read -r partners flows < <(paired new '.recent | "\(.partners) \(.flows)"' | tr -d '"')
	[ "$flows" -gt 0 ] && grep -qx "fantail_paired_flows_sum{from=\"front\",to=\"new\"} $partners" "$PROM" &&
		grep -qx "fantail_paired_flows_count{from=\"front\",to=\"new\"} $flows" "$PROM"
}
holds "and its numerator and denominator" until_true 5 of_the_last_minute
one_more() { # request, and what the last seconds then look like
	inside curl -so "$W/curl" http://127.0.0.1:8080/
	show edges | jq '.edges[] | select(.to == "new").flows_per_exchange_window["10s"] |
		. != null and . > 0.8 and . < 1.25'
}
holds "the last seconds say so, too" until_true 20 is true one_more
says "and the queue wait" "$PROM" '^fantail_queue_wait_seconds_count\{hop="front"\} [1-9]'

# a pool: few connections, each used by many clients
inside ab -q -k -n 3000 -c 20 http://127.0.0.1:8081/ >"$W/ab" 2>&1 || die "ab runs"
settle
read -r couples clients < <(truth "$W/kept.log")
holds "with a pool they are, too ($couples couples of $clients clients)" \
	becomes true paired kept "(.partners - $couples | fabs) <= $couples * 0.01"
equal "and the clients" "$(paired kept .flows)" "$clients"
equal "a pool's connections serve several clients" "$(paired kept '.reuse.mean > 1.5')" true
requests=$(wc -l <"$W/kept.log")
holds "exchanges are requests there, too ($requests)" are_requests kept "$requests"

# live pairs, with both tuples
unseen=$(skipped)
mkfifo "$W/tunnel"
exec 8<>"$W/tunnel"
start_inside "$here/clients" 3 8081 / <"$W/tunnel" >"$W/clients.out" 2>&1
clients_pid=$PID
until_true 20 grep -q "open 3" "$W/clients.out" || die "clients connect"
holds "three open clients have their pairs" becomes 3 sh -c "'$FT' show pairs --json |
	jq '[.pairs[].a | select(.hop == \"pool\")] | unique | length'"
"$FT" show pairs --json >"$W/pairs.json"
"$FT" show flows --hop pool --json >"$W/flows.json"
equal "show flows names the same pairs" "$(jq -r '.flows[].pairs[]' "$W/flows.json" | sort)" \
	"$(jq -r '.pairs[] | select(.a.hop == "pool").id' "$W/pairs.json" | sort)"
tuples=$(inside ss -Htn state established | awk '{ print $3 " " $4 }' | sort)
missing=$(jq -r '.pairs[] | .a, .b | "\(.local) \(.remote)"' "$W/pairs.json" | sort -u |
	comm -23 - <(echo "$tuples") | wc -l)
equal "ss knows every tuple of them" "$missing" 0
# one more client sends three requests, each after the answer to the one before; those three sent one
# shellcheck disable=SC2016 # the client's $
start_inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/8081
	for i in 1 2 3; do
		printf "GET / HTTP/1.1\r\nHost: x\r\n\r\n" >&3
		while read -r line <&3 && [ "$line" != app ]; do :; done
	done
	echo "$line $i"
	exec sleep 60' >"$W/three.out"
three_pid=$PID
until_true 20 grep -qx "app 3" "$W/three.out" || die "three requests are answered"
exchanges=$("$FT" show flows --hop pool --json |
	jq -c '[.flows[] | select(.state == "ESTABLISHED").exchanges] | sort')
unseen=$(($(skipped) - unseen)) # of these four
holds "each flow has its requests as exchanges ($exchanges)" test "$(jq "length == 4 and add <= 6 and
	add >= 6 - $unseen and ($unseen > 0 or . == [1, 1, 1, 3])" <<<"$exchanges")" = true
equal "a flow of a hop without pairs has none" \
	"$("$FT" show flows --hop app --json | jq -c '[.flows[].exchanges] | unique')" "[null]"
stop "$three_pid"
stop "$clients_pid"
exec 8>&-
holds "they end with their clients" becomes 0 sh -c "'$FT' show pairs --json |
	jq '[.pairs[].a | select(.hop == \"pool\")] | length'"

holds "pairing loads its programs" test "$(pair_programs)" -gt 0
stop "$AGENT"
printf 'pairs = false;\n' >>"$W/pairs.conf"
agent -c "$W/pairs.conf" --netns "$NS"
equal "pairs = false loads none of the programs" "$(pair_programs)" 0
"$FT" show pairs >"$W/none" 2>&1
equal "show pairs says so" "$?" 69
equal "and nothing is known" "$(hops 'hop("front").exchanges')" null
