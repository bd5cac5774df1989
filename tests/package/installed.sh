#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# In a clean Debian root: the package is installed, upgraded in the middle of a storm of connections,
# and removed. /test holds old.deb, new.deb, conngen and systemctl. The last line says
# "COUNTS passed failed".
set -u
unit=/lib/systemd/system/fantail.service
pins=/sys/fs/bpf/fantail
prom=/var/lib/prometheus/node-exporter/fantail.prom
passed=0 failed=0
trap 'echo "COUNTS $passed $failed"' EXIT
trap 'exit 1' HUP INT TERM

check() { # SENTENCE COMMAND...
	local sentence=$1
	shift
	if "$@" >/test/out 2>&1; then
		passed=$((passed + 1))
		echo "ok      $sentence"
	else
		failed=$((failed + 1))
		echo "FAILED  $sentence: $(tail -n 3 /test/out | tr '\n' ' ')"
	fi
}

die() {
	failed=$((failed + 1))
	echo "FAILED  $1"
	tail -n 15 /test/apt.log /test/agent.log
	exit 1
}

equal() { # SENTENCE GOT WANTED
	check "$1 ($2)" test "$2" = "$3"
}

no() {
	! "$@"
}

apt() {
	# its own PATH has no /usr/local, where our systemctl is
	apt-get -q -y --no-install-recommends -o DPkg::Path="$PATH" "$@" >>/test/apt.log 2>&1
}

metric() {
	awk -v name="$1" 'index($1, name) == 1 { print $2 }' $prom
}

until_true() { # SECONDS COMMAND...
	local tries=$((${1} * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

main_pid() {
	systemctl show | cut -d= -f2
}

# what an installation could leave: all files but apt's and dpkg's own records
files() {
	find / -xdev \( -path /test -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
		-o -path /var/log -o -path /tmp \) -prune -o -print | sort
}

made() { # by all rounds
	awk -F '[:,]' '{ n += $2 } END { print n + 0 }' /test/conngen.out
}

# --- a root with an exporter's directory and a service manager ---
install -m 755 /test/systemctl /usr/local/bin/systemctl
mkdir -p /run/systemd/system "$(dirname $prom)"
files >/test/before
(cd /proc/sys/net && echo 1024 65000 >ipv4/ip_local_port_range &&
	echo 20000-20010 >ipv4/ip_local_reserved_ports && echo 4096 >core/somaxconn) ||
	die "set the namespace up"
old=$(dpkg-deb -f /test/old.deb Version) new=$(dpkg-deb -f /test/new.deb Version)

# --- installation ---
apt install /test/old.deb || die "apt installs it, with what it depends on"
equal "installed: the program tells the package's version" "$(fantail --version)" "fantail $old"
check "fantail check finds nothing wrong" fantail check
check "and nothing wrong with the example" \
	fantail check -c /usr/share/doc/fantail/examples/fantail.conf
check "the service is enabled" systemctl is-enabled
check "and it runs without a configuration" systemctl is-active
check "it writes metrics where node_exporter of Debian reads them" until_true 20 test -s $prom
for page in man8/fantail.8 man8/fantail-show.8 man5/fantail.conf.5; do
	check "there is the manual page $page" gzip -t /usr/share/man/$page.gz
done
# shellcheck disable=SC2016 # the inner shell's
check "the completion loads in bash" bash -c '
	source /usr/share/bash-completion/completions/fantail && complete -p fantail'
for file in zsh/vendor-completions/_fantail fish/vendor_completions.d/fantail.fish \
	fantail/prometheus/fantail.rules.yml fantail/grafana/fantail.json; do
	check "there is $file" test -s /usr/share/$file
done
equal "the unit starts the installed program" "$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' $unit)" \
	/usr/sbin/fantail

# --- upgrade, in the middle of a storm ---
cat >/etc/fantail/fantail.conf <<TEXT
interval = "100ms";
netns = "own";
hops = (
  { name = "srv"; accept = "20000-20001"; },
  { name = "cli"; connect = ":20000-20001"; }
);
TEXT
systemctl restart || die "the service takes up a configuration"
until_true 20 grep -q 'fantail_flows_opened_total{hop="srv"' $prom
first=$(main_pid) born=$(metric fantail_start_time_seconds)
opened() {
	metric 'fantail_flows_opened_total{hop="srv"'
}
at_least() {
	[ "$(opened)" -ge "$1" ]
}
storm() { # as long as the upgrade takes, and a round more
	local round=0
	while [ $round -eq 0 ] || [ ! -e /test/enough ]; do
		round=$((round + 1))
		/test/conngen -n 100000 -t 2 -p 20000 -m mixed || return
	done
}
storm >/test/conngen.out 2>&1 &
storm=$!
until_true 20 at_least 10000 || die "the storm begins: $(opened) opened"
before=$(opened)
apt install /test/new.deb || die "apt upgrades it"
after=$(opened)
check "upgraded in the middle of a storm (from $before to $after connections)" \
	test "$after" -gt "$before"
touch /test/enough
equal "another version is installed" "$(fantail --version)" "fantail $new"
check "another agent runs" test "$(main_pid)" -ne "$first" -a "$(main_pid)" -ne 0
check "it is the new program" test "/proc/$(main_pid)/exe" -ef /usr/sbin/fantail
check "the old one was not stopped, but asked to leave its counters" \
	grep -q '^kill --signal=USR1' /test/systemctl.log
wait $storm || die "conngen made what it should: $(cat /test/conngen.out)"
all=$(made)
settled() {
	[ "$(fantail show hops --json | grep -o '"active": *[0-9]*' | sort -u | grep -o '[0-9]*$')" = 0 ]
}
until_true 20 settled
all_there() { # the file follows what is counted
	[ "$(opened)" = "$all" ] && [ "$(metric 'fantail_flows_opened_total{hop="cli"')" = "$all" ]
}
until_true 10 all_there
equal "accepted: opened = made" "$(opened)" "$all"
equal "connected: opened = made" "$(metric 'fantail_flows_opened_total{hop="cli"')" "$all"
equal "the counters are the ones from before: their start" "$(metric fantail_start_time_seconds)" "$born"
check "nothing was lost" no grep -E '^fantail_loss_total.*(table_full|busy|nomem|unmatched)[^ ]* [1-9]' $prom

# --- where the administrator forbids restarts, there is none ---
first=$(main_pid)
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
apt install --reinstall /test/new.deb || die "apt installs it again"
equal "policy-rc.d says no: the agent stays" "$(main_pid)" "$first"
rm /usr/sbin/policy-rc.d

# --- removal, after an agent that could not clean up ---
check "something is pinned" test -e $pins
kill -KILL "$first"
until_true 20 no systemctl is-active
apt remove fantail || die "apt removes it"
check "removed: nothing is pinned" test ! -e $pins
check "the metrics are gone" test ! -e $prom
check "and the program" test ! -e /usr/sbin/fantail
check "the configuration stays" test -s /etc/fantail/fantail.conf

# --- and with one that runs ---
apt install /test/new.deb || die "apt installs it again"
first=$(main_pid)
check "it runs again" test "$first" -ne 0 -a -e $pins
apt --auto-remove purge fantail || die "apt purges it"
check "purged: the agent is stopped" no kill -0 "$first"
check "nothing is pinned" test ! -e $pins
files >/test/after
check "no file is left, nor missing" diff /test/before /test/after
check "nothing is left in /run" no ls -d /run/fantail
