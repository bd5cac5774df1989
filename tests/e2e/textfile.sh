#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The textfile as the world meets it: promtool's opinion, every series through a real
# prometheus-node-exporter, and a reader that never sees half a file.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

cat >"$W/fantail.conf" <<TEXT
interval = "100ms";
hops = (
  { name = "nlb"; accept = "20000"; limit = 15; },
  { name = "queue"; connect = ":20001"; from = "nlb"; limit = 15; },
  { name = "nginx"; connect = ":20002"; from = "queue"; },
  { name = "node"; connect = ":20003"; from = "nginx"; },
  { name = "mysql"; connect = "10.0.0.0/8:3306"; from = "node"; },
  { name = "alive"; accept = "8080"; peer = "!127.0.0.0/8"; }
);
TEXT
exporter=127.0.0.1:19100

# name{labels in order} value, one per line in order
normal() {
	awk '/^#/ || $1 !~ /^fantail_/ { next } {
		name = $1; value = $NF; labels = ""
		if (match($0, /\{.*\}/)) {
			name = substr($0, 1, RSTART - 1)
			n = split(substr($0, RSTART + 1, RLENGTH - 2), label, ",")
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && label[j] < label[j - 1]; j--) {
					t = label[j]; label[j] = label[j - 1]; label[j - 1] = t
				}
			for (i = 1; i <= n; i++)
				labels = labels "," label[i]
		}
		printf "%s{%s} %s\n", name, substr(labels, 2), value == "NaN" ? value : sprintf("%.9g", value)
	}' "$1" | sort
}
scrape() {
	inside curl -sf "http://$exporter/metrics" -o "$W/scrape"
}

make_netns
agent -c "$W/fantail.conf" --netns "$NS"
inside "$CONNGEN" -n 3000 -t 4 -p 20000 -m mixed >"$W/conngen" || die "conngen runs"
hold -n 12 -t 2 -p 20000
start_inside prometheus-node-exporter --web.listen-address=$exporter --collector.disable-defaults \
	--collector.textfile --collector.textfile.directory="$W/textfile" 2>"$W/exporter.log"
until_true 10 scrape || die "node_exporter starts" "$(tail -n 2 "$W/exporter.log")"
settle
sleep 0.5

# hold the agent still, so that file and scrape are of one moment
kill -STOP "$AGENT"
cp "$PROM" "$W/file"
scrape
kill -CONT "$AGENT"
normal "$W/file" >"$W/file.normal"
normal "$W/scrape" >"$W/scrape.normal"
series=$(wc -l <"$W/file.normal")
holds "all $series series of the file arrive through node_exporter with their values" \
	diff "$W/file.normal" "$W/scrape.normal"
equal "node_exporter found no error" "$(awk '$1 == "node_textfile_scrape_error" { print $2 }' "$W/scrape")" 0
holds "series: $series with 6 hops; at most 250" test "$series" -le 250
equal "no series is there twice" "$(cut -d' ' -f1 "$W/file.normal" | uniq -d)" ""
holds "promtool has nothing to say" promtool check metrics <"$W/file"
equal "promtool's words" "$(promtool check metrics <"$W/file" 2>&1)" ""
equal "mode of the file" "$(stat -c %a "$PROM")" 644
equal "there is nothing else in the directory for a reader" "$(find "$W/textfile" -name '*.prom' | wc -l)" 1
equal "the held connections are active: 6 at each end of the first pair" \
	"$(hops '[hop("nlb").active, hop("queue").active] | @csv')" 6,6
equal "the file says what show says" \
	"$(awk '/^fantail_flows_(opened_total|active)\{/ { print $2 }' "$W/file" | tr '\n' ' ')" \
	"$(hops '[.hops[].active, .hops[].opened] | map(tostring + " ") | add')"

# a reader looping while the file is rewritten ten times a second
first=$(stat -c %i "$PROM")
# what pairing tells may come at any time
lines=$(grep -vc paired "$PROM")
last=$(tail -n 1 "$PROM" | cut -d' ' -f1)
partial=0 reads=0 end=$((SECONDS + 4))
declare -A seen
while [ $SECONDS -lt $end ]; do
	{ content=$(cat && echo .); } <"$PROM" || { partial=$((partial + 1)) && continue; }
	reads=$((reads + 1))
	tail=${content##*$'\n'"$last "}
	[[ $tail =~ ^[0-9]+$'\n'\.$ ]] || partial=$((partial + 1))
	seen[$(stat -c %i "$PROM" 2>/dev/null)]=1
done
equal "a reader saw no partial file in $reads reads" $partial 0
holds "while it was rewritten many times" test ${#seen[@]} -gt 1
equal "and it has as many lines as before" "$(grep -vc paired "$PROM")" "$lines"
: "$first"

# a directory that goes away and comes back does not stop the counting
mv "$W/textfile" "$W/elsewhere"
until_true 10 grep -q "cannot write $PROM" "$W/agent.log"
sleep 0.5 # and some writes more
holds "counting goes on when the directory is gone" show hops
mv "$W/elsewhere" "$W/textfile"
errors() {
	[ "$(awk '$1 == "fantail_textfile_write_errors_total" { print $2 }' "$PROM")" -ge 1 ]
}
holds "the failed writes are counted, and writing goes on" until_true 10 errors
equal "and were said once" "$(grep -c "cannot write $PROM" "$W/agent.log")" 1

release
stop "$AGENT"
holds "a clean stop removes the file" test ! -e "$PROM"

# the limit of a file's size is no reason to die, either
# shellcheck disable=SC2016 # the inner shell's $@
bash -c 'ulimit -f 1 && exec "$@"' sh "$FT" agent -c "$W/fantail.conf" --netns "$NS" \
	--textfile "$PROM" --for 1s >"$W/limited" 2>&1 </dev/null
equal "with a limit for files the agent goes on: exit status" $? 0
says "and says so" "$W/limited" 'cannot write .*: File too large; counting goes on'
