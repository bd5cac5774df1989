#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# demo [gw] [OPTION...] - S11, live: 20 clients per second, ten requests each, always. As an instance
# sees it, or the gateway's host. The name in the view's first line says what the lab does at the
# moment. OPTIONs go to fantail top.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

config=instance.conf host=ec2a
if [ "${1:-}" = gw ]; then
	config=gateway.conf host=gw
	shift
fi

# phase NAME GATEWAY APP - for ten seconds
phase() {
	[ -d "/proc/$$" ] || exit # the demo is over
	echo "$1" >/proc/sys/kernel/hostname
	order gateway "$2"
	order app-ec2a-3000 "$3"
	order app-ec2b-3000 "$3"
	ask users visit 20 10 10 /db
}

story() {
	while :; do
		phase "lab: calm" '/?way=pooled' /pool
		phase "lab: the gateway keeps no connection" '/?way=pooled&new=1&keep=0' /pool
		phase "lab: calm again" '/?way=pooled' /pool
		phase "lab: the app keeps no database connection" '/?way=pooled' /new
	done
}

echo "demo: starting the lab: client, gateway, load balancer, two instances, database ..." >&2
# more places than clients: on a slow machine fifteen would be taken, and the show would be over (S5b)
service 64
sed 's/limit = 15/limit = 64/' "$here/instance.conf" >"$W/instance.conf"
cp "$here/gateway.conf" "$W"
client users client
story >"$W/log/story" 2>&1 &
running+=($!)
trap : INT # the view's own way to end
"$FT" top -c "$W/$config" --netns "$NS/$host" "$@" <&0
