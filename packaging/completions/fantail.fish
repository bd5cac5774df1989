# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Completion of fantail for fish. scripts/check-completions holds it to what `fantail COMMAND --help`
# says.

# The command on the line; `top` when it begins with an option.
function __fantail_command
    set -l words (commandline -opc)
    if test (count $words) -lt 2
        return 1
    else if string match -q -- '-*' $words[2]
        echo top
    else
        echo $words[2]
    end
end

# An option may follow: after one of these commands, and `top` needs not to be named.
function __fantail_is
    set -l command (__fantail_command); or set command top
    contains -- $command $argv
end

# Nothing but options so far behind the command.
function __fantail_wants
    __fantail_is $argv[1]; or return
    set -l operands
    set -l takes -c --config --pins --hop --sort --limit --for --interval --cgroup --netns --source --max-flows
    set -l skip 0
    for word in (commandline -opc)[3..]
        if test $skip = 1
            set skip 0
        else if contains -- $word $takes
            set skip 1
        else if not string match -q -- '-*' $word
            return 1
        end
    end
end

# Hops of the running agent; nothing when there is none, or it may not be asked.
function __fantail_hops
    set -l words (commandline -opc)
    set -l pins
    if set -l i (contains -i -- --pins $words)
        set pins --pins $words[(math $i + 1)]
    end
    $words[1] show hops --json $pins 2>/dev/null | string match -ra '\{"name":"[^"]*"' |
        string replace -r '.*:"(.*)"' '$1'
end

set -l counts 'top agent check record'

complete -c fantail -f
complete -c fantail -n 'not __fantail_command >/dev/null' -a top -d 'live view'
complete -c fantail -n 'not __fantail_command >/dev/null' -a agent -d 'count, audit, and write the Prometheus textfile'
complete -c fantail -n 'not __fantail_command >/dev/null' -a show -d 'one answer from the running agent'
complete -c fantail -n 'not __fantail_command >/dev/null' -a discover -d 'print the configuration for what runs on this host'
complete -c fantail -n 'not __fantail_command >/dev/null' -a check -d 'configuration, kernel, privileges'
complete -c fantail -n 'not __fantail_command >/dev/null' -a demo -d 'the live view over a small chain made for it'
complete -c fantail -n 'not __fantail_command >/dev/null' -a record -d 'write one snapshot per interval'
complete -c fantail -n 'not __fantail_command >/dev/null' -a detach -d 'remove everything pinned'
complete -c fantail -n 'not __fantail_command >/dev/null' -a version -d 'print the version'
complete -c fantail -n 'not __fantail_command >/dev/null' -a help -d 'print help'

complete -c fantail -s c -l config -r -F -d configuration
complete -c fantail -l pins -x -a '(__fish_complete_directories)' -d 'where the counters are pinned'
complete -c fantail -s v -l verbose -d 'say more; twice: what libbpf says, too'
complete -c fantail -s h -l help -d 'print help'
complete -c fantail -l version -d 'print the version'

complete -c fantail -n "__fantail_is $counts demo" -l for -x -d 'stop after that long: 500ms, 10s, 5m'
complete -c fantail -n "__fantail_is $counts demo" -l interval -x -d 'how often to write, draw or record'
complete -c fantail -n "__fantail_is $counts" -l cgroup -x -a '(__fish_complete_directories)' -d 'count only sockets of this cgroup2 directory'
complete -c fantail -n "__fantail_is $counts discover" -l netns -r -F -a 'all own /run/netns/*' -d 'network namespaces to count'
complete -c fantail -n "__fantail_is $counts" -l source -x -a 'tracepoint sockops' -d 'how transitions are seen'
complete -c fantail -n "__fantail_is $counts" -l max-flows -x -d 'capacity of the flow table'
complete -c fantail -n '__fantail_is agent check' -l textfile -r -F -d 'where to write the metrics'
complete -c fantail -n '__fantail_is agent' -l keep -d 'leave everything pinned and counting at the end'
complete -c fantail -n '__fantail_is show' -l json -d 'JSON instead of a table'
complete -c fantail -n '__fantail_is show' -l hop -x -a '(__fantail_hops)' -d 'only this hop'
complete -c fantail -n '__fantail_is show' -l sort -x -a 'age idle unread hop state remote' -d 'order of the flows'
complete -c fantail -n '__fantail_is show' -l limit -x -d 'at most so many flows'
complete -c fantail -n '__fantail_is top demo' -l once -d 'print one plain table and exit'
complete -c fantail -n '__fantail_is top' -l replay -r -F -d 'show a recording'
complete -c fantail -n '__fantail_is demo' -l lab -d 'a whole service of real servers instead'

complete -c fantail -n '__fantail_wants show' -a 'hops edges flows pairs listeners ports loss'
complete -c fantail -n '__fantail_wants record' -F
