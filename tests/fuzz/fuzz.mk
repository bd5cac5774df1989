# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fuzzing, with clang's libFuzzer (scripts/deps fuzz). `make fuzz` for FUZZ_SECONDS each, `make
# fuzz-seeds` over the corpora alone. Included by tests.mk.

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
FUZZ_SAN := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
FUZZ_CFLAGS = $(ALL_CFLAGS) -O1 $(FUZZ_SAN) -fsanitize=fuzzer-no-link -Itests/fuzz
# what needs the skeletons, /proc or a terminal is left out, or faked in tests/fuzz
FUZZ_USER := $(filter-out main cmd_% demo% term live check lock loop log netns privilege probe_load \
	probe_pair sink,$(MODULES))
FUZZ_FAKED := open openat fopen opendir clock_gettime access lstat

$(O)/fuzz $(O)/fuzz/user:
	$(Q)mkdir -p $@

$(O)/fuzz/user/%.o: user/%.c | $(O)/fuzz/user
	$(say) FUZZ $@
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)objcopy $(foreach f,$(FUZZ_FAKED),--redefine-sym $f=fuzz_$f) $@

$(O)/fuzz/%.o: tests/fuzz/%.c | $(O)/fuzz
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

$(O)/fuzz/user.a: $(FUZZ_USER:%=$(O)/fuzz/user/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^

$(FUZZ_TARGETS:%=$(O)/fuzz/%): $(O)/fuzz/%: $(O)/fuzz/fuzz_%.o $(O)/fuzz/fuzz.o $(O)/fuzz/check.o \
		$(O)/fuzz/fakes.o $(O)/fuzz/fake_maps.o $(O)/fuzz/fake_rows.o $(O)/fuzz/fake_world.o $(O)/fuzz/user.a
	$(say) LINK $@
	$(Q)$(FUZZ_CC) $(FUZZ_SAN) -fsanitize=fuzzer -o $@ $^ $(LIBS_PURE)

.PHONY: fuzz fuzz-seeds
fuzz: $(FUZZ_TARGETS:%=$(O)/fuzz/%)
	$(Q)scripts/fuzz --seconds $(FUZZ_SECONDS) $(O)
fuzz-seeds: $(FUZZ_TARGETS:%=$(O)/fuzz/%)
	$(Q)scripts/fuzz --seeds $(O)

-include $(wildcard $(O)/fuzz/*.d $(O)/fuzz/user/*.d)
