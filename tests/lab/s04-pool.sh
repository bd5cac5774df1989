#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S4, a Go client pool that keeps two idle connections, asked for three requests at once: three
# ESTABLISHED; then two, and one in TIME_WAIT at the end that closed first, the client's. Asked again, it
# uses two and opens one.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
agent client "$LAB/pool.conf"
agent gw "$LAB/gateway.conf"
agent ec2a "$LAB/instance.conf"
instance ec2a
gateway
client pool client -idle 2

tell pool get 3 /hold
for look in "client pool" "gw client" "gw nlb" "ec2a nlb" "ec2a queue"; do
	eventually "in flight: ${look#* }" "${look% *}" hops "hop(\"${look#* }\") | .states.established" 3
done
equal "in flight: ss at the client" "$(sockets client established dport = :80)" 3
order app-ec2a-3000 /release
await pool
equal "three answers" "$(field ok)" 3
for look in "client pool" "gw client" "gw nlb" "ec2a nlb" "ec2a queue"; do
	eventually "kept: ${look#* }" "${look% *}" hops \
		"hop(\"${look#* }\") | [.active, .states.established] | @csv" 2,2
done
equal "kept: ss at the client" "$(sockets client established dport = :80)" 2
equal "TIME_WAIT: ss at the client" "$(sockets client time-wait dport = :80)" 1
equal "TIME_WAIT: ss at the server" "$(sockets gw time-wait sport = :80)" 0
eventually "TIME_WAIT of the pool" client hops 'hop("pool").states.time_wait' 1
eventually "no TIME_WAIT where the client closed first" gw hops 'hop("client").states.time_wait' 0
equal "closed by the pool's side" \
	"$(hops client 'hop("pool").closed | [.local, .remote] | @csv')" 1,0
equal "closed by the other side, seen from the server" \
	"$(hops gw 'hop("client").closed | [.local, .remote] | @csv')" 0,1

tell pool get 3 /hold
eventually "again in flight" ec2a hops 'hop("nlb").active' 3
order app-ec2a-3000 /release
await pool
equal "three answers again" "$(field ok)" 3
eventually "again: two were used, one was new" client hops 'hop("pool") | [.opened, .active] | @csv' 4,2
equal "four connects, says the kernel" "$(snmp client TcpActiveOpens)" 4
eventually "TIME_WAIT: now two" client hops 'hop("pool").states.time_wait' 2
equal "TIME_WAIT: ss" "$(sockets client time-wait dport = :80)" 2
balanced client
gateway_agrees
kernel_agrees ec2a
