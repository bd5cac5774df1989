# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# The static binary on another kernel, with no library and no other program of fantail's. Sourced by
# scripts/packagetest, after tests/vm/apt.sh and tests/vm/kernel.sh.

# shellcheck disable=SC2034 # used there
static_kernels="5.10 6.1 6.12"

static_root() { # BINARY DIR
	local binary=$1 dir=$2
	mkdir -p "$dir"/{bin,dev,proc,sys,run,tmp,usr/share/terminfo/x} || return
	cp "$(command -v busybox)" "$binary" "$dir/bin/" && mv "$dir/bin/${binary##*/}" "$dir/bin/fantail" &&
		cp tests/package/guest "$dir/init" || return
	cp "$(find /lib/terminfo /usr/share/terminfo -path '*/x/xterm' | head -n 1)" \
		"$dir/usr/share/terminfo/x/" || return
	cat >"$dir/fantail.conf" <<-TEXT
		interval = "500ms";
		hops = ( { name = "in"; accept = "8080"; }, { name = "out"; connect = "8080"; } );
	TEXT
	(cd "$dir" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$dir.cpio.gz"
}

# static_guest KERNEL INITRD LOG
static_guest() {
	local dir
	dir=$(kernel_get "$1") || return
	# not KVM, as in scripts/vmtest
	timeout --kill-after=10 600 qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp 1 \
		-m 512 -display none -nodefaults -no-reboot -serial "file:$3.serial" -monitor none \
		-kernel "$dir/vmlinuz" -initrd "$2" -append "console=ttyS0 panic=-1 quiet" \
		</dev/null >"$3.qemu" 2>&1
	cat "$3.qemu" "$3.serial" 2>/dev/null | tr -d '\r' >"$3"
}

# static_judge KERNEL LOG - in the view there are a cursor address and the hops' names
static_judge() {
	local name="static binary, kernel $1" bad
	bad=$(grep -c '^STATIC FAILED' "$2")
	check "$name: all went well that the guest tried" test "$bad" -eq 0
	check "$name: and it tried all of it" \
		test "$(grep -c '^STATIC ok' "$2")" -eq 5 -a "$(grep -c '^STATIC end' "$2")" -eq 1
	check "$name: the live view moves the cursor as xterm wants it" \
		grep -qP '\x1b\[[0-9]+;[0-9]+H' <(sed -n '/^VIEW-BEGINS/,$p' "$2")
	if [ "$bad" -gt 0 ] || ! grep -q '^STATIC end' "$2"; then
		tail -n 30 "$2" | sed 's/^/        guest: /'
	fi
}
