# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# fantail: `make` builds build/fantail; see `make help`. Objects live in build/ only.
# V=1 shows the commands. Reproducible: no path, date or build host ends up in the output.

# make ARCH=arm64: for another machine, with clang, lld and Debian's packages for it. Only from the
# command line: who builds kernels has an ARCH in the environment.
ifeq ($(origin ARCH),command line)
  TRIPLET := $(patsubst $(ARCH):%,%,$(filter $(ARCH):%,arm64:aarch64-linux-gnu amd64:x86_64-linux-gnu))
  SYSROOT := $(or $(SYSROOT),$(shell scripts/sysroot $(ARCH)),$(error no sysroot for ARCH=$(ARCH)))
  O ?= build/$(ARCH)
  CC := clang --target=$(TRIPLET) --sysroot=$(SYSROOT) -fuse-ld=lld -Wno-unused-command-line-argument
  PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
	PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig pkg-config
endif
O ?= build
VERSION := 0.1.0
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s %s\n'
endif

# clang -target bpf forgets the multiarch directory, where asm/types.h is; this machine's, so that
# the object is the same for every ARCH
MULTIARCH := $(shell $(CLANG) -print-multiarch 2>/dev/null)
REPRO := -ffile-prefix-map=$(CURDIR)=. $(SYSROOT:%=-ffile-prefix-map=%=)
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-missing-field-initializers
CFLAGS ?= -O2 -g
INCLUDES := -Iinclude -Iuser -I$(O)
PKGS_PURE := libconfig jansson
PKGS := libbpf $(PKGS_PURE) ncursesw
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) $(REPRO) $(INCLUDES) -DFT_VERSION='"$(VERSION)"' \
	-D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags $(PKGS))
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror \
	-fdebug-compilation-dir=. $(REPRO) -Iinclude -Ivmlinux -Ibpf -I/usr/include/$(MULTIARCH)
LIBS_PURE = $(shell $(PKG_CONFIG) --libs $(PKGS_PURE)) -lm
LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lelf -lz -lm

# PURE: no libbpf, no clock, no tty, no log, no exit; linked into unit tests without -lbpf.
# SHELL: everything that touches the world. The two lists are documentation.
MODULES := $(basename $(notdir $(wildcard user/*.c)))
PURE := $(filter buf distance tcp addr config config_% discover snapshot snapshot_% scanned model report \
	metric metric_% pair pair_% view_%,$(MODULES))
SHELL_OBJS := $(filter-out $(PURE),$(MODULES))
DOORS := tracepoint sockops sockops_nobtf

PURE_OBJS := $(PURE:%=$(O)/user/%.o)
USER_OBJS := $(PURE_OBJS) $(SHELL_OBJS:%=$(O)/user/%.o)
SKELS := $(DOORS:%=$(O)/%.skel.h) $(O)/pair.skel.h

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all clean help test test-root test-san lint fmt bench install golden vmtest soak
all: $(O)/fantail

help:
	@echo 'make            build $(O)/fantail'
	@echo 'make ARCH=arm64 the same for another machine, into build/arm64'
	@echo 'make test       unit tests, plain and under sanitizers; needs no root'
	@echo 'make test-root  BPF and end-to-end tests on this kernel; needs root'
	@echo 'make vmtest     the tests on kernels 5.10, 6.1, 6.12 and current, under QEMU'
	@echo 'make fuzz       libFuzzer targets, a minute each; make fuzz-seeds: over their corpora alone'
	@echo 'make lint       formatting, layers, static analysis, man pages'
	@echo 'make soak       an hour of churn (FT_SOAK_MINUTES): flat memory, exact counts; needs root'
	@echo 'make bench      cost and exactness against peers; needs root'
	@echo 'make golden     rewrite the golden files of the unit tests'
	@echo 'make install    into $$(DESTDIR)$$(PREFIX)'
	@echo 'make deb        Debian package, into $(DIST)'
	@echo 'make rpm        RPM for Amazon Linux 2023, into $(DIST)'
	@echo 'make static     one static binary, into $(DIST)'

# --- BPF: object (with header dependencies) -> stripped -> skeleton ---
$(O)/bpf/sockops_nobtf.o: bpf/sockops.bpf.c | $(O)/bpf
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -DFT_NO_BTF -MMD -MP -c $< -o $@

$(O)/bpf/%.o: bpf/%.bpf.c | $(O)/bpf
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.bpf.o: $(O)/bpf/%.o
	$(Q)$(BPFTOOL) gen object $@ $<

$(O)/%.skel.h: $(O)/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name ft_$* > $@

# --- user space ---
$(O)/user/%.o: user/%.c | $(O)/user
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# only the probe includes the skeletons
$(O)/user/probe_load.o $(O)/user/probe_pair.o: $(SKELS)

$(O)/fantail: $(USER_OBJS)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O) $(O)/bpf $(O)/user $(O)/unit $(O)/san $(O)/bpftest $(O)/lib:
	$(Q)mkdir -p $@

include tests/tests.mk

vmtest:
	$(Q)scripts/vmtest

include packaging/packaging.mk

clean:
	rm -rf $(O)

-include $(wildcard $(O)/*/*.d)
