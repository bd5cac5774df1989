# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# What the end-to-end cases share. A case is a script that sources this file: it gets a private
# directory, network namespace, pin directory and process list, and all of them are gone when it
# ends, however it ends. Nothing outside is touched; no process is ended by name.
set -u

BUILD=${BUILD:?the build directory; start the cases with tests/e2e/run}
FT=$BUILD/fantail
# shellcheck disable=SC2034 # used by the cases
CONNGEN=$BUILD/lib/conngen
CASE=$(basename "$0" .sh)
PATH=$PATH:/usr/sbin:/sbin

W=$(mktemp -d "/tmp/fantail-$CASE.XXXXXX")
chmod 755 "$W"
NS=$W/netns
# shellcheck disable=SC2034
PINS=/sys/fs/bpf/fantail # the default; this bpffs is the case's own, see alone
PROM=$W/textfile/fantail.prom
mkdir "$W/textfile"
mounts=()  # to be unmounted at the end
running=() # process ids to be ended
passed=0 failed=0

cleanup() {
	local i
	for ((i = ${#running[@]} - 1; i >= 0; i--)); do
		stop "${running[i]}"
	done
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		umount "${mounts[i]}"
	done
	[ -n "${KEEP:-}" ] || rm -rf "$W"
	[ -z "${COUNTS:-}" ] || echo "$passed $failed" >>"$COUNTS"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# --- saying what was found ---

ok() {
	passed=$((passed + 1))
	echo "ok      $CASE: $1"
}

bad() { # SENTENCE REASON
	failed=$((failed + 1))
	echo "FAILED  $CASE: $1: ${2:-}"
}

die() { # the case cannot go on
	bad "$1" "${2:-}"
	[ ! -s "$W/agent.log" ] || tail -n 15 "$W/agent.log" | sed 's/^/        agent: /'
	exit 1
}

equal() { # SENTENCE GOT WANTED
	if [ "$2" = "$3" ]; then
		ok "$1 ($2)"
	else
		bad "$1" "$2, not $3"
	fi
}

holds() { # SENTENCE COMMAND...
	local sentence=$1
	shift
	if "$@" >"$W/holds.out" 2>&1; then
		ok "$sentence"
	else
		bad "$sentence" "$(tail -n 3 "$W/holds.out" | tr '\n' ' ')"
	fi
}

says() { # SENTENCE FILE PATTERN
	if grep -qiE -- "$3" "$2"; then
		ok "$1: $(grep -iE -m1 -- "$3" "$2" | cut -c 1-150)"
	else
		bad "$1" "no /$3/ in: $(head -n 4 "$2" | tr '\n' '|' | cut -c 1-300)"
	fi
}

# until SECONDS COMMAND... - try ten times a second
until_true() {
	local tries=$((${1} * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# how many connections a storm of $1 makes: fewer on an emulated CPU
storm_size() {
	echo $(($1 / ${FT_STORM_DIVISOR:-1}))
}

# --- processes ---

# start COMMAND... - in the background; its id is in $PID. Not for functions: $PID would be that
# of the shell around it.
start() {
	"$@" <&0 7>&- & # stdin: otherwise the shell gives it /dev/null; 7: see hold
	PID=$!
	running+=("$PID")
}

stop() { # PID [SIGNAL]; waits for the end
	kill "-${2:-TERM}" "$1" 2>/dev/null || return 0
	for _ in {1..400}; do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

alive() {
	kill -0 "$1" 2>/dev/null
}

# --- the namespace ---

inside() {
	nsenter --net="$NS" "$@"
}

start_inside() { # nsenter becomes the command, so $PID is the command's
	start nsenter --net="$NS" "$@"
}

make_netns() {
	: >"$NS"
	unshare --net="$NS" true || die "make a network namespace"
	mounts+=("$NS")
	inside ip link set lo up
	inside bash -c 'cd /proc/sys/net && echo "1024 65000" >ipv4/ip_local_port_range &&
		echo 3000,8080-8081,9090,19100,20000-20010 >ipv4/ip_local_reserved_ports &&
		echo 4096 >core/somaxconn' || die "set the namespace up"
}

snmp() { # COUNTER, as nstat calls it
	inside nstat -asz "$1" | awk -v name="$1" '$1 == name { print $2 }'
}

# hold ARGS... - connections that stay open until `release`
hold() {
	mkfifo "$W/hold.stdin"
	exec 7<>"$W/hold.stdin" # both ways: otherwise each end waits for the other
	start_inside "$CONNGEN" "$@" -m hold <"$W/hold.stdin" >"$W/hold"
	hold_pid=$PID
	until_true 20 grep -q holding "$W/hold" || die "conngen holds its connections"
}

release() {
	exec 7>&-
	wait "$hold_pid" || die "conngen ends well" "$(cat "$W/hold")"
	rm -f "$W/hold.stdin"
}

# --- the agent ---

# agent ARGS... - start it and wait until it answers; $AGENT is its process id
agent() {
	start "$FT" agent --textfile "$PROM" "$@" >>"$W/agent.log" 2>&1
	AGENT=$PID
	until_true 15 answers || die "the agent starts" "$(tail -n 3 "$W/agent.log" | tr '\n' ' ')"
}

answers() {
	alive "$AGENT" && [ -s "$PROM" ] && show hops >/dev/null
}

show() { # WHAT ARGS...
	"$FT" show "$@" --json
}

# hops FILTER - jq over `show hops`, with hop(NAME) for one of them
hops() {
	show hops >"$W/hops.json" || return
	jq -r 'def hop($name): .hops[] | select(.name == $name); '"$1" "$W/hops.json"
}

settle() { # wait until nothing changes any more: the last closes may still be under way
	local before='' now
	for _ in {1..50}; do
		now=$(hops '[.hops[] | .opened, .active, .closed, .states]')
		[ "$now" = "$before" ] && return
		before=$now
		sleep 0.3
	done
}

# After a storm in which all have closed. What the kernel did not show is found by the next scan,
# which comes later where a scan costs more: on a machine with little to do, within 5 s.
settle_closed() {
	until_true 40 all_closed
	settle
}

all_closed() {
	[ "$(hops '[.hops[].active] | add')" = 0 ]
}

# Nothing was lost. The kernel may skip tracing programs for an event that interrupts process 1;
# what was missed that way is repaired and counted: printed, and no failure.
no_loss() {
	local other repaired
	other=$(show loss | jq -c '.loss | del(.missed_transition, .missed_open, .missed_close) |
		with_entries(select(.value > 0))')
	repaired=$(show loss | jq -c '.loss | {missed_transition, missed_open, missed_close} |
		with_entries(select(.value > 0))')
	equal "nothing was lost" "$other" "{}"
	[ "$repaired" = "{}" ] || echo "note    $CASE: seen late, and repaired: $repaired"
}

# --- nginx ---

# nginx NAME CONFIG - a server of its own in the namespace, under the process name NAME, with the
# text CONFIG in its http block and a status page on a unix socket, which counts no TCP connection
nginx_start() {
	local dir=$W/$1
	mkdir -p "$dir/logs"
	ln -sf "$(command -v nginx)" "$dir/$1"
	cat >"$dir/nginx.conf" <<-TEXT
		daemon off;
		worker_processes 2;
		pid $dir/pid;
		error_log $dir/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_body_temp_path $dir/t1; proxy_temp_path $dir/t2;
			fastcgi_temp_path $dir/t3; uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
			server { listen unix:$dir/status; location / { stub_status; } }
			$2
		}
	TEXT
	start_inside "$dir/$1" -p "$dir" -c "$dir/nginx.conf" 2>>"$dir/error.log"
	until_true 10 test -S "$dir/status" || die "$1 starts" "$(tail -n 2 "$dir/error.log")"
}

# Connections that server NAME accepted, without those that asked for it.
nginx_accepts() {
	local asked=$W/$1/asked n
	echo >>"$asked"
	n=$(curl -s --unix-socket "$W/$1/status" http://localhost/ | awk 'NR == 3 { print $1 }')
	echo $((n - $(wc -l <"$asked")))
}
