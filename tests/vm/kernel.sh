# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Debian's kernels by the names that people use for them. Sourced by scripts/vmtest, after apt.sh.

# suite of each line of kernels, and what its cloud packages are called before the architecture
declare -A kernel_suite=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie [current]=sid)
declare -A kernel_package=(
	[5.10]='linux-image-5\.10\.0-[0-9]+-cloud'
	[6.1]='linux-image-6\.1\.0-[0-9]+-cloud'
	[6.12]='linux-image-6\.12\.[0-9]+\+deb13-cloud'
	[current]='linux-image-[0-9.]+\+deb[0-9]+-cloud'
)
KERNEL_TRIES=30 # point releases that are listed and yet cannot be had, before giving up

# kernel_parse NAME - sets $line (5.10), $arch (amd64); fails for a name that is none
kernel_parse() {
	line=${1%-arm64} arch=amd64
	[ "$line" = "$1" ] || arch=arm64
	[ -n "${kernel_suite[$line]:-}" ]
}

# Unpack what makes up one kernel here. From 6.19 on the image is an empty package that depends
# on the kernel (linux-binary-) and its modules (linux-modules-, their lists in linux-base-).
kernel_unpack() { # IMAGE-PACKAGE
	local deb release parts=("$1")
	if apt-cache pkgnames linux-binary- | grep -qxF "linux-binary-${1#linux-image-}"; then
		parts=(linux-{base,binary,modules}-"${1#linux-image-}")
	fi
	rm -rf ./*
	apt_download "${parts[@]}" || return
	for deb in *.deb; do
		dpkg -x "$deb" tree || return
	done
	set -- tree/boot/vmlinuz-* tree/usr/lib/modules/*/vmlinuz
	[ -e "$1" ] || shift
	cp "$1" vmlinuz || return
	set -- tree/lib/modules/* tree/usr/lib/modules/*
	[ -d "$1/kernel" ] || shift
	release=${1##*/}
	mkdir -p lib/modules && mv "$1" lib/modules/ && rm -rf tree ./*.deb && depmod -b . "$release" &&
		echo "$release" >release
}

# kernel_get NAME - the directory with vmlinuz, lib/modules/ and release, on stdout. Cached; with
# $VM_UPDATE the newest point release is looked for again.
kernel_get() (
	local line arch dir new package tried=0
	kernel_parse "$1" || return
	dir=$VM_CACHE/kernel/$1 new=$VM_CACHE/kernel/$1.new.$BASHPID
	if [ -e "$dir/release" ] && [ -z "${VM_UPDATE:-}" ]; then
		echo "$dir"
		return
	fi
	apt_open "${kernel_suite[$line]}" "$arch" || return
	rm -rf "$new" && mkdir -p "$new" && cd "$new" || return
	while read -r package; do
		if kernel_unpack "$package"; then
			rm -rf "$dir" && mv "$new" "$dir" && echo "$dir"
			return
		fi
		echo "vmtest: $1: $package is listed and cannot be had; trying an older one" >&2
		tried=$((tried + 1))
		[ $tried -lt $KERNEL_TRIES ] || break
	done < <(apt-cache pkgnames linux-image- | grep -xE "${kernel_package[$line]}-$arch" | sort -rV)
	rm -rf "$new"
	echo "vmtest: $1: no kernel of ${kernel_suite[$line]}/$arch can be had (${apt_log:-})" >&2
	return 1
)
