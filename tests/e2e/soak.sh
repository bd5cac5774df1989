#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An hour (FT_SOAK_MINUTES) of churn: a proxy with upstream keep-alive, connections of every way to
# end, tunnels that stay, hops that come and go by reload. The agent's memory must not grow, no count
# may be off, nothing lost, nothing drift. Not among the default cases: `make soak`.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

minutes=${FT_SOAK_MINUTES:-60}
conf=$W/fantail.conf
config() { # MORE
	cat >"$conf" <<-TEXT
		hops = (
		  { name = "srv"; accept = "20000-20001"; },
		  { name = "cli"; connect = ":20000-20001"; from = "srv"; },
		  { name = "front"; accept = "8080"; },
		  { name = "app"; connect = "3000"; from = "front"; }$1
		);
	TEXT
}
rss() { # KiB
	awk '/^VmRSS/ { print $2 }' "/proc/$AGENT/status"
}
cpu() { # seconds
	awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$AGENT/stat"
}
maps() { # KiB of kernel memory, where the kernel says so
	local pin kib=0
	for pin in "$PINS"/*; do
		kib=$((kib + $(bpftool -j map show pinned "$pin" 2>/dev/null | jq '.bytes_memlock // 0' || echo 0) / 1024))
	done
	echo $kib
}
made=0
churn() { # for a minute
	local until=$((SECONDS + 60))
	while [ $SECONDS -lt $until ]; do
		inside "$CONNGEN" -n 1000 -t 2 -p 20000 -m mixed >"$W/conngen" || die "conngen makes what it should"
		made=$((made + $(jq .made "$W/conngen")))
		inside ab -q -k -n 300 -c 10 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab runs"
		inside ab -q -n 100 -c 10 http://127.0.0.1:8080/ >"$W/ab" 2>&1 || die "ab runs"
		sleep 1
	done
}

make_netns
# shellcheck disable=SC2016 # nginx's $
nginx_start app 'server { listen 127.0.0.1:3000; location / { return 200 "app\n"; } }'
# shellcheck disable=SC2016
nginx_start web 'upstream app { server 127.0.0.1:3000; keepalive 4; }
	server { listen 8080; location / { proxy_pass http://app; proxy_http_version 1.1;
	proxy_set_header Connection ""; } }'
config ""
agent -c "$conf" --netns "$NS"
churn # the first minute fills what is kept for reuse
early=$(rss) late=0 # the most of the first third, and of the last: in between it swings
for ((minute = 2; minute <= minutes; minute++)); do
	config "$([ $((minute % 5)) -ne 0 ] || echo ', { name = "more"; accept = "9090"; }')"
	kill -HUP "$AGENT"
	churn
	now=$(rss)
	[ $((minute * 3)) -gt "$minutes" ] || [ "$now" -le "$early" ] || early=$now
	[ $((minute * 3)) -le $((minutes * 2)) ] || [ "$now" -le "$late" ] || late=$now
	[ $((minute % 5)) -ne 0 ] || echo "note    $CASE: minute $minute: $made connections made, rss $now KiB," \
		"maps $(maps) KiB, cpu $(cpu) s, loss $(show loss | jq -c '.loss | with_entries(select(.value > 0))')"
done
settle_closed() { until_true 40 srv_closed && settle; }
srv_closed() { [ "$(hops 'hop("srv").active')" = 0 ]; }
settle_closed
equal "accepted: opened = made" "$(hops 'hop("srv").opened')" "$made"
equal "connected: opened = made" "$(hops 'hop("cli").opened')" "$made"
equal "as many at the proxy as nginx accepted" "$(hops 'hop("front").opened')" "$(nginx_accepts web)"
equal "and behind it" "$(hops 'hop("app").opened')" "$(nginx_accepts app)"
equal "no drift" "$(show hops | jq -c '[.drift[]] | add')" 0
holds "memory is flat: at most $early KiB in the first third, $late in the last" \
	test "$late" -le $((early + 256))
no_loss
