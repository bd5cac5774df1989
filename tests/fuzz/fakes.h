/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Instead of the world: what objects under test call as open(), fopen(), clock_gettime() and so on
 * is renamed to fuzz_*() when they are made (fuzz.mk), so that an input says all of it. */
#ifndef FT_FAKES_H
#define FT_FAKES_H

#include <stddef.h>
#include <stdint.h>

/* What the next fopen()s read; NULL: there is no file. Not copied. */
void fake_file(const uint8_t *data, size_t size);
/* The clocks show this, and a microsecond more each time that they are looked at. */
void fake_clock(uint64_t ns);
void fake_clock_add(uint64_t ns);

#endif
