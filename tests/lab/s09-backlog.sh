#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S9, the backlog overflows: the queue stands still, its listener has room for 8, and 50 connect. The
# kernel takes one more than the backlog, and drops the rest without an answer.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
tune ec2a core/somaxconn 8
agent gw "$LAB/knocking.conf"
agent ec2a "$LAB/instance.conf"
connqueue ec2a -stall
ready queue-ec2a test -S "$W/status/queue-ec2a"
client users gw -to 10.77.2.1:80

ask users bare 50 1
equal "nine are there, for those who connect" "$(field open)" 9
equal "ss: nine in the listener's queue, of 8" \
	"$(on ec2a ss -Hltn sport = :80 | awk '{ print $2 "/" $3 }')" 9/8
equal "ss: 41 go on trying" "$(sockets gw syn-sent dport = :80)" 41
eventually "nine are open, none was accepted" ec2a hops 'hop("nlb") | [.opened, .active] | @csv' 9,9
eventually "where they come from: 9 open, 41 SYN_SENT" gw hops \
	'hop("knocking") | [.states.established, .states.syn_sent] | @csv' 9,41
eventually "the backlog, over its limit" ec2a hops 'hop("nlb") | [.backlog, .backlog_limit] | @csv' 9,8
eventually "the listener" ec2a listeners \
	'.listeners[] | select(.hop == "nlb") | [.backlog, .backlog_limit, .process] | @csv' '9,8,"connqueue"'
eventually "not yet accepted is not held" ec2a hops 'hop("nlb").held' 0
equal "the queue accepted nothing" "$(status queue-ec2a accepted)" 0

leave users # the last SYN has been sent
settle ec2a
equal "41 at least were dropped, says the kernel" \
	"$([ "$(snmp ec2a TcpExtListenOverflows)" -ge 41 ] && echo yes)" yes
eventually "overflows = the kernel's" ec2a listeners '.namespaces[].listen_overflows' \
	"$(snmp ec2a TcpExtListenOverflows)"
eventually "drops = the kernel's" ec2a listeners '.namespaces[].listen_drops' \
	"$(snmp ec2a TcpExtListenDrops)"
equal "opened = the kernel's PassiveOpens" \
	"$(hops ec2a 'hop("nlb").opened')" "$(snmp ec2a TcpPassiveOpens)"
balanced ec2a
