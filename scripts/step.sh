# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# step NAME SECONDS COMMAND... - run one part of the tests, which counts in $FT_RESULTS what passed and
# failed. One that fails without having counted a failure is one.
failures() {
	awk '{ f += $3 } END { print f + 0 }' "$FT_RESULTS"
}
step() {
	local name=$1 limit=$2 before began=$SECONDS rc=0
	shift 2
	before=$(failures)
	timeout --kill-after=20 "$limit" "$@" </dev/null || rc=$?
	[ $rc -eq 0 ] || [ "$(failures)" -gt "$before" ] || scripts/tally "$name" 0 1
	echo "$name: $((SECONDS - began)) s$([ $rc -eq 0 ] || echo ", failed")"
	return $rc
}
