#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The configuration changes while connections are being made, the agent is exchanged for another one,
# and both at once: no count is lost, none is made twice, and no flow is forgotten.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

conf=$W/fantail.conf
srv='{ name = "srv"; accept = "20000-20001"; }'
cli='{ name = "cli"; connect = ":20000-20001"; from = "srv"; }'
old='{ name = "old"; accept = "20005-20006"; }'
config() { # HOPS [MORE]
	printf 'interval = "100ms";\n%s\nhops = (\n%s\n);\n' "${2:-}" "$1" >"$conf"
}
reload() {
	: >"$W/agent.log"
	kill -HUP "$AGENT"
	until_true 20 grep -qE 'counting [0-9]+ hops|stays as it is' "$W/agent.log" ||
		die "it answers SIGHUP" "$(tail -n 2 "$W/agent.log")"
}
names() { # of the hops, sorted
	hops '[.hops[].name] | sort | join(" ")'
}
metric() {
	awk -v name="$1" 'index($1, name) == 1 { print $2 }' "$PROM"
}
opened() {
	hops 'hop("srv").opened'
}
more_than() {
	[ "$(opened)" -gt "$1" ]
}
made() {
	jq .made "$W/conngen"
}
storm() { # CONNECTIONS, at least 20000, or it is over too soon; $storm_pid
	local n
	n=$(storm_size "$1")
	[ "$n" -ge 20000 ] || n=20000
	start_inside "$CONNGEN" -n "$n" -t 2 -p 20000 -m mixed >"$W/conngen"
	storm_pid=$PID
	before=$(opened)
	until_true 20 more_than "$before" || die "the storm begins"
}
storm_ends() {
	wait "$storm_pid" || die "conngen made what it should" "$(cat "$W/conngen")"
	settle_closed
	total=$((total + $(made)))
}
total=0 bytes=

make_netns
config "$srv, $cli"
agent -c "$conf" --netns "$NS"
born=$(metric fantail_start_time_seconds)
first=$AGENT

# --- another order, a new hop in front, in the middle of a storm ---
storm 400000
config "$old, $cli, { name = \"srv\"; accept = \"20000-20001\"; limit = 15; }"
reload
holds "reloaded before the storm ended" alive "$storm_pid"
equal "the new hop is there, and the others" "$(names)" "cli old srv"
equal "what changed about a hop is in force" "$(hops 'hop("srv").limit')" 15
storm_ends
equal "accepted, over the reload: opened = made" "$(opened)" "$total"
equal "connected" "$(hops 'hop("cli").opened')" "$total"
equal "all closed" "$(hops '[.hops[].active] | @csv')" 0,0,0
equal "the same process, the same counters" "$AGENT $(metric fantail_start_time_seconds)" \
	"$first $born"
no_loss

# --- flows that were open before their hop was configured ---
config "$srv, $cli"
reload
equal "a hop that is no longer configured is gone" "$(names)" "cli srv"
hold -n 30 -t 2 -p 20005
config "$srv, $cli, $old"
reload
settle
equal "flows from before their hop came back" "$(hops 'hop("old") | [.active, .preexisting, .opened] | @csv')" \
	30,30,0
release
settle_closed
equal "and their ends are seen" "$(hops 'hop("old") | [.active, (.closed | add)] | @csv')" 0,30

# --- a hop that is away while its flows live ---
hold -n 40 -t 2 -p 20000
settle
equal "40 flows" "$(hops 'hop("srv").active')" 40
config "$cli, $old" && sed -i 's/ from = "srv";//' "$conf"
reload
equal "their hop is no longer shown" "$(names)" "cli old"
equal "nor are its flows" "$(show flows | jq '[.flows[].hop] | unique | join(" ")' -r)" cli
equal "nor its metrics" "$(grep -c 'hop="srv"' "$PROM")" 0
release
settle
config "$srv, $cli, $old"
reload
settle
total=$((total + 40))
equal "it comes back with what it had counted, and with the ends that it did not see" \
	"$(hops 'hop("srv") | [.opened, .active, (.closed | add)] | @csv')" "$total,0,$total"

# --- nothing but a mistake ---
config "$srv, { name = \"x\"; acept = \"1\"; }"
reload
says "a mistake is named" "$W/agent.log" 'fantail.conf:.*accept'
says "and what is in force stays" "$W/agent.log" 'stays as it is'
equal "all hops are there" "$(names)" "cli old srv"
many=
for ((i = 0; i < 62; i++)); do
	many+="{ name = \"many$i\"; accept = \"$((31000 + i))\"; }, "
done
config "$many$srv, $cli"
reload
says "more hops than there are places, with those that are there" "$W/agent.log" 'no places are left'
equal "are none of them taken" "$(names)" "cli old srv"
config "$srv, $cli, $old" 'max_flows = 4096; source = "sockops";'
reload
says "what cannot change is said" "$W/agent.log" 'max_flows takes effect when'
says "of each key" "$W/agent.log" 'source takes effect when'
config "$srv, $cli, $old" "textfile = \"$W/nowhere/f.prom\";"
: >"$W/agent.log"

# --- handed over: SIGUSR1, and another agent with other hops ---
storm 400000
config "$cli, { name = \"new\"; accept = \"20008\"; }, $srv"
kill -USR1 "$AGENT"
wait "$AGENT"
equal "after SIGUSR1 it ends well" "$?" 0
holds "the pins stay" test -e "$PINS/flows"
holds "and so does the textfile" test -s "$PROM"
b=$(opened 2>/dev/null)
holds "the kernel goes on counting" until_true 5 more_than "$b"
rm -f "$PROM"
agent -c "$conf" --netns "$NS"
holds "the next one began before the storm ended" alive "$storm_pid"
says "it adopts, though the hops have changed" "$W/agent.log" adopted
storm_ends
equal "over the change of agent and hops: opened = made" "$(opened)" "$total"
equal "the new hop is there, the one that was dropped is not" \
	"$(names)" "cli new srv"
equal "nothing is left in the table" "$(show loss | jq .table.entries)" 0
no_loss

# --- counters that an older version made ---
{ kill -KILL "$AGENT" && wait "$AGENT"; } 2>/dev/null
read -ra value < <(bpftool -j map lookup pinned "$PINS/meta" key 0 0 0 0 | jq -r '.value | join(" ")')
version=$("$FT" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
for ((i = 0; i < ${#version}; i++)); do
	bytes+=$(printf '%02x ' "'${version:i:1}")
done
text=" ${value[*]//0x/} "
other=${bytes%???}39 # its last digit is a 9
# shellcheck disable=SC2086 # words
bpftool map update pinned "$PINS/meta" key 0 0 0 0 value hex ${text/ $bytes/ $other } ||
	die "change the version"
: >"$W/agent.log"
rm -f "$PROM" # the last one's: agent() waits for it
agent -c "$conf" --netns "$NS"
says "another version's counters are adopted, if their layout is the same" "$W/agent.log" \
	'programs of version .*9 go on'
equal "with what they counted" "$(opened)" "$total"

# --- from configured hops to discovery and back ---
discovered() {
	[ "$(hops '[.hops[] | select(.port | test("20000"))] | length')" -gt 0 ]
}
printf 'interval = "100ms";\n' >"$conf"
hold -n 12 -t 1 -p 20000
total=$((total + 12))
reload
holds "without hops in the file they are discovered" \
	until_true 10 discovered
settle
equal "with the flows that are open" \
	"$(hops '[.hops[] | select(.side == "accept" and (.port | test("20000"))) | .active] | @csv')" 12
config "$srv, $cli"
reload
equal "and back" "$(names)" "cli srv"
settle
equal "with what was counted, the flows that lived elsewhere meanwhile, and nothing twice" \
	"$(hops 'hop("srv") | [.opened, .preexisting, .active] | @csv')" "$total,12,12"
release
settle_closed
equal "nothing active is left" "$(hops '[.hops[].active] | @csv')" 0,0
equal "drift" "$(show hops | jq -c '[.drift[]] | add')" 0
stop "$AGENT"
holds "SIGTERM leaves no pin" test ! -e "$PINS"
holds "and no lock" test ! -e /run/fantail
