#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Without a configuration the hops come from what runs: listeners with their owners, destinations,
# and the edges between them; also those that appear later.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

printf 'interval = "200ms";\n' >"$W/none.conf"
names() { # of the hops, with what matters about them
	hops ".hops[] | \"\\(.side) \\(.port) \\(.process) from=\\(.from)\"" | sort
}
has() {
	hops "[.hops[] | select($1)] | length" | grep -q '^[1-9]'
}
linked() { # the chain, whole; the port that is lower and busier, but only redirects, has no part in it
	request 8079 300 && request 8080 100
	sleep 0.5
	hops . >"$W/hops" && jq -e \
		"[.edges[] | .from + \" \" + .to] | contains([\"$front $upstream\", \"$upstream $app\"])" "$W/hops"
}
request() {
	inside ab -q -n "${2:-200}" -c 4 "http://127.0.0.1:$1/" >"$W/ab" 2>&1 || die "ab runs"
}

make_netns
# shellcheck disable=SC2016 # nginx's $
nginx_start node 'server { listen 127.0.0.1:3000; location / { return 200 "app\n"; } }'
nginx_start web 'server { listen 8079; location / { return 301 /x; } }
	server { listen 8080; location / { proxy_pass http://127.0.0.1:3000; } }'
agent -c "$W/none.conf" --netns "$NS"

holds "a listener and its owner are found" until_true 10 has '.side == "accept" and .process == "web"'
holds "the second one too" until_true 10 has '.side == "accept" and .process == "node"'
request 8080
holds "a destination and its owner are found" until_true 10 has '.side == "connect" and .process == "web"'
holds "connects from before it was a hop are named" test "$(show loss | jq .undiscovered)" -gt 0
request 8080
settle
front=$(hops '[.hops[] | select(.side == "accept" and .process == "web" and .port == "8080")][0].name')
upstream=$(hops '[.hops[] | select(.side == "connect" and .process == "web")][0].name')
app=$(hops '[.hops[] | select(.side == "accept" and .process == "node")][0].name')
echo "note    $CASE: $front, $upstream, $app"
holds "the edges follow the owner: $front -> $upstream -> $app" until_true 10 linked
settle
equal "every connection to its listeners is counted from the first" \
	"$(hops '[.hops[] | select(.side == "accept" and .process == "web").opened] | add')" "$(nginx_accepts web)"
equal "and at the second listener" "$(hops "hop(\"$app\").opened")" "$(nginx_accepts node)"

# a listener that comes later
# shellcheck disable=SC2016
nginx_start late 'server { listen 9090; location / { return 200 "late\n"; } }'
holds "a listener started later appears within 3 s" until_true 3 has '.process == "late"'
holds "without a restart" alive "$AGENT"
request 9090 100
settle
equal "its connections are counted" "$(nginx_accepts late)" \
	"$(hops '[.hops[] | select(.process == "late" and .side == "accept")][0].opened')"

# what discover prints is a configuration of the same hops, and of those of other namespaces
inside "$FT" discover >"$W/found.conf" 2>"$W/found.err" ||
	die "discover" "$(cat "$W/found.err")"
holds "discover's output is a valid configuration" "$FT" check -c "$W/found.conf"
hops '.hops[] | "\(.side) \(.port)"' | sort >"$W/before"
stop "$AGENT"
agent -c "$W/found.conf" --netns "$NS"
hops '.hops[] | "\(.side) \(.port)"' | sort >"$W/after"
equal "fed back it gives the same accept hops" \
	"$(comm -23 <(grep accept "$W/before") <(grep accept "$W/after"))" ""
before=$(nginx_accepts web)
request 8080 300
settle
# another namespace of this machine may have a listener at the same port, and a hop for it
equal "and counts with them" "$(hops '[.hops[] | select(.side == "accept" and .port == "8080").opened] | add')" \
	$(($(nginx_accepts web) - before))
stop "$AGENT"

# the service has three capabilities: too few to read other processes' /proc/PID/fd
real=$FT
cat >"$W/three" <<TEXT
#!/bin/bash
ulimit -l unlimited # as the unit does: before 5.11 maps were locked memory
exec nsenter --net="$NS" setpriv "--bounding-set=-all,+bpf,+perfmon,+net_admin" --inh-caps=-all "$real" "\$@"
TEXT
chmod +x "$W/three"
FT=$W/three
rm -f "$PROM"
agent -c "$W/none.conf" --netns own
FT=$real
equal "with three capabilities too, who listened before is known" \
	"$(hops '[.hops[] | select(.side == "accept") | .process] | sort | join(" ")')" "late node web web"
request 8080
holds "and so is who connects" until_true 10 has '.side == "connect" and .process == "web"'
holds "and the edges" until_true 10 linked
stop "$AGENT"

# Two listeners that both proxy: for which of them the connections behind are made has no answer.
# shellcheck disable=SC2016
nginx_start both 'server { listen 7111; location / { proxy_pass http://127.0.0.1:3000; } }
	server { listen 7112; location / { proxy_pass http://127.0.0.1:3000; } }'
edges_to() { # HOP - from where
	hops "[.edges[] | select(.to == \"$1\").from] | join(\" \")"
}
edge_is() { # HOP FROM PORT... - after a request at each of these ports
	for port in "${@:3}"; do
		inside curl -so "$W/curl" "http://127.0.0.1:$port/" || return
	done
	[ "$(edges_to "$1")" = "$2" ]
}
looked_at() { # by turns, until so many requests were seen at the hop
	edge_is "$shared" "" 7111 7112 || edges_to "$shared" >>"$W/claimed"
	[ "$(hops "hop(\"$shared\").exchanges")" -ge "$1" ]
}
begin_anew() {
	rm -f "$PROM"
	agent -c "$W/none.conf" --netns "$NS"
	edge_is "" "" 7111 7112 7111 7112
	holds "$1" until_true 10 has '.side == "connect" and .process == "both"'
}
begin_anew "what two listeners share is found"
shared=$(hops '[.hops[] | select(.side == "connect" and .process == "both")][0].name')
holds "its connections are looked at without an edge" until_true 40 looked_at 100
holds "in equal shares it never has one" test ! -e "$W/claimed"
"$FT" top --once >"$W/table" 2>&1
says "nor a ratio in the plain table" "$W/table" "^$shared .* - +-\$"
stop "$AGENT"
begin_anew "and found again"
holds "while one listener alone has clients, it is for that one" until_true 20 edge_is "$shared" both:7111 7111
holds "and no more when the other has as many" until_true 20 edge_is "$shared" "" 7112

# an accept hop is made on behalf of its only loopback caller, as long as that makes nearly all of it
equal "an edge whose end has one caller" "$(edges_to both:7111)" "curl->7111"
request 7111 50
holds "ends when there is another" until_true 5 edge_is both:7111 ""
settle
opened=$(hops 'hop("both:7111").opened')
stop "$AGENT" KILL
agent -c "$W/none.conf" --netns "$NS"
sleep 1.5
equal "and is not back with the next agent, which goes on from there" \
	"$(edges_to both:7111) $(hops 'hop("both:7111").opened')" " $opened"
stop "$AGENT"
