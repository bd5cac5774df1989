#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S8, nginx in front of three applications: which of them gets the connections. 300 requests of one
# client for each way to balance; least_conn shows itself only while connections are held.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

opened() { # as CSV
	hops ec2a '[.hops[] | select(.name | startswith("app")).opened] | @csv'
}

since() { # BEFORE - how many each got
	local a b c x y z
	IFS=, read -r a b c <<<"$1"
	IFS=, read -r x y z < <(opened)
	echo "$((x - a)),$((y - b)),$((z - c))"
}

logged() { # WAY - requests per upstream address in nginx's log
	awk -v way="/$1/" 'index($5, way) == 1 { n[$7]++ } END { printf "%d,%d,%d\n",
		n["127.0.0.1:3001"], n["127.0.0.1:3002"], n["127.0.0.1:3003"] }' \
		"$W/nginx-ec2a/access.log"
}

some_each() { # COUNTS
	local a b c
	IFS=, read -r a b c <<<"$1"
	[ $((a + b + c)) = 300 ] && [ "$a" -gt 50 ] && [ "$b" -gt 50 ] && [ "$c" -gt 50 ]
}

network
agent ec2a "$LAB/balance-agent.conf"
connqueue ec2a -places 64
nginx ec2a balance.conf
for port in 3001 3002 3003; do
	app ec2a $port
done
gateway
for port in 3001 3002 3003; do
	ready app-ec2a-$port test -S "$W/status/app-ec2a-$port"
done
ready queue-ec2a test -S "$W/status/queue-ec2a"
ready nginx-ec2a test -S "$W/nginx-ec2a/status.sock"
client user client

for way in round_robin weighted ip_hash random; do
	settle ec2a
	before=$(opened)
	ask user rate 300 1 1 /$way/
	equal "$way: 300 answers" "$(field ok)" 300
	settle ec2a
	got=$(since "$before")
	equal "$way: opened per application = nginx's log" "$got" "$(logged $way)"
	case $way in
	round_robin) equal "$way: a third each" "$got" 100,100,100 ;;
	weighted) equal "$way: 3 : 2 : 1" "$got" 150,100,50 ;;
	ip_hash) equal "$way: one client, one application" "$(tr , '\n' <<<"$got" | sort -n | tr '\n' ' ')" "0 0 300 " ;;
	random) holds "$way: each gets some, all get 300: $got" some_each "$got" ;;
	esac
done

before=$(opened)
ask user open 30 /least_conn/hold
eventually "least_conn: ten held by each" ec2a hops \
	'[.hops[] | select(.name | startswith("app")).active] | @csv' 10,10,10
for port in 3001 3002 3003; do
	equal "least_conn: ss to :$port" "$(sockets ec2a established dport = :$port)" 10
done
for port in 3001 3002 3003; do
	order app-ec2a-$port /release
done
eventually "least_conn: all end" ec2a hops \
	'[.hops[] | select(.name | startswith("app")).active] | @csv' 0,0,0
equal "least_conn: opened per application = nginx's log" "$(since "$before")" "$(logged least_conn)"
for port in 3001 3002 3003; do
	equal "app on $port: opened = accepted by it" \
		"$(hops ec2a "hop(\"app$((port - 3000))\").opened")" "$(status app-ec2a-$port connections)"
done
equal "all connects are the kernel's" \
	"$(hops ec2a '[.hops[] | select(.side == "connect").opened] | add')" "$(snmp ec2a TcpActiveOpens)"
balanced ec2a
