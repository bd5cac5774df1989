#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Everything that a user can get wrong or find missing: one clear line with the remedy, and the
# documented exit status.
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

# fails STATUS WHAT PATTERN COMMAND... - ends soon with STATUS, and says PATTERN, in few lines
fails() {
	local status=$1 what=$2 pattern=$3
	shift 3
	timeout 20 "$@" >"$W/out" 2>&1 </dev/null
	equal "$what: exit status" $? "$status"
	says "$what" "$W/out" "$pattern"
}

cat >"$W/fantail.conf" <<TEXT
interval = "100ms";
max_flows = 1024;
hops = (
  { name = "srv"; accept = "20000-20003"; },
  { name = "cli"; connect = ":20000-20003"; from = "srv"; }
);
TEXT
conf=$W/fantail.conf
make_netns

# --- usage ---
fails 64 "unknown command" 'frobnicate' "$FT" frobnicate
fails 64 "unknown option" 'no-such-option' "$FT" agent --no-such-option
fails 64 "a bad duration" 'soon|interval' "$FT" agent --interval soon
fails 64 "a flow table too small" 'max-flows.*1024 to 16777216' "$FT" agent --max-flows 10
fails 64 "show what?" 'hops' "$FT" show nonsense
fails 0 "help" 'usage' "$FT" --help
fails 0 "version" 'fantail [0-9]' "$FT" --version

# --- configuration ---
cat >"$W/wrong.conf" <<TEXT
intervall = "1s";
max_flows = "many";
hops = (
  { name = "a"; acept = "80"; },
  { name = "b"; connect = "1.2.3.4:99999"; from = "nobody"; },
  { name = "b"; accept = "80-"; }
);
TEXT
fails 78 "wrong configuration" 'wrong.conf:1: .*intervall.*"interval"' "$FT" agent -c "$W/wrong.conf"
says "wrong configuration: the type" "$W/out" 'wrong.conf:2: '
says "wrong configuration: a hop's key" "$W/out" 'wrong.conf:4: .*"accept"'
says "wrong configuration: the port" "$W/out" 'wrong.conf:5: '
says "wrong configuration: the range" "$W/out" 'wrong.conf:6: '
fails 78 "check reads the configuration too" 'wrong.conf:1: ' "$FT" check -c "$W/wrong.conf"
printf 'hops = (\n  { name = ;\n' >"$W/syntax.conf"
fails 78 "syntax error" 'syntax.conf:2: ' "$FT" agent -c "$W/syntax.conf"
fails 78 "no such file" 'absent.conf.*No such file' "$FT" agent -c "$W/absent.conf"
for i in {1..100}; do
	echo "no_such_key_$i = 1;"
done >"$W/many.conf"
fails 78 "check says all that is wrong" 'many.conf:100: unknown key "no_such_key_100"$' \
	"$FT" check -c "$W/many.conf"
equal "each in a line of its own" "$(grep -c '^[^ ]*many.conf:[0-9]*: unknown key "[a-z_0-9]*"$' "$W/out")" 100
fails 78 "discover reads the file that is named" 'many.conf:1: ' "$FT" discover -c "$W/many.conf"
mkdir "$W/dir.conf"
fails 78 "a directory" 'dir.conf' "$FT" agent -c "$W/dir.conf"

echo 'quality = true;' >"$W/quality.conf"
fails 0 "a key without effect" 'quality.conf: quality: reserved' \
	"$FT" agent -c "$W/quality.conf" --netns "$NS" --textfile '' --for 200ms
equal "is said once" "$(grep -c quality "$W/out")" 1

# --- a recording ---
: >"$W/empty.rec"
fails 78 "an empty recording" 'empty.rec: the recording is empty' "$FT" top --once --replay "$W/empty.rec"
fails 78 "a recording that cannot be read" "dir.conf: Is a directory" \
	"$FT" top --once --replay "$W/dir.conf"

# --- a cgroup, and a source that sees every socket ---
fails 64 "both are options" 'error: --cgroup takes source sockops, and --source asks' \
	"$FT" agent --cgroup "$W" --source tracepoint
fails 64 "both are options of check" '^--cgroup takes source sockops' \
	"$FT" check --cgroup "$W" --source tracepoint
echo 'source = "tracepoint";' >"$W/source.conf"
fails 78 "the source is configured" 'source.conf: --cgroup takes source sockops, and source asks' \
	"$FT" agent -c "$W/source.conf" --cgroup "$W"
echo "cgroup = \"$W\";" >"$W/cgroup.conf"
fails 78 "the cgroup is configured" 'cgroup.conf: cgroup takes source sockops, and --source asks' \
	"$FT" top --once -c "$W/cgroup.conf" --source tracepoint
cat "$W/source.conf" "$W/cgroup.conf" >"$W/both.conf"
fails 78 "both are configured" 'both.conf: cgroup takes source sockops, and source asks' \
	"$FT" record -c "$W/both.conf" "$W/recording"
holds "and no recording is begun" test ! -e "$W/recording"

# --- what is not there ---
fails 78 "no such network namespace" "error: cannot open network namespace $W/nons" \
	"$FT" agent -c "$conf" --netns "$W/nons" --textfile ''
fails 78 "check looks at it, too" "fail  namespaces: cannot open network namespace $W/nons" \
	"$FT" check -c "$conf" --netns "$W/nons"
fails 78 "no network namespace" "cannot open network namespace $conf: it is not a network namespace" \
	"$FT" agent -c "$conf" --netns "$conf" --textfile ''
fails 78 "check knows it, too" "fail  namespaces: .* $conf: it is not a network namespace" \
	"$FT" check -c "$conf" --netns "$conf"
mkdir /run/netns # this /run is ours, see alone
touch /run/netns/gone
fails 0 "a name that is left of one which is gone" 'counting 2 hops' \
	"$FT" agent -c "$conf" --textfile '' --for 500ms
equal "does not stop the scans" "$(grep -c 'cannot' "$W/out")" 0
rm -r /run/netns
fails 73 "textfile directory missing" "$W/nowhere" \
	"$FT" agent -c "$conf" --textfile "$W/nowhere/f.prom" --for 1s
mkfifo "$W/pipe" # /dev/null would be gone now, if this did not hold
fails 73 "a textfile that is no file" 'pipe: it is there, and no regular file' \
	"$FT" agent -c "$conf" --textfile "$W/pipe" --for 1s
fails 73 "check knows it, too" 'fail  textfile: .*pipe is there, and no regular file' \
	"$FT" check -c "$conf" --textfile "$W/pipe"
holds "and it is still there" test -p "$W/pipe"
echo "textfile = \"$W/nowhere/f.prom\";" >"$W/nowhere.conf"
fails 73 "and when it is configured" "$W/nowhere" "$FT" agent -c "$W/nowhere.conf" --for 1s
fails 73 "check knows that" "fail  textfile: cannot write to $W/nowhere" "$FT" check -c "$W/nowhere.conf"
fails 69 "show without agent" 'fantail agent' "$FT" show hops
fails 69 "no such cgroup" "$W/nocgroup" \
	"$FT" agent -c "$conf" --textfile "$PROM" --source sockops --cgroup "$W/nocgroup" --for 1s
holds "what failed left no pins" test ! -e "$PINS"

# --- privileges ---
cp "$FT" "$W/fantail"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
fails 77 "not root" 'CAP_BPF.*CAP_PERFMON' "${nobody[@]}" "$W/fantail" agent -c "$conf" --textfile "$W/f.prom"
fails 77 "top as not root" 'CAP_BPF' "${nobody[@]}" "$W/fantail" top --once
without_perfmon=(setpriv "--bounding-set=-perfmon,-sys_admin" --inh-caps=-all)
fails 77 "root without one capability" 'CAP_PERFMON' \
	"${without_perfmon[@]}" "$FT" agent -c "$conf" --source tracepoint --textfile "$PROM"
if unshare --user true 2>"$W/err"; then
	fails 77 "root in a user namespace" 'user namespace.*--privileged' \
		unshare --user --map-root-user "$FT" agent -c "$conf" --textfile "$PROM"
else # in a chroot, or forbidden
	echo "        root in a user namespace: not tried, there can be none here: $(cat "$W/err")"
fi

# --- the kernel ---
fails 69 "a kernel before 5.10" 'kernel 2.6.* older than 5.10' setarch --uname-2.6 "$FT" check -c "$conf"
setarch --uname-2.6 setpriv --bounding-set=-sys_resource --inh-caps=-all \
	bash -c 'ulimit -l 64 && exec "$@"' limited "$FT" check -c "$conf" >"$W/out" 2>&1
says "an old kernel and little memory that may be locked" "$W/out" 'fail  memlock: .* 64 KiB'
cat >"$W/over_sys" <<'TEXT'
#!/bin/sh
# over_sys DIRECTORY FILE TEXT COMMAND... - with DIRECTORY hidden behind one with this FILE
mount --make-rprivate / && mount -t tmpfs none "$1" && printf '%s\n' "$3" >"$1/$2" && shift 3 && exec "$@"
TEXT
chmod +x "$W/over_sys"
fails 0 "lockdown" 'lockdown=confidentiality: owners' \
	unshare --mount "$W/over_sys" /sys/kernel/security lockdown 'none integrity [confidentiality]' \
	"$FT" check -c "$conf"
fails 69 "no BTF, and tracepoint asked for" 'no /sys/kernel/btf/vmlinux' \
	unshare --mount "$W/over_sys" /sys/kernel/btf nothing '' \
	"$FT" agent -c "$conf" --source tracepoint --textfile "$PROM"

# --- no tracing programs: sockops counts instead, and says so ---
instead() { # WHAT COMMAND...
	local what=$1 pid port=$((65001 + $$ % 400))
	shift
	rm -f "$PROM"
	: >"$W/out"
	# sockops sees no namespaces: a port of our own, which no other run has, nor any client
	sed "s/20000-20003/$port/" "$conf" >"$W/instead.conf"
	start "$@" "$FT" agent -c "$W/instead.conf" --textfile "$PROM" >"$W/out" 2>&1
	pid=$PID
	until_true 15 test -s "$PROM" || bad "$what: it counts" "$(tail -n 2 "$W/out")"
	says "$what: it says what it does" "$W/out" 'cannot load the tracepoint.*by sockops instead'
	inside "$CONNGEN" -n 1000 -t 1 -p $port >/dev/null
	holds "$what: it counts what is made from then on" until_true 10 grep -q \
		'^fantail_flows_opened_total{hop="srv",side="accept"} 1000$' "$PROM"
	stop "$pid"
}
# an older kernel's verifier takes no sockops program without it either
"${without_perfmon[@]}" "$FT" check -c "$conf" >"$W/out" 2>&1
if grep -q 'those of source sockops load' "$W/out"; then
	instead "no CAP_PERFMON" "${without_perfmon[@]}"
else
	fails 77 "no CAP_PERFMON, and no sockops without" 'CAP_PERFMON.*add it' \
		"${without_perfmon[@]}" "$FT" agent -c "$conf" --textfile "$PROM"
fi
instead "no BTF" unshare --mount "$W/over_sys" /sys/kernel/btf nothing ''
"${nobody[@]}" "$W/fantail" check -c "$conf" >"$W/out" 2>&1
says "check names what is missing" "$W/out" 'CAP_BPF'

# --- a namespace that may not be entered ---
cat >"$W/scan.conf" <<TEXT
interval = "100ms";
scan = "100ms";
hops = ( { name = "srv"; accept = "20000"; } );
TEXT
start setpriv "--bounding-set=-all,+bpf,+perfmon,+net_admin" --inh-caps=-all \
	"$FT" agent -c "$W/scan.conf" --netns "$NS" --textfile "$PROM" >"$W/agent.log" 2>&1
AGENT=$PID
until_true 15 answers || die "the agent starts" "$(tail -n 3 "$W/agent.log")"
hold -n 5 -p 20000
settle
sleep 2 # twelve scans and more: the last of them has swept
equal "without CAP_SYS_ADMIN scans take nothing for gone that they cannot see" \
	"$(hops 'hop("srv").active')" 5
says "and it is said" "$W/agent.log" 'cannot enter other network namespaces'
no_loss
release
stop "$AGENT"
rm -f "$PROM"

# --- no bpffs: a private mount namespace without it ---
cat >"$W/without_bpffs" <<'TEXT'
#!/bin/sh
mount --make-rprivate / && while umount /sys/fs/bpf; do :; done 2>/dev/null && exec "$@"
TEXT
chmod +x "$W/without_bpffs"
start unshare --mount "$W/without_bpffs" "$FT" agent -c "$conf" --netns "$NS" \
	--textfile "$PROM" >"$W/out" 2>&1
unpinned=$PID
until_true 10 test -s "$PROM"
says "no bpffs: it says that it runs unpinned" "$W/out" 'cannot pin.*mount -t bpf'
inside "$CONNGEN" -n 1000 -p 20000 >/dev/null
counted() {
	grep -q '^fantail_flows_opened_total{hop="srv",side="accept"} 1000$' "$PROM"
}
holds "no bpffs: it counts all the same" until_true 10 counted
fails 69 "no bpffs: show does not take the agent for none" "agent .pid $unpinned. has no counters in" \
	"$FT" show hops
stop "$unpinned"

# --- /run cannot be written: nobody else has the lock ---
# shellcheck disable=SC2016 # the inner shell's $@
fails 73 "read-only /run" 'cannot lock /run/fantail/lock: Read-only file system\. ' \
	unshare --mount sh -c 'mount -t tmpfs -o ro none /run && exec "$@"' sh \
	"$FT" agent -c "$conf" --netns "$NS" --textfile "" --for 1s

# --- nobody listens to what it says ---
mkfifo "$W/said"
rm -f "$PROM"
# shellcheck disable=SC2016 # of the inner shell
start bash -c 'exec "$@" 2>"$0"' "$W/said" "$FT" agent -c "$conf" --netns "$NS" --textfile "$PROM"
AGENT=$PID
head -n 1 "$W/said" >/dev/null
until_true 15 answers || die "the agent starts"
kill -HUP "$AGENT" # which it answers with a line
sleep 0.5
holds "a reader of its messages that is gone does not end it" answers
stop "$AGENT"
# shellcheck disable=SC2016
start bash -c 'exec "$@" 2>&-' - "$FT" agent -c "$conf" --netns "$NS" --textfile "$PROM"
AGENT=$PID
until_true 15 answers || die "the agent starts"
equal "what it cannot say goes into no file" "$(cat /run/fantail/lock)" "$AGENT"
stop "$AGENT"
fails 73 "nowhere to print to" 'cannot write to standard output' \
	bash -c 'exec "$@" >&-' - "$FT" help

# --- few open files ---
start prlimit --nofile=64:4096 "$FT" agent -c "$conf" --netns "$NS" --textfile "$PROM" >>"$W/agent.log" 2>&1
AGENT=$PID
until_true 15 answers || die "the agent starts"
equal "it opens as many files as it may, not as few as it should" \
	"$(awk '/^Max open files/ { print $4, $5 }' "/proc/$AGENT/limits")" "4096 4096"
stop "$AGENT"

# --- a second agent ---
agent -c "$conf" --netns "$NS"
"$FT" agent -c "$conf" --netns "$NS" --textfile "$W/second.prom" --for 1s >"$W/out" 2>&1
holds "a second agent is refused" test $? -ne 0
says "and is told who runs" "$W/out" "$AGENT"
holds "the first one does not mind" show hops

# --- the flow table is full: counters stay exact, loss says how many have no entry ---
hold -n 2000 -t 4 -p 20000
settle
equal "table full: everything is counted" "$(hops '[.hops[] | .opened, .active] | @csv')" \
	2000,2000,2000,2000
listed=$(show flows | jq '.flows | length')
# 1024, and a quarter more (fantail.conf(5)). The kernel looks whether there is room, and counts the
# new entry afterwards (alloc_htab_elem() in kernel/bpf/hashtab.c; the bucket's lock keeps interrupts
# out, so one is under way per CPU): the last place may be given away once on each.
holds "table full: it holds what it can ($listed)" \
	test "$listed" -ge 1280 -a "$listed" -lt $((1280 + $(nproc --all)))
equal "table full: loss says how many flows have no entry" "$(show loss | jq .loss.table_full)" \
	$((4000 - listed))
equal "table full: entries" "$(show loss | jq .table.entries)" "$listed"
release
settle_closed
equal "table full: after the end nothing is active" "$(hops '[.hops[].active] | @csv')" 0,0
equal "table full: and nothing is in the table" "$(show loss | jq .table.entries)" 0

# --- pins of another version ---
{ kill -KILL "$AGENT" && wait "$AGENT"; } 2>/dev/null
meta=
for pin in "$PINS"/*; do
	[ "$(bpftool -j map show pinned "$pin" 2>/dev/null | jq -r .name)" = ft_meta ] && meta=$pin
done
[ -n "$meta" ] || die "find the pinned map ft_meta" "$(ls "$PINS")"
read -ra value < <(bpftool -j map lookup pinned "$meta" key 0 0 0 0 | jq -r '.value | join(" ")')
bpftool map update pinned "$meta" key 0 0 0 0 value 0xee "${value[@]:1}" || die "change the ABI number"
fails 69 "show refuses counters of another version" 'ABI|version' "$FT" show hops
: >"$W/agent.log"
agent -c "$conf" --netns "$NS"
says "pins of another version are replaced, and it says so" "$W/agent.log" 'replac'
equal "the new counters begin at 0" "$(hops '[.hops[].opened] | @csv')" 0,0
stop "$AGENT"

# something foreign in the way
mkdir "$PINS" && bpftool map create "$PINS/foreign" type array key 4 value 4 entries 1 name foreign
: >"$W/agent.log"
agent -c "$conf" --netns "$NS"
ok "something foreign in the pin directory does not stop it"
stop "$AGENT"

# --- pins where others may write: bpffs is everybody's, if it is mounted as it comes ---
mkdir -p "$PINS" && rm -f "$PINS/foreign" && chown 65534 "$PINS"
fails 0 "a pin directory of somebody else" "cannot pin .*remove it" \
	"$FT" agent -c "$conf" --netns "$NS" --textfile '' --for 500ms
equal "nothing is pinned in it" "$(ls -A "$PINS")" ''
bpftool map create "$PINS/meta" type array key 4 value 4 entries 1 name theirs
fails 69 "what is pinned there is nobody's to look at" 'no agent is running' "$FT" show hops
rm -r "$PINS"
mkdir "$W/empty"
fails 0 "a pin directory outside bpffs" "cannot pin .*mount -t bpf" \
	"$FT" agent -c "$conf" --netns "$NS" --textfile '' --for 500ms --pins "$W/empty"
holds "stays where it was" test -d "$W/empty"
