#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ask.bash COMPLETION - for each command line on stdin what bash would offer: "== LINE", then one
# candidate a line.
# shellcheck source=/dev/null
. "$1" || exit 1

while IFS= read -r line; do
	echo "== $line"
	# readline's own breaks: white space, and each run of : and =
	read -ra COMP_WORDS <<<"$(sed -E 's/[:=]+/ & /g' <<<"$line")"
	[[ $line != *[[:space:]] ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_fantail 2>&1
	# a candidate replaces what stands behind the last break
	word=${line##*[[:space:]]} before=''
	[[ $word != *[:=]* ]] || before=${word%"${word##*[:=]}"}
	for candidate in "${COMPREPLY[@]}"; do
		echo "$before$candidate"
	done
done
