#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a person sees: the demo's story, the live view in a real terminal, plain tables elsewhere.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

export TMUX_TMPDIR=$W LC_ALL=C.UTF-8 # tmux insists on UTF-8
server=
close_terminal() {
	[ -z "$server" ] || tmux -L "$server" kill-server 2>/dev/null
}
trap 'close_terminal; cleanup' EXIT
terminal() { # COMMAND... - in a new terminal of 100x30
	close_terminal
	server=terminal$SRANDOM
	tmux -L "$server" -f /dev/null new-session -d -x 100 -y 30 "bash --norc" || die "tmux starts"
	tmux -L "$server" set -g status off
	tmux -L "$server" resize-window -x 100 -y 30
	type_in "PS1='prompt> '; clear; $*; echo \"status=\$?\"" Enter
}
type_in() {
	tmux -L "$server" send-keys "$@"
}
screen() {
	tmux -L "$server" capture-pane -p >"$W/screen"
	cat "$W/screen"
}
sees() { # PATTERN - within 20 s
	local _
	for _ in {1..200}; do
		screen | grep -qE -- "$1" && return
		sleep 0.1
	done
	cat "$W/screen"
	return 1
}

# --- the demo, to a pipe ---
began=$(date +%s%N)
"$FT" demo --for 8s >"$W/demo" 2>"$W/demo.err" </dev/null
equal "demo: exit status" $? 0
echo "note    $CASE: the demo took $((($(date +%s%N) - began) / 1000000)) ms"
says "demo: one client connection costs several backend connections" "$W/demo" 'x[2-9]\.[0-9]|[2-9]\.[0-9] backend flows'
equal "demo: no escape sequences in a pipe" "$(grep -c $'\x1b' "$W/demo")" 0
holds "demo: nothing stays behind" test ! -e "$PINS"

# --- one plain table ---
TERM=dumb "$FT" top --once >"$W/once" 2>"$W/once.err" </dev/null
equal "top --once: exit status" $? 0
says "top --once: a table" "$W/once" '^HOP|no hops'
"$FT" top >"$W/piped" 2>&1 </dev/null
equal "top to a pipe: exit status" $? 0
equal "top to a pipe: no escape sequences" "$(grep -c $'\x1b' "$W/piped")" 0

# --- live ---
terminal "$FT demo"
holds "live: the first frame shows the hops" sees 'nginx'
holds "live: and a ratio" sees '×[1-9]|x[1-9]'
screen >"$W/live"
type_in '?'
holds "live: ? explains the words" sees 'stock ratio'
type_in '?'
holds "live: ? again goes back" sees 'NEW/s'
type_in p
holds "live: p pauses" sees '[Pp]aused|PAUSED'
type_in p
tmux -L "$server" resize-window -x 60 -y 12
twelve() {
	[ "$(screen | wc -l)" = 12 ]
}
until_true 10 twelve
holds "live: fits a smaller terminal" sees 'HOP'
equal "live: 12 lines" "$(screen | wc -l)" 12
tmux -L "$server" resize-window -x 80 -y 6
holds "live: what has no room can be scrolled to" sees 'hops 1-[1-4] of 5'
type_in End
holds "live: end goes to the last hop" sees 'hops [2-5]-5 of 5'
type_in PPage
holds "live: and a page up comes back" sees 'hops 1-[1-4] of 5'
type_in NPage NPage NPage
holds "live: there is no further than the last" sees 'hops [2-5]-5 of 5'
type_in PPage
holds "live: so that one page up is enough there, too" sees 'hops 1-[1-4] of 5'
tmux -L "$server" resize-window -x 100 -y 30
type_in q
holds "live: q ends it with status 0" sees 'status=0'
holds "live: the terminal is as before" bash -c "! grep -q 'NEW/s' '$W/screen'"
type_in 'echo ec''hoes; stty -a' Enter
holds "live: and echoes" sees '[^-]echo '

terminal "$FT demo"
sees nginx >/dev/null
tmux -L "$server" send-keys C-c
holds "live: ^C ends it too" sees 'status='

terminal "TERM=dumb $FT demo --for 2s"
holds "TERM=dumb: a plain table" sees 'ACTIVE'
holds "TERM=dumb: ends" sees 'status=0'

# --- whose counters: the agent's, unless the options give a scope of their own ---
make_netns
echo 'hops = ( { name = "ours"; accept = "20000"; } );' >"$W/agent.conf"
echo 'hops = ( { name = "mine"; accept = "20000"; } );' >"$W/own.conf"
agent -c "$W/agent.conf" --netns "$NS"
hold -n 3 -p 20000
top_hop() {
	"$FT" top --once "$@" 2>&1 </dev/null | awk '$2 == "accept" { print $1 }'
}
recorded() { # ARGS...
	"$FT" record --for 300ms "$@" "$W/recording" >"$W/record.out" 2>&1 </dev/null
	tail -n 1 "$W/recording" | jq -r '.hops[] | "\(.name) \(.peers)"'
}
equal "top shows the agent's counters" "$(top_hop)" ours
equal "top -c counts for itself" "$(top_hop -c "$W/own.conf" --netns "$NS")" mine
equal "top -c --pins shows the agent's" "$(top_hop -c "$W/own.conf" --pins "$PINS")" ours
equal "record takes the agent's counters, and their peers" "$(recorded)" "ours 1"
equal "record -c counts for itself" "$(recorded -c "$W/own.conf" --netns "$NS")" "mine 1"
equal "record -c --pins takes the agent's" "$(recorded -c "$W/own.conf" --pins "$PINS")" "ours 1"
release # before the terminal, which would hold the connections, too
terminal "$FT top -c $W/own.conf --netns $NS"
holds "the live view says so" sees 'a scope of their own: counting for this view only'

# --- a recording goes on with the next agent ---
start "$FT" record --interval 100ms "$W/restarted" 2>"$W/record.out"
recorder=$PID
until_true 5 test -s "$W/restarted"
began_at() { # the start of the counters in the last line
	tail -n 1 "$W/restarted" | jq .start_ns
}
first=$(began_at)
stop "$AGENT"
holds "record: the agent is gone, and it says so" until_true 5 grep -q 'agent was stopped' "$W/record.out"
lines=$(wc -l <"$W/restarted")
sleep 0.5
equal "record: what is over is not written again" "$(wc -l <"$W/restarted")" "$lines"
agent -c "$W/agent.conf" --netns "$NS"
another() {
	[ "$(began_at)" -gt "$first" ]
}
holds "record: then it takes the next agent's counters" until_true 5 another
stop "$recorder" INT
holds "record: the recording can be shown" "$FT" top --once --replay "$W/restarted"
stop "$AGENT"

# --- how soon ---
drawn() {
	tmux -L "$server" capture-pane -p | grep -q 'q quit'
}
for _ in 1 2 3; do # what the machine does besides may cost one of them time, hardly all three
	terminal "sleep 0.2; $FT top"
	began=$(date +%s%N)
	until_true 20 drawn
	took=$((($(date +%s%N) - began) / 1000000))
	[ "$took" -ge 2000 ] || break
done
holds "top: the first frame is there soon ($took ms with the terminal)" test "$took" -lt 2000
type_in q
holds "top: q ends it" sees 'status=0'
