/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the fuzz targets share. A target is one LLVMFuzzerTestOneInput(): it feeds the bytes to the
 * code as the world would, and asserts what must hold for any input. Crashes, leaks and undefined
 * behaviour are the sanitizers' business; FUZZ_CHECK is for what only the code's own promises say.
 */
#ifndef FT_FUZZ_H
#define FT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(truth, ...)                                                                     \
	do {                                                                                       \
		if (!(truth))                                                                      \
			fuzz_fail(__FILE__, __LINE__, #truth, __VA_ARGS__);                        \
	} while (0)
__attribute__((noreturn, format(printf, 4, 5))) void fuzz_fail(const char *file, int line,
							       const char *truth, const char *fmt,
							       ...);

/* The input as numbers, little endian; 0 when there is nothing left. */
struct fuzz_in {
	const uint8_t *at;
	size_t left;
};
uint64_t fuzz_number(struct fuzz_in *in, unsigned int bytes);
void fuzz_bytes(struct fuzz_in *in, void *ret, size_t size);

/* A NUL-terminated copy with not a byte more, so that reading beyond it is seen. Freed by the
 * caller. */
char *fuzz_text(const uint8_t *data, size_t size);

/* --- what may be printed (check.c) --- */

/* One JSON value of objects and arrays, nothing after it but white space; no number is negative
 * but below the keys "drift" and "from". */
void fuzz_check_json(const char *what, const char *text, size_t len);
/* Prometheus text: every series of a family that was declared before it, labels quoted, values
 * numbers, no family twice, final newline. unique: and no series twice. */
void fuzz_check_prom(const char *text, size_t len, bool unique);
/* Printable ASCII and newlines, the last byte one of them. */
void fuzz_check_plain(const char *what, const char *text, size_t len);
/* No number that is not one. Not for texts with names that came from the input. */
void fuzz_check_numbers(const char *what, const char *text);

/* The views of a report: one of the lists, the textfile and two screens, which salt chooses;
 * unique: the hops' names are. */
void fuzz_check_views(const struct ft_report *r, uint32_t salt, bool unique);

#endif
