#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S3, ab -n 100 -c 10 with -k and without, through the load balancer and the queue. ab without -k is
# not keep-alive. It may open connections that carry nothing: they are in the kernel's counters and
# in fantail's, not in the access log.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

run_ab() { # OPTION...; how many connections that were, in $connects, $opened, $logged
	settle ec2a
	connects=$(snmp gw TcpActiveOpens) opened=$(hops ec2a 'hop("nlb").opened')
	logged=$(nginx_logged ec2a 127.0.0.1)
	requests=$(requests_logged ec2a 127.0.0.1)
	on gw ab -q -n 100 -c 10 "$@" http://10.77.2.1/ >"$W/log/ab" 2>&1 ||
		die "ab runs" "$(tail -n 3 "$W/log/ab" | tr '\n' ' ')"
	eventually "ab${*:+ $*}: its connections are over" ec2a hops '[.hops[:2][].active] | @csv' 0,0
	connects=$(($(snmp gw TcpActiveOpens) - connects))
	opened=$(($(hops ec2a 'hop("nlb").opened') - opened))
	logged=$(($(nginx_logged ec2a 127.0.0.1) - logged))
	requests=$(($(requests_logged ec2a 127.0.0.1) - requests))
}

network
agent ec2a "$LAB/instance.conf"
instance ec2a

run_ab
equal "ab: nlb opened = connects of ab's host" "$opened" "$connects"
equal "ab: requests in nginx's log" "$requests" 100
equal "ab: a connection for each request, in nginx's log" "$logged" 100
holds "ab: no fewer connections than that, and few that carry nothing: $opened" \
	test "$opened" -ge 100 -a "$opened" -le 120
kernel_agrees ec2a

eventually "ab: none was used again" ec2a hops 'hop("nlb").one_shot.flows' "$connects"
once=$connects logged_once=$(nginx_logged_once ec2a 127.0.0.1)

run_ab -k
equal "ab -k: nlb opened = connects of ab's host" "$opened" "$connects"
equal "ab -k: requests in nginx's log" "$requests" 100
equal "ab -k: ten connections, in nginx's log" "$logged" 10
holds "ab -k: no fewer than that: $opened" test "$opened" -ge 10 -a "$opened" -le 20
kernel_agrees ec2a
# but for those that carried nothing, and for one that the others were faster than
logged_once=$(($(nginx_logged_once ec2a 127.0.0.1) - logged_once))
eventually "ab -k: all ten were used again, but for $logged_once in nginx's log" ec2a hops \
	'hop("nlb").one_shot.flows' $((once + connects - logged + logged_once))
equal "one queue connection for each of the load balancer's" \
	"$(hops ec2a 'edge("nlb"; "queue").flow.start')" 1
