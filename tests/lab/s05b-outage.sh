#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S5b, the outage: one steady stream of 20 requests per second. The gateway opens a connection for
# each and keeps it; the fifteenth takes the last place, and nginx would keep all of them for 75 s. From
# then on nothing is answered, connections go on arriving, and every health check is green, even
# one that asks the application.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
agent gw "$LAB/gateway.conf"
agent ec2a "$LAB/instance.conf"
instance ec2a
gateway
order gateway '/?way=pooled&new=1'
client balancer nlb -to 10.77.3.11:8080
client users client
ask balancer health 200 /health/deep

ask users rate 20 3 0 /
equal "60 requests, 15 answers" "$(field sent) $(field ok)" "60 15"
eventually "a flow for each request" ec2a hops 'hop("nlb").opened' 60
arrived=$(hops ec2a 'hop("nlb").opened')
equal "as many as the gateway dialled" "$arrived" "$(status gateway dialled)"
eventually "all places are taken" ec2a hops 'hop("queue") | [.active, .opened, .limit] | @csv' 15,15,15
equal "ss: 15 to :8080" "$(sockets ec2a established dport = :8080)" 15
eventually "held" ec2a hops 'hop("nlb").held' 45
equal "ss: as many with unread bytes" "$(unread ec2a sport = :80)" 45
equal "the queue says so, too" "$(status queue-ec2a held)" 45
eventually "places used, and idle" ec2a hops 'hop("queue").places | [.used, .idle] | @csv' 15,15
eventually "idle for seconds" ec2a hops 'hop("queue").places.idle_oldest_seconds | . > 2 and . < 75' true

# the service has stopped; the stream goes on
ask users rate 20 1 0 /
equal "20 more requests, no answer" "$(field sent) $(field ok)" "20 0"
eventually "the flows go on arriving" ec2a hops 'hop("nlb").opened' 80
eventually "and are held" ec2a hops 'hop("nlb").held' 65
equal "the queue opens none" "$(hops ec2a 'hop("queue").opened')" 15
ask balancer close
equal "no health check failed" "$(field unhealthy)" 0
holds "and there were some: $(field healthy)" test "$(field healthy)" -ge 10
settle ec2a
equal "alive opened = health checks" "$(hops ec2a 'hop("alive").opened')" "$(field healthy)"
equal "the same in nginx's log" "$(nginx_logged ec2a 10.77.3.1)" "$(field healthy)"
equal "15 answers in nginx's log" "$(requests_logged ec2a 127.0.0.1)" 15
kernel_agrees ec2a
gateway_agrees
