#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S11, a spike of connections while the clients stay flat: 20 per second, ten requests each. First the
# gateway, then the application's database code stops keeping connections for a while. Each time one hop
# multiplies, and its name is the answer; what only passes the spike on must not be named.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"
seconds=12 # of each phase: longer than the window that is asked for

opened() { # HOST - of every hop
	hops "$1" '[.hops[].opened] | @csv'
}

# The edge whose flow ratio over ten seconds is the largest, if it is large
multiplies() { # HOST
	hops "$1" '[.edges[] | select(.flow["10s"] != null and .flow["10s"] >= 3)] |
		max_by(.flow["10s"]) // empty | "\(.from) > \(.to)"'
}

view_says() { # HOST SENTENCE
	fantail_on "$1" top --once >"$W/view" && grep -qF -- "$2" "$W/view"
}

view_names() { # HOST EDGE
	until_true 5 view_says "$1" "$2: each new connection opens" && return
	tail -n 1 "$W/view"
	return 1
}

# phase NAME - what happened in it: opened per hop as differences, and what the others counted
phase() {
	local before_gw before_ec2a dialled queries connects
	local -a a b
	before_gw=$(opened gw) before_ec2a=$(opened ec2a)
	dialled=$(status gateway dialled) queries=$(status app-ec2a-3000 db_opened) connects=$(snmp client TcpActiveOpens)
	ask users visit 20 10 $seconds /db
	named_gw=$(multiplies gw) named_ec2a=$(multiplies ec2a)
	settle gw
	settle ec2a
	IFS=, read -ra a <<<"$before_gw,$before_ec2a"
	IFS=, read -ra b < <(echo "$(opened gw),$(opened ec2a)")
	client=$((b[0] - a[0])) nlb=$((b[1] - a[1])) # the gateway's host
	arrived=$((b[2] - a[2])) queue=$((b[3] - a[3])) nginx=$((b[4] - a[4])) mysql=$((b[5] - a[5]))
	dialled=$(($(status gateway dialled) - dialled))
	queries=$(($(status app-ec2a-3000 db_opened) - queries))
	connects=$(($(snmp client TcpActiveOpens) - connects))
	echo "note    $CASE: $1: client $client, nlb $nlb; at the instance $arrived, queue $queue," \
		"nginx $nginx, mysql $mysql"
	equal "$1: all is answered" "$(field sent) $(field ok)" "$((200 * seconds)) $((200 * seconds))"
	equal "$1: client opened = connects of the clients' kernel" "$client" "$connects"
	# Go's client may dial once more than it needs to
	holds "$1: the clients are flat" test "$client" -ge $((20 * seconds)) -a \
		"$client" -le $((20 * seconds + 5))
	equal "$1: nlb opened = dialled by the gateway" "$nlb" "$dialled"
	equal "$1: all of them arrive" "$arrived" "$nlb"
	equal "$1: and go on" "$queue" "$nlb"
	equal "$1: mysql opened = connections that the app made" "$mysql" "$queries"
}

network
sed 's/limit = 15/limit = 512/' "$LAB/instance.conf" >"$W/instance.conf"
agent gw "$LAB/gateway.conf"
agent ec2a "$W/instance.conf"
database
instance ec2a -places 512 # never full, however slow the machine: this is not about the queue
gateway
order gateway '/?way=pooled'
client users client

requests=$((200 * seconds))
phase calm
holds "calm: fewer flows than clients" test "$nlb" -lt "$client"
equal "calm: no hop of the gateway's host multiplies" "$named_gw" ""
holds "calm: few database connections" test "$mysql" -le 4

order gateway '/?way=pooled&new=1&keep=0'
once=$(hops ec2a 'hop("nlb").one_shot.flows') # and those of the pool that had carried one
phase "gateway spike"
equal "gateway spike: a flow for each request" "$nlb" $requests
equal "gateway spike: client > nlb is named" "$named_gw" "client > nlb"
holds "gateway spike: and so by the view" view_names gw "client -> nlb"
equal "gateway spike: nothing at the instance multiplies" "$named_ec2a" ""

eventually "gateway spike: each of them carried one request" ec2a hops \
	"hop(\"nlb\").one_shot.flows - $once | . >= $requests and . <= $requests + 3" true

order gateway '/?way=pooled'
order app-ec2a-3000 /new
phase "app spike"
equal "app spike: a database connection for each request" "$mysql" $requests
equal "app spike: nginx > mysql is named" "$named_ec2a" "nginx > mysql"
holds "app spike: and so by the view" view_names ec2a "nginx -> mysql"
equal "app spike: the database's host accepted as many as mysql opened" \
	"$(hops ec2a 'hop("mysql").opened')" "$(snmp rds TcpPassiveOpens)"

order app-ec2a-3000 /pool
phase "calm again"
equal "calm again: no database connection is new" "$mysql" 0
kernel_agrees ec2a
gateway_agrees
