#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The rules and the dashboard as they will be used: agent, node_exporter and Prometheus with the rules
# loaded, real connections, and what Prometheus then answers.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

packaging=$(readlink -f "$here/../../packaging")
exporter=127.0.0.1:19100
server=127.0.0.1:9090

cat >"$W/fantail.conf" <<TEXT
interval = "200ms";
scan = "1s";
hops = (
  { name = "nlb"; accept = "20000"; },
  { name = "queue"; connect = ":20001"; from = "nlb"; limit = 15; },
  { name = "nobody"; connect = ":20009"; from = "nlb"; }
);
TEXT
cat >"$W/prometheus.yml" <<TEXT
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$packaging/prometheus/*.yml"]
scrape_configs: [{ job_name: node, static_configs: [{ targets: ["$exporter"] }] }]
TEXT

api() { # PATH CURL-ARGS... - into $W/answer
	inside curl -sf "http://$server/api/v1/$1" "${@:2}" -o "$W/answer"
}

value() { # EXPRESSION - its value; several: one a line
	api query --data-urlencode "query=$1" && jq -r '.data.result[].value[1]' "$W/answer"
}

is() { # EXPRESSION WANTED - within a millionth
	value "$1" | awk -v want="$2" '{ n++; off = $1 - want } END { exit !(n == 1 && off * off < 1e-12) }'
}

arrives() { # SENTENCE EXPRESSION WANTED
	if until_true 20 is "$2" "$3"; then
		ok "$1: $2 = $3"
	else
		bad "$1" "$2 is $(value "$2" | tr '\n' ' '), not $3"
	fi
}

make_netns
agent -c "$W/fantail.conf" --netns "$NS"
start_inside prometheus-node-exporter --web.listen-address=$exporter --collector.disable-defaults \
	--collector.textfile --collector.textfile.directory="$W/textfile" 2>"$W/exporter.log"
start_inside prometheus --config.file="$W/prometheus.yml" --storage.tsdb.path="$W/data" \
	--web.listen-address=$server --storage.tsdb.retention.time=1h 2>"$W/server.log"
until_true 30 is 'count(fantail_build_info)' 1 || die "Prometheus has the agent's metrics" \
	"$(grep -v level=info "$W/server.log" | tail -n 2)"
arrives "nothing has been opened yet" 'sum(fantail_flows_opened_total)' 0

# 400 connections arrive, 1200 go on: the rates are of the same two scrapes, so that the ratio is exact
inside "$CONNGEN" -n 400 -t 1 -p 20000 >"$W/conngen" || die "conngen runs"
inside "$CONNGEN" -n 1200 -t 1 -p 20001 >"$W/conngen" || die "conngen runs"
hold -n 12 -t 2 -p 20000 # 6 at each port: 406 and 1206 in all
settle
arrives "connections that arrived" 'sum(fantail_flows_opened_total{hop="nlb"})' 406
arrives "connections that were made for them" 'sum(fantail_flows_opened_total{hop="queue"})' 1206
edge='{from="nlb",to="queue",job="node"}'
ratio=$(awk 'BEGIN { printf "%.9f", 1206 / 406 }')
arrives "the recorded fan-out of new connections" "from_to:fantail_fanout_flow:ratio_rate5m$edge" "$ratio"
arrives "the recorded fan-out of open ones" "from_to:fantail_fanout_stock:ratio$edge" 1
arrives "its numerator" "from_to:fantail_fanout_flows_to:sum$edge" 6
arrives "all hops were met by a scan" "count(fantail_stale_flows)" 3
arrives "places taken" 'instance_hop:fantail_places_used:ratio{hop="queue"}' 0.4
arrives "no connection is held" 'hop:fantail_held_flows:sum{hop="nlb"}' 0
arrives "no connect has failed" 'sum(hop:fantail_connect_failures:rate5m)' 0
arrives "ports in use, as the agent says" \
	"instance_hop:fantail_ephemeral_ports:ratio{hop=\"queue\"} - fantail_ephemeral_ports_used{hop=\"queue\"} / fantail_ephemeral_ports_limit" 0
equal "an edge that nobody uses costs nothing" "$(value 'from_to:fantail_fanout_flow:ratio_rate5m{to="nobody"}')" 0

# what this host answers stands in the man page, field by field
for what in hops edges flows pairs listeners ports loss; do
	show $what >"$W/$what.json"
	holds "every field of show $what is explained" "$here/../../scripts/check-docs" --json "$W/$what.json"
done

api rules || die "Prometheus tells its rules"
rules=$(grep -cE '^ *- (alert|record): ' "$packaging/prometheus/fantail.rules.yml")
equal "rules that Prometheus evaluates without an error" \
	"$(jq '[.data.groups[].rules[] | select(.health == "ok" and (.lastError // "") == "")] | length' "$W/answer")" "$rules"
equal "alerts that fire" "$(jq -r '.data.groups[].rules[] | select(.state == "firing") | .name' "$W/answer")" ""

# the dashboard's expressions, with what Grafana would put in the place of its variables
asked=0 wrong=''
while IFS= read -r expr; do
	asked=$((asked + 1))
	api query --data-urlencode "query=$expr" || wrong+=" $expr"
	[ "$(jq '.data.result | length' "$W/answer")" -gt 0 ] || echo "$expr" >>"$W/without"
done < <(jq -r '.. | objects | select(has("expr")) | .expr | gsub("\\$__rate_interval"; "5m") |
	gsub("\\$(instance|hop)"; ".*")' "$packaging/grafana/fantail.json")
equal "of the dashboard's $asked expressions Prometheus refuses" "$wrong" ""
# nothing failed, waits, is paired, or runs out of ports here, and counting began before Prometheus
equal "expressions that should have an answer and have none" \
	"$(grep -vE 'connect_failures|paired|exchanges|queue_wait|deriv|changes' "$W/without")" ""
release
