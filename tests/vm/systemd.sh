#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The service under systemd, from the installation of the package to its removal. Runs in the guest
# of scripts/systemdtest; nginx and prometheus-node-exporter are services of it.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/../e2e/lib.sh"
UNIT=fantail.service
CONF=/etc/fantail/fantail.conf
DROPIN=/etc/systemd/system/$UNIT.d
TEXTFILES=/var/lib/prometheus/node-exporter
PROM=$TEXTFILES/fantail.prom
WEB=', { name = "web"; accept = "80"; }, { name = "api"; connect = ":9100"; from = "web"; }'
cap_bpf=$((1 << 39)) cap_perfmon=$((1 << 38)) cap_net_admin=$((1 << 12))

# --- what systemd says ---

unit() { # PROPERTY
	systemctl show --property="$1" --value "$UNIT"
}

is() { # PROPERTY VALUE
	[ "$(unit "$1")" = "$2" ]
}

other_pid() { # PID - there is a main process, and it is not PID
	is ActiveState active && ! is MainPID "$1" && ! is MainPID 0
}

mark() { # from here on in the journal
	# not a cursor: --after-cursor with a filter leaves out one line too many
	since=@$(date +%s.%6N)
}

journal() { # ARGS... - since the mark, into $W/journal
	journalctl --sync
	journalctl --since "$since" -o cat --no-pager "$@" >"$W/journal"
}

status_of() { # FIELD - of the agent's process, as a number
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$(unit MainPID)/status"
}

opened() {
	hops "hop(\"$1\").opened"
}

counted() { # HOP N
	[ "$(opened "$1" 2>/dev/null)" = "$2" ]
}

total=0 # connections made by conngen since the counters began
storm() { # connections without a pause, until storm_ends
	rm -f "$W/enough" "$W/storm"
	(
		until [ -e "$W/enough" ]; do
			"$CONNGEN" -n 2000 -t 2 -p 20000 -m fin >>"$W/storm" || exit
		done
	) &
	storm_pid=$!
	sleep 1
}

storm_ends() {
	: >"$W/enough"
	wait "$storm_pid" || die "conngen makes what it should" "$(cat "$W/storm")"
	total=$((total + $(jq -s 'map(.made) | add' "$W/storm")))
}

all_counted() { # SENTENCE
	until_true 10 counted srv "$total"
	equal "$1: accepted" "$(opened srv)" "$total"
	equal "$1: connected" "$(opened cli)" "$total"
}

config() { # EXTRA-HOPS
	cat >$CONF <<-TEXT
		hops = (
		  { name = "srv"; accept = "20000-20001"; },
		  { name = "cli"; connect = ":20000-20001"; }$1
		);
	TEXT
}

# --- the parts, in the order of a service's life ---

installed() {
	mark
	mv $TEXTFILES $TEXTFILES.away # as without node_exporter
	equal "the package is installed" "$(dpkg -i /fantail/fantail.deb >"$W/dpkg" 2>&1 && echo yes)" yes
	equal "and starts the service" "$(unit ActiveState)" active
	equal "at every boot" "$(systemctl is-enabled $UNIT)" enabled
	journal _SYSTEMD_UNIT=$UNIT
	says "without node_exporter it counts all the same" "$W/journal" 'no metrics are written'
	equal "it has found nginx, which was there before" "$(hops '[.hops[].port] | index("80") != null')" true
	equal "and whose it is, with three capabilities" "$(owner_of 80)" nginx
	mv $TEXTFILES.away $TEXTFILES
}

owner_of() { # PORT
	show listeners | jq -r --arg port ":$1" 'first(.listeners[] | select(.local | endswith($port))) | .process'
}

restricted() {
	local score eff prm
	systemd-analyze security --no-pager $UNIT >"$W/security" 2>/dev/null
	score=$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' "$W/security")
	equal "systemd-analyze security: $score, at most 2.0" "$(jq -n "${score:-10} <= 2.0")" true
	until_true 10 status_eff 0
	eff=$(status_of CapEff) prm=$(status_of CapPrm)
	equal "counting takes no capability" "$((16#$eff))" 0
	equal "kept, to load programs later: CAP_BPF and CAP_PERFMON" "$((16#$prm))" $((cap_bpf | cap_perfmon))
	equal "it can never get more than the three" "$((16#$(status_of CapBnd)))" \
		$((cap_bpf | cap_perfmon | cap_net_admin))
	equal "nor by running something" "$(status_of NoNewPrivs)" 1
	equal "system calls are filtered" "$(status_of Seccomp)" 2
	equal "of the system it may write to the pins alone, where there is no textfile" \
		"$(awk '$6 ~ /^rw/ && $5 ~ /^\/(sys|usr|etc|boot|proc\/sys|var)(\/|$)/ && $5 != "/var/tmp" { print $5 }' \
			"/proc/$(unit MainPID)/mountinfo" | sort -u | tr '\n' ' ')" "/sys/fs/bpf "
}

status_eff() {
	[ $((16#$(status_of CapEff))) -eq "$1" ]
}

wrong_configuration() {
	systemctl stop $UNIT
	mark
	echo 'intervall = "1s";' >$CONF
	systemctl start $UNIT 2>"$W/start" && bad "a wrong configuration does not start" "it did"
	equal "a wrong configuration: exit status 78" "$(unit ExecMainStatus)" 78
	sleep 3 # RestartSec is 1 s here
	equal "and no restart" "$(unit NRestarts) $(unit ActiveState)" "0 failed"
	journal _SYSTEMD_UNIT=$UNIT
	equal "one line in the journal" "$(wc -l <"$W/journal")" 1
	says "with file, line and word" "$W/journal" 'fantail.conf:1: .*intervall.*interval'
}

started() {
	local before
	config ''
	mark
	systemctl start $UNIT
	equal "start returns when it is active" "$(unit ActiveState)" active
	# no waiting: READY=1 says that it counts
	before=$(opened srv)
	"$CONNGEN" -n 50 -p 20000 -m fin >"$W/conngen"
	total=$(jq .made "$W/conngen")
	equal "no connection was there before" "$before" 0
	all_counted "what is made right after start returned was counted"
	equal "systemctl status says what it does" "$(unit StatusText)" "counting 2 hops (tracepoint)"
	journal -p warning _SYSTEMD_UNIT=$UNIT
	equal "and it has nothing to complain of" "$(grep -v 'other network namespaces' "$W/journal")" ""
}

served_value() { # what node_exporter says of HOP's opened connections
	curl -s http://127.0.0.1:9100/metrics | awk -v hop="hop=\"$1\"" \
		'index($1, "fantail_flows_opened_total{") == 1 && index($1, hop) { print $2 }'
}

served() { # HOP N
	[ "$(served_value "$1")" = "$2" ]
}

exported() {
	until_true 10 served srv $total
	equal "node_exporter serves the textfile" "$(served_value srv)" $total
	equal "and finds no fault with it" \
		"$(curl -s http://127.0.0.1:9100/metrics | awk '$1 == "node_textfile_scrape_error" { print $2 }')" 0
	fantail agent --for 1s >"$W/second" 2>&1
	equal "a second agent is refused" $? 69
	says "and told of the first" "$W/second" "pid $(unit MainPID)"
}

born() {
	awk '$1 == "fantail_start_time_seconds" { print $2 }' $PROM
}

killed() {
	local pid born
	pid=$(unit MainPID) born=$(born)
	storm
	kill -KILL "$pid"
	holds "killed: systemd starts it again" until_true 20 other_pid "$pid"
	equal "once" "$(unit NRestarts)" 1
	storm_ends
	all_counted "killed in a storm, all were counted"
	until_true 10 served srv $total
	equal "the counters are the same ones: their start time" "$(born)" "$born"
	no_loss
}

hung() {
	local pid
	pid=$(unit MainPID)
	mark
	kill -STOP "$pid"
	holds "hanging: systemd starts it again" until_true 40 other_pid "$pid"
	journal -u $UNIT
	says "the watchdog it was" "$W/journal" 'watchdog timeout'
	all_counted "and the counters are those from before"
}

pairing() {
	bpftool prog show | grep -q ' name ft_pair'
}

reloaded() {
	local pid
	pid=$(unit MainPID)
	storm
	config "$WEB"
	systemctl reload $UNIT
	holds "reload: the new hop is there" until_true 10 counted web 0
	curl -s -o "$W/page" http://127.0.0.1:80/
	storm_ends
	all_counted "of the hops that stay, no connection is missing"
	equal "the new one counts" "$(opened web)" 1
	holds "the programs for pairs were loaded" until_true 10 pairing
	until_true 10 status_eff 0
	equal "and the capabilities for that laid down again" "$((16#$(status_of CapEff)))" 0
	equal "it is the same process" "$(unit MainPID) $(unit ActiveState)" "$pid active"

	mark
	echo 'hops = ( { name = "srv"; accept = "99999"; } );' >$CONF
	systemctl reload $UNIT
	until_true 10 is StatusText "the configuration in force stays as it is: see the log"
	journal -p err _SYSTEMD_UNIT=$UNIT
	equal "a wrong configuration at reload: one error" "$(wc -l <"$W/journal")" 1
	says "with file and line" "$W/journal" 'fantail.conf:1: .*99999'
	equal "the one in force stays" "$(hops '[.hops[].name] | @csv')" '"srv","cli","web","api"'
	equal "and the process" "$(unit MainPID) $(unit ActiveState)" "$pid active"
	config "$WEB"
	no_loss
}

upgraded() {
	local pid born
	pid=$(unit MainPID) born=$(born)
	storm
	equal "upgrade: the package is installed again" \
		"$(dpkg -i /fantail/fantail.deb >"$W/dpkg" 2>&1 && echo yes)" yes
	holds "there is a new process" until_true 10 other_pid "$pid"
	storm_ends
	all_counted "upgraded in a storm, all were counted"
	until_true 10 served srv $total
	equal "by the same counters" "$(born)" "$born"
	no_loss
}

more() {
	ip netns add other
	ip -n other link set lo up
	mkfifo "$W/hold.stdin"
	exec 7<>"$W/hold.stdin"
	start ip netns exec other "$CONNGEN" -n 5 -p 20000 -m hold <"$W/hold.stdin" >"$W/hold"
	hold_pid=$PID
	until_true 20 grep -q holding "$W/hold" || die "conngen holds its connections"
	systemctl restart $UNIT
	equal "with three capabilities it does not know what was open in another namespace" \
		"$(hops 'hop("srv").preexisting')" 0
	install -D -m 0644 /usr/share/fantail/fantail-more.conf $DROPIN/more.conf
	systemctl daemon-reload
	systemctl restart $UNIT
	equal "with fantail-more.conf it does" "$(hops 'hop("srv").preexisting')" 5
	equal "and whose the sockets are" "$(owner_of 80)" nginx
	release
	holds "and sees them end" until_true 10 all_closed
	rm $DROPIN/more.conf
	systemctl daemon-reload
	ip netns delete other
}

all_closed() {
	[ "$(hops 'hop("srv").active')" = 0 ]
}

programs() {
	bpftool prog show | grep -c ' name ft_'
}

none_left() {
	[ "$(programs)" -eq 0 ]
}

stopped() {
	equal "before the stop there are programs and pins" \
		"$([ "$(programs)" -gt 0 ] && [ -e $PINS ] && [ -e $PROM ] && echo yes)" yes
	systemctl stop $UNIT
	equal "a stop is no failure" "$(unit ActiveState) $(unit Result)" "inactive success"
	# the kernel frees them some time after the last one let go
	holds "no program stays in the kernel" until_true 10 none_left
	holds "no pin" test ! -e $PINS
	holds "no textfile" test ! -e $PROM
	holds "no lock" test ! -e /run/fantail/lock
	fantail show hops >"$W/show" 2>&1
	equal "there is no agent to show" $? 69
}

# An agent by hand, and then the service: it gives way, and must not take the lock's file along.
by_hand() {
	start fantail agent
	AGENT=$PID
	until_true 15 show hops || die "an agent by hand starts"
	systemctl start $UNIT 2>"$W/start" && bad "the service gives way to an agent by hand" "it started"
	equal "the service gives way to an agent by hand" "$(unit ExecMainStatus)" 69
	sleep 2
	equal "and does not try again" "$(unit NRestarts) $(unit ActiveState)" "0 failed"
	fantail agent --for 1s >"$W/second" 2>&1
	equal "the lock is still the other agent's" $? 69
	stop "$AGENT"
	systemctl reset-failed $UNIT
}

removed() {
	systemctl start $UNIT
	rm -r $DROPIN
	equal "the package is removed" "$(dpkg --purge fantail >"$W/dpkg" 2>&1 && echo yes)" yes
	until_true 10 none_left
	equal "nothing is left: programs" "$(programs)" 0
	equal "nothing is left: files" "$(find $PINS $PROM /run/fantail /etc/fantail 2>/dev/null)" ""
	equal "nor a process" "$(pgrep -x fantail)" ""
}

echo "systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), kernel $(uname -r)," \
	"$(systemctl is-system-running --wait)"
echo "1024 65000" >/proc/sys/net/ipv4/ip_local_port_range
echo 80,9100,20000-20010 >/proc/sys/net/ipv4/ip_local_reserved_ports
echo 4096 >/proc/sys/net/core/somaxconn
# so that nobody waits; what is measured and shown is otherwise the unit as it is installed
mkdir -p $DROPIN
printf '[Service]\nRestartSec=1s\nWatchdogSec=15s\n' >$DROPIN/test.conf

for part in installed restricted wrong_configuration started exported killed hung reloaded upgraded more stopped \
	by_hand removed; do
	began=$SECONDS
	$part
	echo "        $part: $((SECONDS - began)) s"
done
