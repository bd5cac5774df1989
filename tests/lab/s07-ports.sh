#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# S7, ephemeral ports run out: an instance with 50 of them, and an application that never gives a
# database connection back. The limit is per destination: three databases, three times 50.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

network
agent ec2a "$LAB/instance.conf"
database
instance ec2a
gateway
client user client
tune ec2a ipv4/ip_local_port_range "40000 40049"

ask user rate 40 1 1 "/leak?host=10.77.3.20"
equal "40 connections, 40 answers" "$(field ok)" 40
eventually "ports in use" ec2a hops 'hop("mysql").ports | [.used, .limit] | @csv' 40,50
ask user rate 20 1 1 "/leak?host=10.77.3.20"
equal "of 20 more, 10 find a port" "$(field ok)" 10
equal "the app's own count" "$(status app-ec2a-3000 db_opened) $(status app-ec2a-3000 no_port)" "50 10"
eventually "open, and failed for want of a port" ec2a hops \
	'hop("mysql") | [.active, .opened, .failed.no_port] | @csv' 50,50,10
equal "no other failure" "$(hops ec2a 'hop("mysql").failed | [.[]] | add')" 10
equal "ss: 50 to the database" "$(sockets ec2a established dport = :3306)" 50
eventually "the fullest destination" ec2a hops 'hop("mysql").ports | [.used, .limit] | @csv' 50,50

for host in 10.77.3.21 10.77.3.22; do
	ask user rate 55 1 1 "/leak?host=$host"
	equal "$host: 50 of 55 find a port" "$(field ok)" 50
done
eventually "three times 50" ec2a hops 'hop("mysql") | [.active, .opened, .failed.no_port] | @csv' 150,150,20
equal "the app's own count" "$(status app-ec2a-3000 db_opened) $(status app-ec2a-3000 no_port)" "150 20"
eventually "each destination by itself" ec2a ports \
	'[.ports[] | select(.hop == "mysql") | "\(.remote) \(.used)/\(.limit)"] | sort | join(" ")' \
	"10.77.3.20:3306 50/50 10.77.3.21:3306 50/50 10.77.3.22:3306 50/50"
equal "the database's host accepted as many" "$(snmp rds TcpPassiveOpens)" 150
kernel_agrees ec2a
