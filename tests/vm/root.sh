# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# A guest's root: the programs that the tests call with the libraries that they need, the tests
# themselves, and /init. For this machine's architecture they are this machine's own files,
# because what was built here needs its libraries; for another one they come from Debian's
# packages. Sourced by scripts/vmtest, in the top directory, after apt.sh.

# package: program... A program that is not there is an error, never a test that is left out.
guest_programs="bash: bash; busybox-static: busybox; coreutils: basename cat chmod comm cp cut date
	dirname head id ln ls mkdir mkfifo mktemp mv nproc readlink rm rmdir seq sleep sort stat stty
	tail timeout touch tr true uname uniq wc; util-linux: nsenter setarch setpriv unshare;
	mount: mount umount; grep: grep; sed: sed; mawk: awk; findutils: find; diffutils: cmp diff;
	procps: pgrep ps sysctl; iproute2: ip nstat ss; nftables: nft; jq: jq; nginx-light: nginx; wrk: wrk;
	apache2-utils: ab; curl: curl; bpftool: bpftool; tmux: tmux; kmod: modprobe;
	prometheus: promtool; prometheus-node-exporter: prometheus-node-exporter"

# Modules that the programs above make the kernel ask for; what is built in is no error.
guest_modules="inet_diag tcp_diag unix_diag af_packet veth dummy tun nf_tables nft_reject_ipv6 crc32c_generic"

host_arch=$(dpkg --print-architecture)
declare -A triplets=([amd64]=x86_64-linux-gnu [arm64]=aarch64-linux-gnu)
declare -A loaders=([amd64]=lib64/ld-linux-x86-64.so.2 [arm64]=lib/ld-linux-aarch64.so.1)

each_program() { # prints "package program" lines
	tr '\n\t' '  ' <<<"$guest_programs" | tr ';' '\n' |
		awk '{ sub(":", "", $1); for (i = 2; i <= NF; i++) print $1, $i }'
}

# root_from ARCH - where the programs of ARCH are: "" is this machine
root_from() {
	[ "$1" = "$host_arch" ] && return
	# shellcheck disable=SC2046 # a list; criterion: the library of the tests
	apt_tree bookworm "$1" "$VM_CACHE/guest-$1" libcriterion3 libbpf1 libconfig9 libjansson4 \
		libc-bin ncurses-base $(each_program | cut -d' ' -f1 | uniq) >&2 || return
	echo "$VM_CACHE/guest-$1"
}

# A link in an unpacked tree may be absolute: it means a file of the tree, not of this machine.
resolve() { # FROM PATH
	local path=$2 target
	while [ -n "$1" ] && [ -L "$path" ]; do
		target=$(readlink "$path")
		case $target in
		/*) path=$1$target ;;
		*) path=${path%/*}/$target ;;
		esac
	done
	[ -e "$path" ] && echo "$path"
}

find_program() { # FROM NAME
	local dir name
	# what an alternative points to; the link is made when a package is installed
	for name in "$2" "${2/#awk/mawk}"; do
		for dir in usr/bin usr/sbin bin sbin; do
			resolve "$1" "$1/$dir/$name" && return
		done
	done
	echo "vmtest: the guest's root: there is no $2 in ${1:-this machine}" >&2
	return 1
}

# libraries ROOT FROM TRIPLET - add what the files in ROOT need, until nothing is missing
libraries() {
	local lib dir found to=$1/usr/lib/$3 again=1
	mkdir -p "$to"
	while [ -n "$again" ]; do
		again=
		while read -r lib; do
			[ ! -e "$to/$lib" ] || continue
			for dir in usr/lib/"$3" lib/"$3" lib lib64; do
				found=$(resolve "$2" "$2/$dir/$lib") && break
			done
			[ -n "$found" ] || { echo "vmtest: no $lib in ${2:-this machine}" >&2 && return 1; }
			cp -L "$found" "$to/$lib" && again=1 || return
		done < <(readelf -d "$1"/usr/bin/* "$to"/* "$1"/fantail/build/{fantail,*/*} 2>/dev/null |
			sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | sort -u)
	done
}

# root_make ARCH BUILD ROOT CPIO - the tree in ROOT, then packed
root_make() {
	local arch=$1 build=$2 root=$3 cpio=$4 from name file loader=${loaders[$1]}
	from=$(root_from "$arch") || return
	rm -rf "$root"
	mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc,var/log/nginx,var/lib/nginx} \
		"$root"/usr/{bin,lib/locale,lib64,share} "$root"/fantail/build || return
	ln -s usr/bin usr/lib usr/lib64 "$root" && ln -s usr/bin "$root/sbin" &&
		ln -s bin "$root/usr/sbin" || return
	while read -r _ name; do
		file=$(find_program "$from" "$name") && cp -L "$file" "$root/usr/bin/$name" || return
	done < <(each_program)
	# an alternative that has another name in the package
	ln -s bash "$root/usr/bin/sh"
	tar -c -C "$build" fantail bpftest/tests lib/conngen lib/queue | tar -x -C "$root/fantail/build" || return
	tar -c scripts/check-unit scripts/tally tests/e2e tests/vm |
		tar -x -C "$root/fantail" || return
	libraries "$root" "$from" "${triplets[$arch]}" || return
	cp -L "$(resolve "$from" "$from/$loader")" "$root/usr/$loader" || return
	cp -r "$from/lib/terminfo" "$root/usr/lib/" || return
	cp -r "$from/usr/lib/locale/C.utf8" "$root/usr/lib/locale/" || return
	printf 'root:x:0:0::/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	cp tests/vm/init "$root/init" || return
	pack "$root" "$cpio"
}

# modules_make KERNEL-DIR ROOT CPIO - the modules with those that they need
modules_make() {
	local kernel=$1 root=$2 cpio=$3 release name dep from to
	release=$(cat "$kernel/release")
	from=$kernel/lib/modules/$release to=$root/lib/modules/$release
	rm -rf "$root"
	mkdir -p "$to" && cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/" || return
	for name in $guest_modules; do
		while read -r dep; do
			mkdir -p "$to/$(dirname "$dep")" && cp "$from/$dep" "$to/$dep" || return
			case $dep in *.xz) xz -d -f "$to/$dep" || return ;; esac
		done < <(grep -E "/$name\.ko(\.xz)?:" "$from/modules.dep" | tr -d : | xargs -r -n 1)
	done
	# in the guest /lib is a link to usr/lib
	depmod -b "$root" "$release" && mkdir "$root/usr" && mv "$root/lib" "$root/usr/" &&
		pack "$root" "$cpio"
}

pack() { # DIR CPIO
	(cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null) >"$2"
}
