# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# What the scenarios share: the network, the components, the agents, and the sources of truth that
# fantail's numbers are compared with. Saying and starting come from the end-to-end cases.
#
#   client 10.77.1.2 -- 10.77.1.1 gw 10.77.2.2 -- 10.77.2.1 nlb 10.77.3.1 --+-- ec2a 10.77.3.11
#                                                                  (vpc: a   +-- ec2b 10.77.3.12
#                                                                   bridge)  +-- rds  10.77.3.20
#   instance: connqueue :80 -> nginx :8080 -> app 127.0.0.1:3000 -> mariadb 10.77.3.20:3306
#
# Everything shares one kernel. An agent is started for one host, and sees that host's network
# namespace only: one that sees all of them would know what no instance can.
LAB=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=tests/e2e/lib.sh
. "$LAB/../e2e/lib.sh"

FT=${FANTAIL:-$FT}
export GODEBUG=multipathtcp=0 # newer Go listens with MPTCP; the queue is a plain TCP server
export NODE_PATH=/usr/share/nodejs
parts=$BUILD/lab
declare -A agents=()   # process id of the agent on a host
declare -A commands=() # descriptor on which a client takes its commands
declare -A asked=()    # how many it was given
declare -A client_pid=()
mkdir "$NS" "$W/log" "$W/status"

# Like the one of the end-to-end cases; and all of it ends with this shell, even if it is killed.
start() {
	setpriv --pdeathsig KILL "$@" <&0 &
	PID=$!
	running+=("$PID")
}

cleanup() {
	local i pid
	for ((i = ${#running[@]} - 1; i >= 0; i--)); do # all at once, the last one first
		kill -TERM "${running[i]}" 2>/dev/null
	done
	for pid in "${running[@]}"; do
		stop "$pid"
	done
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		umount "${mounts[i]}"
	done
	[ -n "${KEEP:-}" ] || rm -rf "$W"
	[ -z "${COUNTS:-}" ] || echo "$passed $failed" >>"$COUNTS"
}

# on HOST COMMAND... - not ip netns exec: that hides bpffs and the cgroups
on() {
	local host=$1
	shift
	nsenter --net="$NS/$host" "$@"
}

# daemon HOST NAME COMMAND... - in the background, with its output in log/NAME
daemon() {
	local host=$1 name=$2
	shift 2
	start nsenter --net="$NS/$host" "$@" >"$W/log/$name" 2>&1
}

ready() { # NAME COMMAND... - wait for a component
	local name=$1
	shift
	until_true 15 "$@" || die "$name starts" "$(tail -n 3 "$W/log/$name" | tr '\n' ' ')"
}

# --- the network ---

join() { # HOST ADDRESS OTHER OTHERS_ADDRESS; the interface is named after the other end
	on "$1" ip link add "$3" type veth peer name "$1" netns "$NS/$3" || return
	on "$1" ip addr add "$2/24" dev "$3" && on "$1" ip link set "$3" up || return
	on "$3" ip addr add "$4/24" dev "$1" && on "$3" ip link set "$1" up
}

plug() { # HOST ADDRESS - into the VPC's bridge
	on vpc ip link add "$1" type veth peer name vpc netns "$NS/$1" || return
	on vpc ip link set "$1" master vpc up || return
	on "$1" ip addr add "$2/24" dev vpc && on "$1" ip link set vpc up
}

tune() { # HOST KEY VALUE - a sysctl under net/ipv4 or net/core
	on "$1" bash -c "echo '$3' >/proc/sys/net/$2" || die "set $2 on $1"
}

network() {
	local host
	for host in client gw nlb vpc ec2a ec2b rds; do
		: >"$NS/$host"
		unshare --net="$NS/$host" true || die "make a network namespace"
		mounts+=("$NS/$host")
		on "$host" ip link set lo up
	done
	{
		join client 10.77.1.2 gw 10.77.1.1 && join gw 10.77.2.2 nlb 10.77.2.1 &&
			on vpc ip link add vpc type bridge && on vpc ip link set vpc up &&
			plug nlb 10.77.3.1 && plug ec2a 10.77.3.11 && plug ec2b 10.77.3.12 &&
			plug rds 10.77.3.20 &&
			on rds ip addr add 10.77.3.21/24 dev vpc &&
			on rds ip addr add 10.77.3.22/24 dev vpc &&
			on client ip route add default via 10.77.1.1 &&
			on gw ip route add default via 10.77.2.1 &&
			on nlb ip route add 10.77.1.0/24 via 10.77.2.2 &&
			on ec2a ip route add default via 10.77.3.1 &&
			on ec2b ip route add default via 10.77.3.1
	} >"$W/log/network" 2>&1 || die "set the network up" "$(tail -n 2 "$W/log/network")"
	tune gw ipv4/ip_forward 1
	tune nlb ipv4/ip_forward 1
	balance kept ec2a
}

# balance kept|replaced INSTANCE... - the NLB: connections to its :80 go to the instances in turn, with
# the client's address or with the NLB's
balance() {
	local addresses=$1 i map='' rule=''
	declare -A address=([ec2a]=10.77.3.11 [ec2b]=10.77.3.12)
	shift
	for ((i = 0; i < $#; i++)); do
		map+="${map:+, }$i : ${address[${@:i+1:1}]}"
	done
	[ "$addresses" = kept ] || rule='tcp dport 80 masquerade'
	on nlb nft -f - <<-TEXT || die "set the load balancer up"
		table ip nlb {}
		delete table ip nlb
		table ip nlb {
			chain in {
				type nat hook prerouting priority dstnat;
				ip daddr 10.77.2.1 tcp dport 80 dnat to numgen inc mod $# map { $map }
			}
			chain out {
				type nat hook postrouting priority srcnat;
				$rule
			}
		}
	TEXT
}

# --- the components ---

connqueue() { # HOST OPTION...
	local host=$1
	shift
	daemon "$host" "queue-$host" "$parts/connqueue" -status "$W/status/queue-$host" "$@"
}

app() { # HOST PORT
	daemon "$1" "app-$1-$2" node "$LAB/app.js" "$2" "$W/status/app-$1-$2"
}

nginx() { # HOST CONFIG
	local dir=$W/nginx-$1
	mkdir "$dir"
	daemon "$1" "nginx-$1" env -C "$dir" nginx -p "$dir" -c "$LAB/$2" -e "$dir/error.log"
}

instance() { # HOST QUEUE_OPTION... - connqueue, nginx, app
	connqueue "$@"
	nginx "$1" nginx.conf
	app "$1" 3000
	ready "queue-$1" test -S "$W/status/queue-$1"
	ready "nginx-$1" test -S "$W/nginx-$1/status.sock"
	ready "app-$1-3000" test -S "$W/status/app-$1-3000"
}

gateway() {
	daemon gw gateway "$parts/gateway" -status "$W/status/gateway"
	ready gateway test -S "$W/status/gateway"
}

order() { # COMPONENT PATH - over its unix socket
	curl -sf -o "$W/log/order" -X PUT --unix-socket "$W/status/$1" "http://lab$2" ||
		die "$1 takes orders" "$2"
}

# The files of a fresh database are kept beside the programs: making them takes seconds.
database() {
	local fresh
	if [ ! -d "$parts/mariadb" ]; then
		fresh=$(mktemp -d "$parts/mariadb.XXXXXX")
		mariadb-install-db --no-defaults --user=root --datadir="$fresh" --skip-test-db \
			--auth-root-authentication-method=normal >"$W/log/install-db" 2>&1 ||
			die "make a database" "$(tail -n 3 "$W/log/install-db" | tr '\n' ' ')"
		mv -T "$fresh" "$parts/mariadb" 2>/dev/null || rm -rf "$fresh" # another one was faster
	fi
	cp -a --reflink=auto "$parts/mariadb" "$W/mariadb"
	echo "create user app@'10.77.3.%' identified via mysql_native_password using password('lab');" \
		>"$W/mariadb.sql"
	daemon rds mariadb mariadbd --no-defaults --user=root --datadir="$W/mariadb" \
		--socket="$W/status/mariadb" --pid-file="$W/mariadb.pid" --init-file="$W/mariadb.sql" \
		--bind-address=10.77.3.20,10.77.3.21,10.77.3.22 --port=3306 --skip-name-resolve \
		--max-connections=400 --innodb-buffer-pool-size=8M --innodb-log-file-size=4M
	ready mariadb mariadb --no-defaults -u root -S "$W/status/mariadb" -e 'select 1'
}

# client NAME HOST OPTION... - a load generator that waits for commands
client() {
	local name=$1 host=$2 fd
	shift 2
	mkfifo "$W/$name.commands"
	exec {fd}<>"$W/$name.commands" # both ways: otherwise each end waits for the other
	commands[$name]=$fd
	daemon "$host" "$name" "$parts/client" "$@" <"$W/$name.commands"
	client_pid[$name]=$PID
}

# ask NAME COMMAND... - give a client a command, and wait for the answer, in $ANSWER
ask() {
	tell "$@"
	await "$1"
}

tell() { # NAME COMMAND... - without waiting
	local name=$1
	shift
	asked[$name]=$((${asked[$name]:-0} + 1))
	echo "$*" >&"${commands[$name]}"
}

await() { # NAME - the answer to the last command
	until_true 60 answered "$1" || die "$1 answers" "$(tail -n 2 "$W/log/$1" | tr '\n' ' ')"
	ANSWER=$(tail -n 1 "$W/log/$1")
}

answered() {
	[ "$(wc -l <"$W/log/$1")" -ge "${asked[$1]}" ]
}

leave() { # NAME - the client goes, with whatever it was still trying
	stop "${client_pid[$1]}"
}

field() { # NAME - of $ANSWER
	sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" <<<"$ANSWER"
}

# service PLACES - the whole chain, with both instances and the load balancer's health checks
service() {
	network
	balance kept ec2a ec2b
	database
	instance ec2a -places "$1"
	instance ec2b -places "$1"
	gateway
	client check-ec2a nlb -to 10.77.3.11:8080
	client check-ec2b nlb -to 10.77.3.12:8080
	ask check-ec2a health 1000 /health
	ask check-ec2b health 1000 /health
}

# --- fantail ---

# agent HOST CONFIG - on that host, as if it were the only one; starts before the components, so that
# nothing has happened that it did not see
agent() {
	start "$LAB/host" "$1" "$FT" agent --netns "$NS/$1" -c "$2" --textfile "$W/$1.prom" \
		>"$W/log/agent-$1" 2>&1
	agents[$1]=$PID
	until_true 15 agent_answers "$1" ||
		die "the agent on $1 starts" "$(tail -n 3 "$W/log/agent-$1" | tr '\n' ' ')"
}

agent_answers() {
	alive "${agents[$1]}" && [ -s "$W/$1.prom" ] && show "$1" hops >"$W/answers"
}

# fantail_on HOST COMMAND... - a viewer on that host
fantail_on() {
	local agent=/proc/${agents[$1]}
	shift
	nsenter --mount="$agent/ns/mnt" --uts="$agent/ns/uts" --root="$agent/root" "$FT" "$@"
}

show() { # HOST WHAT ARGUMENT...
	fantail_on "$1" show "${@:2}" --json
}

# ask_agent HOST WHAT FILTER - jq over `show WHAT`; hop(NAME), edge(FROM; TO) for one of them
ask_agent() {
	show "$1" "$2" --limit 100000 >"$W/$1.json" 2>"$W/log/show" || {
		cat "$W/log/show"
		return 1
	}
	jq -r 'def hop($name): .hops[] | select(.name == $name);
		def edge($a; $b): .edges[] | select(.from == $a and .to == $b); '"$3" "$W/$1.json"
}

hops() { # HOST FILTER
	ask_agent "$1" hops "$2"
}

# eventually SENTENCE HOST WHAT FILTER WANTED - the last changes may still be under way, and what the
# scan finds comes with the next one, or what it repairs with the one after. A number that only passes by
# is not enough: it has to stay.
eventually() {
	local got='' before='' _
	for _ in {1..100}; do
		got=$(ask_agent "$2" "$3" "$4" 2>&1)
		[ "$got" = "$5" ] && [ "$before" = "$5" ] && break
		before=$got
		sleep 0.2
	done
	equal "$2: $1" "${got:-nothing}" "$5"
}

settle() { # HOST
	local before='' now
	for _ in {1..30}; do
		now=$(hops "$1" '[.hops[] | .opened, .active, .closed]')
		[ "$now" = "$before" ] && return
		before=$now
		sleep 0.2
	done
}

# --- sources of truth ---

snmp() { # HOST COUNTER - the kernel's, of that network namespace
	on "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'
}

sockets() { # HOST STATE FILTER... - as ss counts them
	local host=$1 state=$2
	shift 2
	on "$host" ss -Htn state "$state" "$@" | wc -l
}

unread() { # HOST FILTER... - connections with bytes that nobody has read
	local host=$1
	shift
	on "$host" ss -Htn state established "$@" | awk '$1 > 0' | wc -l
}

status() { # COMPONENT COUNT - what it counted itself
	curl -s --unix-socket "$W/status/$1" http://lab/ | jq -r ".$2"
}

# Connections that nginx accepted, without those that asked for it.
nginx_accepts() { # HOST
	local n
	echo >>"$W/nginx-$1/asked"
	n=$(curl -s --unix-socket "$W/nginx-$1/status.sock" http://lab/ | awk 'NR == 3 { print $1 }')
	echo $((n - $(wc -l <"$W/nginx-$1/asked")))
}

# Connections in nginx's access log: distinct $connection from that address
nginx_logged() { # HOST ADDRESS
	awk -v address="$2" '$3 == address { seen[$1] = 1 } END { print length(seen) }' \
		"$W/nginx-$1/access.log"
}

# The same: those that carried just one request
nginx_logged_once() { # HOST ADDRESS
	awk -v address="$2" '$3 == address { n[$1]++ } END { for (i in n) once += n[i] == 1; print once + 0 }' \
		"$W/nginx-$1/access.log"
}

requests_logged() { # HOST ADDRESS
	awk -v address="$2" '$3 == address { n++ } END { print n + 0 }' "$W/nginx-$1/access.log"
}

# The kernel's own counters of an instance as sums over the hops: no connection is missing, none is
# counted twice, and each has the right side. The loopback hops have both ends here.
kernel_agrees() { # HOST
	local nlb queue nginx mysql alive
	settle "$1"
	read -r nlb queue nginx mysql alive < <(hops "$1" '[.hops[].opened] | @tsv')
	equal "$1: nlb + alive + queue + nginx opened = the kernel's PassiveOpens" \
		$((nlb + alive + queue + nginx)) "$(snmp "$1" TcpPassiveOpens)"
	equal "$1: queue + nginx + mysql opened = the kernel's ActiveOpens" \
		$((queue + nginx + mysql)) "$(snmp "$1" TcpActiveOpens)"
	equal "$1: queue + alive opened = accepted by nginx" \
		$((queue + alive)) "$(nginx_accepts "$1")"
	equal "$1: nginx opened = accepted by the app" "$nginx" "$(status "app-$1-3000" connections)"
	equal "$1: queue opened = dialled by the queue" "$queue" "$(status "queue-$1" dialled)"
	balanced "$1"
}

# The same on the gateway's host.
gateway_agrees() {
	local client nlb
	settle gw
	read -r client nlb < <(hops gw '[.hops[].opened] | @tsv')
	equal "gw: client opened = the kernel's PassiveOpens" "$client" "$(snmp gw TcpPassiveOpens)"
	equal "gw: nlb opened = the kernel's ActiveOpens" "$nlb" "$(snmp gw TcpActiveOpens)"
	equal "gw: nlb opened = dialled by the gateway" "$nlb" "$(status gateway dialled)"
	balanced gw
}

# Nothing was lost. What was seen late and repaired is printed, and no failure: the kernel may skip
# tracing programs for an event that interrupts process 1.
balanced() { # HOST
	equal "$1: opened = closed + active for each hop" \
		"$(hops "$1" '[.hops[] | .opened + .preexisting - ([.closed[]] | add) - .active] | unique | @csv')" 0
	equal "$1: nothing was lost" "$(ask_agent "$1" loss '.loss | del(.missed_transition,
		.missed_open, .missed_close) | with_entries(select(.value > 0)) | tojson')" "{}"
	eventually "no drift" "$1" hops '[.drift[]] | unique | @csv' 0
}
