# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Tests. unit: PURE modules and what needs no kernel; bpf: real programs on this kernel;
# e2e: the built binary against real servers. Included by the Makefile.

UNIT := $(basename $(notdir $(wildcard tests/unit/test_*.c)))
# shell modules that unit tests may use; they need no libbpf either
UNIT_SHELL := $(filter sink loop log options,$(SHELL_OBJS))
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g
TEST_CFLAGS = $(ALL_CFLAGS) -Itests/unit -Itests/lib -DFT_TESTS_DIR='"$(CURDIR)/tests"'
UNIT_SRCS = $(PURE:%=user/%.c) $(UNIT_SHELL:%=user/%.c)

# One binary; without -lbpf, which is what keeps PURE pure.
$(O)/unit/tests: $(UNIT:%=tests/unit/%.c) $(PURE_OBJS) $(UNIT_SHELL:%=$(O)/user/%.o) | $(O)/unit
	$(say) TEST $@
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $^ $(LIBS_PURE) -lcriterion

$(O)/san/tests: $(UNIT:%=tests/unit/%.c) $(UNIT_SRCS) $(wildcard user/*.h include/*.h) | $(O)/san
	$(say) SAN $@
	$(Q)$(CC) $(TEST_CFLAGS) $(SAN) -o $@ $(filter %.c,$^) $(LIBS_PURE) -lcriterion

test: $(O)/unit/tests $(O)/san/tests
	$(Q)scripts/check-unit $(O)/unit/tests
	$(Q)scripts/check-unit --sanitized $(O)/san/tests

golden: $(O)/unit/tests
	FT_GOLDEN=update $(O)/unit/tests

$(O)/lib/%: tests/lib/%.c | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -o $@ $< -pthread

BPFTEST := $(basename $(notdir $(wildcard tests/bpf/test_*.c)))
BPFTEST_OBJS := $(filter-out $(O)/user/main.o,$(USER_OBJS))

$(O)/bpftest/tests: $(BPFTEST:%=tests/bpf/%.c) $(wildcard tests/bpf/kit*.c) $(BPFTEST_OBJS) | $(O)/bpftest
	$(say) TEST $@
	$(Q)$(CC) $(TEST_CFLAGS) -Itests/bpf -o $@ $^ $(LIBS) -lcriterion -pthread

$(O)/bpf/floor.o: tests/lib/floor.bpf.c | $(O)/bpf
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/lib/bench: tests/lib/bench.c $(O)/floor.skel.h $(BPFTEST_OBJS) | $(O)/lib
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter-out %.h,$^) $(LIBS)

test-root: $(O)/fantail $(O)/bpftest/tests $(O)/lib/conngen $(O)/lib/queue
	$(Q)scripts/check-root $(O)

bench: $(O)/fantail $(O)/lib/bench $(O)/lib/conngen
	$(Q)scripts/bench $(O)

# an hour of churn: memory flat, every count right
soak: $(O)/fantail $(O)/lib/conngen
	$(Q)FT_CASE_SECONDS=$$((($${FT_SOAK_MINUTES:-60} + 3) * 60)) tests/e2e/run $(O) soak

include tests/pair/pair.mk
include tests/fuzz/fuzz.mk

SOURCES := $(wildcard include/*.h vmlinux/*.h bpf/*.[ch] user/*.[ch] tests/*/*.[ch])
fmt:
	clang-format -i $(SOURCES)
lint: $(SKELS)
	$(Q)scripts/lint $(O)
