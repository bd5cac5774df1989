# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Debian packages of any suite and architecture, unpacked into a directory: nothing of them is
# installed, and the system's own apt lists and status stay as they are. Sourced by scripts/sysroot
# and scripts/vmtest. Packages are verified as always: signatures, then checksums.

VM_CACHE=${FANTAIL_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fantail/vm}

# Where this system gets Debian from, if it does. $1: Debian or Debian-Security
apt_mirror() {
	local site
	# shellcheck disable=SC2016 # $(…) is apt's
	site=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk -v label="$1" '$1 == label { print $2; exit }')
	case $1 in
	Debian) echo "${site:-http://deb.debian.org/debian/}" ;;
	*) echo "${site:-http://deb.debian.org/debian-security/}" ;;
	esac
}

# retry COMMAND... - up to three times: a mirror may be out of reach for a moment, or change meanwhile
retry() {
	"$@" && return
	for _ in 1 2; do
		sleep 15
		"$@" && return
	done
	return 1
}

# bootstrap SUITE DIR LOG OPTION... - a new Debian, from nothing
bootstrap() {
	local suite=$1 dir=$2 log=$3
	shift 3
	rm -rf --one-file-system "$dir"
	debootstrap --variant=minbase "$@" "$suite" "$dir" "$(apt_mirror Debian)" >"$log" 2>&1
}

# apt_open SUITE ARCH - from here on apt commands (in this shell) see that suite alone
apt_open() {
	local suite=$1 arch=$2 dir=$VM_CACHE/apt/$1-$2 key=/usr/share/keyrings/debian-archive-keyring.gpg
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" || return
	: >"$dir/status"
	{
		echo "deb [signed-by=$key] $(apt_mirror Debian) $suite main"
		[ "$suite" = sid ] ||
			echo "deb [signed-by=$key] $(apt_mirror Debian-Security) $suite-security main"
	} >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-TEXT
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::State::extended_states "$dir/extended_states";
		Dir::Cache "$dir/cache";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		Acquire::Retries "3";
		Acquire::Languages "none";
	TEXT
	export APT_CONFIG=$dir/apt.conf
	apt_log=$dir/log
	# an old list is enough to try: what it names is either there or a 404
	retry apt-get -q update >"$apt_log" 2>&1 ||
		echo "apt: warning: the lists of $suite could not be updated ($apt_log)" >&2
}

# apt_download PACKAGE... - into the current directory; fails if any of them is not to be had
apt_download() {
	apt-get -q download "$@" >>"$apt_log" 2>&1
}

# apt_tree SUITE ARCH DIR PACKAGE... - PACKAGEs and all that they depend on, unpacked in DIR.
# DIR appears whole or not at all; it is made again when the request changes.
apt_tree() (
	local suite=$1 arch=$2 dir=$3 new=$3.new.$BASHPID deb
	shift 3
	[ "$(cat "$dir/.request" 2>/dev/null)" != "$suite $arch $*" ] || return 0
	apt_open "$suite" "$arch" || return
	rm -rf "$new" && mkdir -p "$new" || return
	apt-get -q clean
	if ! retry apt-get -q -y --download-only install "$@" </dev/null >>"$apt_log" 2>&1; then
		tail -n 5 "$apt_log" >&2
		echo "apt: cannot get these of $suite/$arch: $*" >&2
		return 1
	fi
	for deb in "$(dirname "$APT_CONFIG")"/cache/archives/*.deb; do
		dpkg -x "$deb" "$new" || return
	done
	echo "$suite $arch $*" >"$new/.request"
	apt-get -q clean
	rm -rf "$dir"
	mv "$new" "$dir"
)
