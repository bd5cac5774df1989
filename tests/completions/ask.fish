#!/usr/bin/env fish
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ask.fish COMPLETION - for each command line on stdin what fish would offer: "== LINE", then one
# candidate a line.
source $argv[1]; or exit 1

while read -l line
    echo "== $line"
    complete -C $line | string replace -r '\t.*' ''
end
