#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S5, the queue is full: 100 connections with a request each, 15 places. Fifteen are served and keep
# their places, for they are keep-alive; 85 are held, unread, while every health check passes.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
agent gw "$LAB/gateway.conf"
agent ec2a "$LAB/instance.conf"
instance ec2a
gateway
client balancer nlb -to 10.77.3.11:8080
client users client
ask balancer health 200 /health

ask users open 100 "/slow?ms=100"
equal "100 client connections" "$(field open)" 100
eventually "100 arrive, 15 go on" ec2a hops '[.hops[:2][].active] | @csv' 100,15
equal "ss: 100 on :80" "$(sockets ec2a established sport = :80)" 100
equal "ss: 15 to :8080" "$(sockets ec2a established dport = :8080)" 15
sleep 2 # long enough for many answers of 100 ms; there are none
ask users count
equal "fifteen are answered, and no more" "$(field answered)" 15
equal "queue active = what the queue says" "$(hops ec2a 'hop("queue").active')" \
	"$(status queue-ec2a active)"
equal "ss: 85 with unread bytes" "$(unread ec2a sport = :80)" 85
equal "the queue says 85 held" "$(status queue-ec2a held)" 85
eventually "held" ec2a hops 'hop("nlb").held' 85
eventually "held for about as long as they are here" ec2a hops \
	'hop("nlb").held_oldest_seconds | . > 1 and . < 60' true
equal "the limit" "$(hops ec2a 'hop("queue").limit')" 15
eventually "places used, and idle" ec2a hops 'hop("queue").places | [.used, .idle] | @csv' 15,15
eventually "connections without a byte for a second" ec2a hops 'hop("queue").idle["1s"]' 15
eventually "no backlog: the queue does accept" ec2a hops 'hop("nlb").backlog' 0
equal "queue over nlb, open now" "$(hops ec2a 'edge("nlb"; "queue").stock')" 0.15
equal "the gateway's host: one for one" "$(hops gw 'edge("client"; "nlb").stock')" 1

ask balancer close
equal "no health check failed" "$(field unhealthy)" 0
holds "and there were some: $(field healthy)" test "$(field healthy)" -ge 5
settle ec2a
equal "alive opened = health checks" "$(hops ec2a 'hop("alive").opened')" "$(field healthy)"
equal "the same in nginx's log" "$(nginx_logged ec2a 10.77.3.1)" "$(field healthy)"
kernel_agrees ec2a
gateway_agrees

# the clients give up; the queue serves those that left, one after the other
ask users close
eventually "held connections of clients that left are passed on" ec2a hops \
	'[.hops[:2][].opened] | @csv' 100,100
eventually "everything ends" ec2a hops '[.hops[:2][].active] | @csv' 0,0
equal "all in nginx's log" "$(nginx_logged ec2a 127.0.0.1)" 100
eventually "nothing is held" ec2a hops 'hop("nlb") | [.held, .held_oldest_seconds] | @csv' "0,"
kernel_agrees ec2a
