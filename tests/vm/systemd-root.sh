# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# A Debian with systemd as process 1, as an ext4 image: made once by debootstrap, kept, and never
# written to. Sourced by scripts/systemdtest, after tests/vm/apt.sh.

ROOT_CACHE=${FANTAIL_ROOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fantail/roots}
SYSTEMD_MIB=640 # of the image: what it takes, and room for the package and the journal

# systemd_packages SUITE - what the guest has besides the essential ones: servers, what the tests
# call, and the libraries of the package
systemd_packages() {
	local soname=9
	[ "$1" = bookworm ] || soname=11
	echo systemd-sysv dbus prometheus-node-exporter nginx-light jq curl procps iproute2 bpftool kmod \
		libbpf1 libelf1 zlib1g "libconfig$soname" libjansson4 libncursesw6
}

# What a machine for one test does without, and settings by which nothing waits or asks.
systemd_settle() { # ROOT
	local root=$1 unit
	for unit in apt-daily{,-upgrade}.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
		fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service \
		systemd-update-utmp.service systemd-random-seed.service systemd-firstboot.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit" || return
	done
	mkdir -p "$root"/etc/systemd/journald.conf.d "$root/fantail" &&
		printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' \
			>"$root/etc/systemd/journald.conf.d/test.conf" &&
		echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id" &&
		echo guest >"$root/etc/hostname" &&
		echo '127.0.0.1 localhost guest' >"$root/etc/hosts" && : >"$root/etc/fstab" &&
		echo 'ARGS="--web.listen-address=127.0.0.1:9100 --collector.disable-defaults --collector.textfile"' \
			>"$root/etc/default/prometheus-node-exporter" &&
		rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}/*
}

# systemd_image SUITE - the image's path, on stdout
systemd_image() (
	local suite=$1 image=$ROOT_CACHE/systemd-$1.img log=$ROOT_CACHE/systemd-$1.log packages want new
	packages=$(systemd_packages "$suite")
	# the request has this file in it: who changes the settings gets a new image
	want="$packages $(cksum <tests/vm/systemd-root.sh)"
	if [ "$(cat "$image.request" 2>/dev/null)" = "$want" ] && [ -z "${ROOT_UPDATE:-}" ]; then
		echo "$image"
		return
	fi
	mkdir -p "$ROOT_CACHE" || return
	new=$(mktemp -d "$ROOT_CACHE/systemd-$suite.XXXXXX") || return
	trap 'rm -rf --one-file-system "$new" "$new.img"' EXIT
	echo "systemdtest: making a Debian with systemd (once; about two minutes)" >&2
	if ! retry bootstrap "$suite" "$new" "$log" --include="${packages// /,}"; then
		tail -n 5 "$log" >&2
		echo "systemdtest: no root of $suite can be made ($log)" >&2
		return 1
	fi
	chmod 755 "$new" && systemd_settle "$new" || return
	mke2fs -q -F -t ext4 -O ^has_journal -d "$new" "$new.img" "${SYSTEMD_MIB}M" >>"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		return 1
	}
	mv "$new.img" "$image" && echo "$want" >"$image.request" && echo "$image"
)
