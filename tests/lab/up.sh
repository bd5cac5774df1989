#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# up STATE - keep the whole chain up until somebody ends this process, or for eight hours. STATE gets
# what others need to look at it: links to the network namespaces and to the components' sockets.
state=$1
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

ln -sfn "$W" "$state/work" # first: `down` removes it even if this process is killed
service 15
order gateway '/?way=pooled'
mkdir "$state/net"
for host in client gw nlb ec2a ec2b rds; do # a link through a process needs no mount to be undone
	start nsenter --net="$NS/$host" sleep infinity
	ln -s "/proc/$PID/ns/net" "$state/net/$host"
done
ln -s "$W/status" "$W/log" "$here/instance.conf" "$here/gateway.conf" "$state/"
[ "$failed" -eq 0 ] && : >"$state/ready"
sleep 28800 &
running+=($!)
wait $!
