#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The second door: only the sockets of one cgroup are counted, every one of them; also on a host
# without BTF, where tracing programs cannot be loaded.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

cgroup2=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' \
	/proc/self/mountinfo)
[ -n "$cgroup2" ] || die "cgroup2 is mounted somewhere"
group=$cgroup2/${W##*/}
mkdir "$group" || die "make a cgroup"
remove_group() {
	cleanup
	rmdir "$group"
}
trap remove_group EXIT

cat >"$W/fantail.conf" <<TEXT
hops = (
  { name = "srv"; accept = "20000-20010"; },
  { name = "cli"; connect = ":20000-20010"; from = "srv"; }
);
TEXT
member() { # run COMMAND... in the cgroup and the namespace
	# shellcheck disable=SC2016 # $1 is the inner shell's
	bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" nsenter --net="$NS" "$@"
}
size=$(storm_size 20000)
storm() { # WHAT: inside and outside at once, then compare
	member "$CONNGEN" -n "$size" -p 20000 -m mixed >"$W/in" &
	local in=$!
	inside "$CONNGEN" -n "$size" -p 20005 -m mixed >"$W/out" || die "conngen runs outside"
	wait $in || die "conngen runs inside the cgroup"
	settle_closed # where a segment was dropped, the last close waits for its retransmission
	equal "$1: accepted in the cgroup, none of outside" "$(hops 'hop("srv").opened')" \
		"$(jq .made "$W/in")"
	equal "$1: connected in the cgroup, none of outside" "$(hops 'hop("cli").opened')" \
		"$(jq .made "$W/in")"
	equal "$1: who closed" "$(hops '[hop("cli").closed | .local, .remote, .reset, .other] | @csv')" \
		"$(jq -r '[.fin, .sfin, .rst, 0] | @csv' "$W/in")"
	equal "$1: none is left" "$(hops '[.hops[].active] | @csv')" 0,0
	no_loss
}

make_netns
agent -c "$W/fantail.conf" --source sockops --cgroup "$group"
equal "the source is named" "$(hops .source)" sockops
equal "there is nothing to warn of" "$(grep -c 'names a process' "$W/agent.log")" 0
storm sockops
stop "$AGENT"
holds "a clean stop removes the pins" test ! -e "$PINS"

# a path as long as a container's is kept whole: by it the next agent knows whose counters these are
deep=$group/$(printf 'x%.0s' {1..200})
mkdir "$deep" || die "make a cgroup with a long name"
printf 'cgroup = "%s";\n' "$deep" | cat - "$W/fantail.conf" >"$W/deep.conf"
agent -c "$W/deep.conf"
{ kill -KILL "$AGENT" && wait "$AGENT"; } 2>/dev/null
rm -f "$PROM"
agent -c "$W/deep.conf"
says "counters of a cgroup with a long path are adopted" "$W/agent.log" 'adopted'
stop "$AGENT"
rmdir "$deep"

"$FT" agent -c "$W/fantail.conf" --source sockops --cgroup "$W" --textfile "$PROM" \
	--for 1s >"$W/out" 2>&1
equal "a directory that is no cgroup: exit status" $? 69
says "a directory that is no cgroup is named" "$W/out" "$W.*cgroup"

echo 'hops = ( { name = "of"; accept = "20000"; process = "x"; } );' >"$W/process.conf"
"$FT" agent -c "$W/process.conf" --source sockops --textfile '' --for 300ms >"$W/out" 2>&1
# older kernels show sockops programs no process at all
says "who listened before is not known: it is said" "$W/out" \
	'warning: hop "of" names a process.*(there before|does not show).*: it will count nothing'

# no BTF: a private mount namespace where the file is not there
cat >"$W/without_btf" <<'TEXT'
#!/bin/sh
mount --make-rprivate / && mount -t tmpfs none /sys/kernel/btf && exec "$@"
TEXT
chmod +x "$W/without_btf"
real=$FT
printf '#!/bin/sh\nexec unshare --mount %s/without_btf %s "$@"\n' "$W" "$real" >"$W/fantail"
chmod +x "$W/fantail"
FT=$W/fantail
agent -c "$W/fantail.conf" --source sockops --cgroup "$group"
FT=$real
storm "without BTF"
