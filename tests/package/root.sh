# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Clean Debian roots, made once by debootstrap and kept, with the packages that fantail's package
# asks for downloaded but not installed: the tests themselves need no network. Sourced by
# scripts/packagetest, after tests/vm/apt.sh.

ROOT_CACHE=${FANTAIL_ROOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fantail/roots}

# root_get SUITE PACKAGE... - the directory, on stdout
root_get() (
	local suite=$1 dir=$ROOT_CACHE/$1 new=$ROOT_CACHE/$1.new.$BASHPID log=$ROOT_CACHE/$1.log
	shift
	if [ "$(cat "$dir/.request" 2>/dev/null)" = "$*" ] && [ -z "${ROOT_UPDATE:-}" ]; then
		echo "$dir"
		return
	fi
	mkdir -p "$ROOT_CACHE" || return
	trap 'rm -rf --one-file-system "$new"' EXIT
	if ! retry bootstrap "$suite" "$new" "$log" ||
		! retry chroot "$new" apt-get -q -y --no-install-recommends --download-only install "$@" \
			</dev/null >>"$log" 2>&1; then
		tail -n 5 "$log" >&2
		echo "packagetest: no root of $suite can be made ($log)" >&2
		return 1
	fi
	echo "$*" >"$new/.request"
	rm -rf --one-file-system "$dir"
	mv "$new" "$dir" && echo "$dir"
)

# root_run ROOT COMMAND... - in there, with namespaces of its own: what it starts ends with it, its
# connections and its pins are nobody else's
root_run() {
	local root=$1
	shift
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount --propagation private --net --ipc --pid --fork --kill-child bash -c '
		root=$1 && shift
		mount -t proc proc "$root/proc" && mount -t sysfs sysfs "$root/sys" &&
			mount -t bpf bpf "$root/sys/fs/bpf" && mount -t tmpfs tmpfs "$root/run" &&
			ip link set lo up || exit 70
		exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
	' bash "$root" "$@" </dev/null
}
