#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S2, what really happens: the same client with its one connection, and a gateway that opens another
# connection for each request. Two instances share them, first with the client's (here: the
# gateway's) address, then with the load balancer's.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

# The number over both instances: a fleet is sums, never an average of ratios.
fleet() { # HOP
	echo $(($(hops ec2a "hop(\"$1\").active") + $(hops ec2b "hop(\"$1\").active")))
}

fleet_is() { # COUNT
	[ "$(fleet nlb)" = "$1" ] && [ "$(fleet queue)" = "$1" ]
}

remotes() { # HOST - the distinct addresses that hold a connection of hop nlb
	ask_agent "$1" flows '[.flows[] | select(.hop == "nlb") | .remote | split(":")[0]] | unique | join(" ")'
}

network
balance kept ec2a ec2b
agent gw "$LAB/gateway.conf"
agent ec2a "$LAB/instance.conf"
agent ec2b "$LAB/instance.conf"
instance ec2a
instance ec2b
gateway
order gateway '/?way=pooled&new=1'
client user client

for request in 1 2 3; do
	ask user get 1 /
	equal "request $request is answered" "$(field ok)" 1
	eventually "after request $request: flows of client and of nlb" gw hops \
		'[.hops[].active] | @csv' "1,$request"
	until_true 10 fleet_is "$request"
	equal "after request $request: flows at the instances" "$(fleet nlb)" "$request"
	equal "after request $request: ss on both instances" "$(($(sockets ec2a established sport = :80) + \
		$(sockets ec2b established sport = :80)))" "$request"
done
gateway_agrees
kernel_agrees ec2a
kernel_agrees ec2b
equal "client: one connect, says the kernel" "$(snmp client TcpActiveOpens)" 1
equal "gw: three flows for each client connection" "$(hops gw 'edge("client"; "nlb").stock')" 3
for host in ec2a ec2b; do
	equal "$host: what an instance can know: one to one" \
		"$(hops $host 'edge("nlb"; "queue").stock')" 1
	equal "$host: peers: the gateway alone" "$(hops $host 'hop("nlb").peers') $(remotes $host)" \
		"1 10.77.2.2"
	equal "$host: queue opened = connections in nginx's log" \
		"$(hops $host 'hop("queue").opened')" "$(nginx_logged $host 127.0.0.1)"
done

# the load balancer puts its own address in place of the client's
order gateway '/?way=pooled&new=0&keep=0' # takes the idle ones, and gives them up
for _ in 1 2 3; do
	ask user get 1 /
done
eventually "the flows are gone" gw hops 'hop("nlb").active' 0
balance replaced ec2a ec2b
order gateway '/?way=pooled&new=1'
for _ in 1 2 3; do
	ask user get 1 /
done
eventually "replaced: three flows again" gw hops '[.hops[].active] | @csv' 1,3
until_true 10 fleet_is 3
for host in ec2a ec2b; do
	equal "$host: replaced: the peer is the load balancer" "$(remotes $host)" 10.77.3.1
	kernel_agrees $host
done
gateway_agrees
equal "all is 1 : 6 in the end, at the gateway's host" "$(hops gw '[.hops[].opened] | @csv')" 1,6
equal "and at the instances" \
	$(($(hops ec2a 'hop("nlb").opened') + $(hops ec2b 'hop("nlb").opened'))) 6
