# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Pairs against the truth: `make -f Makefile -f tests/pair/pair.mk test-pair`, or included by
# tests.mk. Needs root, and what `run` finds of nginx, haproxy, apache2, node, go and liburing.

PAIR_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(WARN)
GO ?= go
PAIR_TOOLS := $(O)/lib/pairwatch $(O)/lib/pool $(O)/lib/uring $(O)/lib/load $(O)/lib/goproxy

$(O)/lib/pairwatch $(O)/lib/pairswap: $(O)/lib/%: tests/pair/%.c tests/pair/one_fork.c tests/pair/one_fork.h \
		$(filter-out $(O)/user/main.o,$(USER_OBJS)) | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIBS) -lm
$(O)/lib/pairswap: $(O)/floor.skel.h

$(O)/lib/pool: tests/pair/pool.c | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) $(PAIR_CFLAGS) -o $@ $< -pthread

$(O)/lib/uring: tests/pair/uring.c | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) $(PAIR_CFLAGS) -o $@ $< -luring

$(O)/lib/pairbench: tests/pair/pairbench.c | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) $(PAIR_CFLAGS) -o $@ $< -lbpf

$(O)/lib/load $(O)/lib/goproxy: $(O)/lib/%: tests/pair/%.go | $(O)/lib
	$(say) GO $@
	$(Q)GO111MODULE=off GOCACHE=$(abspath $(O))/gocache $(GO) build -o $@ $<

.PHONY: test-pair bench-pair
test-pair: $(PAIR_TOOLS)
	$(Q)tests/pair/run $(O)
bench-pair: $(O)/lib/pairwatch $(O)/lib/pairswap $(O)/lib/pairbench $(O)/lib/bench
	$(Q)tests/pair/bench $(O)
