#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S6, WebSocket tunnels, and one peer is cut off without a word: four come through the gateway, six
# from a client that talks to the load balancer itself. All ten stay ESTABLISHED at every hop.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

cut() { # the client's packets vanish, both ways
	on gw nft -f - <<-TEXT
		table ip cut {
			chain forward {
				type filter hook forward priority 0;
				ip daddr 10.77.1.2 drop
				ip saddr 10.77.1.2 drop
			}
		}
	TEXT
}

# Retransmitting for the second time or more, says ss: timer:(on,200ms,2)
retransmitting() { # HOST FILTER...
	local host=$1
	shift
	on "$host" ss -Htno state established "$@" | grep -cE 'timer:\(on,[^,]*,([2-9]|[0-9]{2,})\)'
}

network
agent ec2a "$LAB/instance.conf"
instance ec2a
gateway
client near gw -to 10.77.2.2:80
client far client -to 10.77.2.1:80
ask near ws 4 /ws
equal "four tunnels through the gateway" "$(field open)" 4
ask far ws 6 /ws
equal "six of a client of its own" "$(field open)" 6
eventually "ten tunnels at each hop" ec2a hops '[.hops[:3][].active] | @csv' 10,10,10
equal "the app has ten" "$(status app-ec2a-3000 websockets)" 10
equal "two peers" "$(hops ec2a 'hop("nlb").peers')" 2
eventually "none is stale" ec2a hops '[.hops[:3][].stale] | @csv' 0,0,0

cut || die "cut the client off"
for _ in {1..80}; do
	[ "$(retransmitting ec2a sport = :80)" = 6 ] && break
	sleep 0.25
done
equal "ss: six retransmit" "$(retransmitting ec2a sport = :80)" 6
eventually "six are stale, and only where the peer is" ec2a hops '[.hops[:3][].stale] | @csv' 6,0,0
equal "all of them are the peer's that is gone" "$(ask_agent ec2a flows \
	'[.flows[] | select(.stale) | .remote | split(":")[0]] | unique | join(" ")')" 10.77.1.2
equal "by ss's list" "$(ask_agent ec2a flows '[.flows[] | select(.stale) | .remote] | sort | join(" ")')" \
	"$(on ec2a ss -Htno state established sport = :80 | grep -E 'timer:\(on,[^,]*,([2-9]|[0-9]{2,})\)' |
		awk '{ sub(/\[::ffff:/, "", $4); sub(/\]/, "", $4); print $4 }' | sort | tr '\n' ' ' | sed 's/ $//')"
equal "and every state says ESTABLISHED" \
	"$(hops ec2a '[.hops[:3][].states.established] | @csv')" 10,10,10
equal "so does ss" "$(sockets ec2a established sport = :80)" 10
equal "the ratio shows nothing" "$(hops ec2a '[.edges[:2][].stock] | @csv')" 1,1

on gw nft delete table ip cut
eventually "the peer is back: none is stale" ec2a hops '[.hops[:3][].stale] | @csv' 0,0,0
equal "and none was closed" "$(hops ec2a 'hop("nlb").active')" 10
kernel_agrees ec2a
