#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The agent is killed in the middle of a storm. The kernel goes on counting; the next agent takes
# over what it counted; and in the end every connection was counted once.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

cat >"$W/fantail.conf" <<TEXT
interval = "100ms";
hops = (
  { name = "srv"; accept = "20000-20001"; },
  { name = "cli"; connect = ":20000-20001"; }
);
TEXT
metric() {
	awk -v name="$1" 'index($1, name) == 1 { print $2 }' "$PROM"
}
opened() {
	hops 'hop("srv").opened'
}
at_least() {
	[ "$(opened)" -ge "$1" ]
}

make_netns
agent -c "$W/fantail.conf" --netns "$NS"
born=$(metric fantail_start_time_seconds)

storm=$(storm_size 1500000)
start_inside "$CONNGEN" -n "$storm" -t 2 -p 20000 -m mixed >"$W/conngen"
storm_pid=$PID
until_true 20 at_least $((storm / 125)) || die "the storm begins" "$(opened) opened"
{ kill -KILL "$AGENT" && wait "$AGENT"; } 2>/dev/null
holds "the agent was killed in the middle of the storm" alive "$storm_pid"
before=$(opened 2>/dev/null)
holds "without an agent the kernel goes on counting, and show goes on answering" \
	until_true 5 at_least $((before + 1))
"$FT" check -c "$W/fantail.conf" >"$W/check" 2>&1
rm -f "$PROM"
agent -c "$W/fantail.conf" --netns "$NS"
holds "it was started again before the storm ended ($(opened) of $storm so far)" alive "$storm_pid"
says "check says that nobody minds the programs" "$W/check" \
	"warn  agent: no agent is running, but its programs go on counting \($PINS\)"
says "and what to do" "$W/check" 'sudo fantail agent; or remove them: sudo fantail detach'
says "it says that it adopted what was there" "$W/agent.log" adopt
equal "the counters are the same ones: their start time" "$(metric fantail_start_time_seconds)" "$born"

wait "$storm_pid" || die "conngen made what it should" "$(cat "$W/conngen")"
settle_closed
made=$(jq .made "$W/conngen")
equal "accepted: opened = made" "$(opened)" "$made"
equal "connected: opened = made" "$(hops 'hop("cli").opened')" "$made"
equal "all of them closed" "$(hops '[.hops[].active] | @csv')" 0,0
equal "closed by the end that closed first" \
	"$(hops '[hop("cli").closed.local, hop("srv").closed.local] | @csv')" \
	"$(jq -r '[.fin, .sfin] | @csv' "$W/conngen")"
equal "closed by a reset" "$(hops '[.hops[].closed.reset] | @csv')" \
	"$(jq -r '[.rst, .rst] | @csv' "$W/conngen")"
equal "the flow table is empty" "$(show loss | jq .table.entries)" 0
no_loss

# a clean stop
programs=$(for link in "$PINS"/*; do
	bpftool -j link show pinned "$link" 2>/dev/null | jq -r '.prog_id // empty'
done)
holds "the agent's programs are known to bpftool" test "$(echo "$programs" | wc -l)" -ge 2
stop "$AGENT"
holds "a clean stop removes the pins" test ! -e "$PINS"
gone() {
	local id
	for id in $programs; do
		! bpftool prog show id "$id" || return 1
	done
}
holds "and the programs" until_true 20 gone
"$FT" show hops >"$W/out" 2>&1
equal "afterwards there is no agent to show" $? 69

# --keep, and detach
agent -c "$W/fantail.conf" --netns "$NS" --keep
stop "$AGENT"
holds "--keep leaves the counters" show hops
"$FT" detach >"$W/out" 2>&1
equal "fantail detach succeeds" $? 0
holds "and removes everything" test ! -e "$PINS"

# an agent is one whatever its file is called
cp "$FT" "$W/counter"
start "$W/counter" agent -c "$W/fantail.conf" --netns "$NS" --textfile "$PROM" >>"$W/agent.log" 2>&1
AGENT=$PID
until_true 15 answers || die "the agent starts" "$(tail -n 3 "$W/agent.log")"
"$FT" detach >"$W/out" 2>&1
equal "detach leaves a running agent alone" $? 69
holds "its counters stay pinned" test -e "$PINS/meta"
stop "$AGENT"
