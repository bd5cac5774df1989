#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S10, a server that never closes: 50 clients come and hang up. Their side forgets; the server keeps 50
# connections in CLOSE_WAIT, and behind each the one to nginx.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

nobody_there() {
	! on gw ss -Htan dport = :80 | grep -q .
}

forgetting() { # all, and for some seconds yet
	[ "$(sockets gw fin-wait-2 dport = :80)" = 50 ]
}

network
tune gw ipv4/tcp_fin_timeout 6
agent gw "$LAB/knocking.conf"
agent ec2a "$LAB/instance.conf"
connqueue ec2a -leak -places 50
nginx ec2a nginx.conf
ready queue-ec2a test -S "$W/status/queue-ec2a"
ready nginx-ec2a test -S "$W/nginx-ec2a/status.sock"
client users gw -to 10.77.2.1:80

ask users bare 50 5
equal "50 connections" "$(field open)" 50
eventually "50 at both hops" ec2a hops '[.hops[:2][].active] | @csv' 50,50
ask users close
until_true 5 forgetting
equal "ss: the other side is in FIN_WAIT2" "$(sockets gw fin-wait-2 dport = :80)" 50
eventually "all 50 wait to be closed" ec2a hops \
	'hop("nlb") | [.active, .states.established, .states.close_wait] | @csv' 50,0,50
equal "ss: 50 in CLOSE_WAIT" "$(sockets ec2a close-wait sport = :80)" 50
until_true 20 nobody_there
equal "ss: the other side has forgotten them" "$(on gw ss -Htan dport = :80 | wc -l)" 0
eventually "and so does fantail there" gw hops 'hop("knocking") | [.opened, .active] | @csv' 50,0
equal "the server has not" \
	"$(hops ec2a 'hop("nlb") | [.active, .states.close_wait] | @csv')" 50,50
equal "ss: still 50" "$(sockets ec2a close-wait sport = :80)" 50
equal "and 50 behind them" "$(hops ec2a 'hop("queue").active')" "$(sockets ec2a established dport = :8080)"
equal "none was closed" "$(hops ec2a '[.hops[:2][].closed[]] | add')" 0
equal "opened = the kernel's" "$(hops ec2a '[.hops[].opened] | @csv') $(snmp ec2a TcpPassiveOpens)" \
	"50,50,0,0,0 100"
balanced ec2a
