#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S1, the mistaken belief: one client connection is one connection at every level. It is true
# for a gateway that pins and an nginx that keeps its upstream connections; the second half shows
# what nginx does when nobody told it to keep them.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
agent gw "$LAB/gateway.conf"
agent ec2a "$LAB/instance.conf"
database
instance ec2a
gateway
client user client

for request in 1 2 3; do
	ask user get 1 /db
	equal "request $request is answered" "$(field ok)" 1
	eventually "after request $request: one connection at each hop" ec2a hops \
		'[.hops[].active] | @csv' 1,1,1,1,0
done
eventually "one client connection, one behind it" gw hops '[.hops[].active] | @csv' 1,1
for pair in "gw client:80" "ec2a nlb:80" "rds mysql:3306"; do
	host=${pair% *} hop=${pair#* }
	equal "ss sees the one connection of $hop" \
		"$(sockets "$host" established sport = ":${hop#*:}")" 1
done
kernel_agrees ec2a
gateway_agrees
equal "client: one connect, says the kernel" "$(snmp client TcpActiveOpens)" 1
equal "mysql opened = accepted by the database's host" \
	"$(hops ec2a 'hop("mysql").opened')" "$(snmp rds TcpPassiveOpens)"
equal "queue opened = connections in nginx's log" \
	"$(hops ec2a 'hop("queue").opened')" "$(nginx_logged ec2a 127.0.0.1)"
equal "three requests in nginx's log" "$(requests_logged ec2a 127.0.0.1)" 3
for host in gw ec2a; do
	equal "$host: every stock ratio is 1" "$(hops $host '[.edges[].stock] | unique | @csv')" 1
	equal "$host: every flow ratio is 1" "$(hops $host '[.edges[].flow.start] | unique | @csv')" 1
done

# nginx untold: HTTP/1.0 and a connection per request
before=$(hops ec2a '[.hops[].opened] | @csv')
equal "until here each hop opened one" "$before" 1,1,1,1,0
for request in 1 2 3; do
	ask user get 1 /plain/
done
kernel_agrees ec2a
equal "nginx without keep-alive: three more at one hop" \
	"$(hops ec2a '[.hops[].opened] | @csv')" 1,1,4,1,0
