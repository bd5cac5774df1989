// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__asan_default_options(void);

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

/* Most of the time would go into keeping freed memory and stacks of allocations. */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16:malloc_context_size=8";
}

/* At a syntax error within a string libconfig 1.5 forgets what it has of it. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

void fuzz_fail(const char *file, int line, const char *truth, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: not true: %s\n  ", file, line, truth);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

uint64_t fuzz_number(struct fuzz_in *in, unsigned int bytes)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		n |= (uint64_t)*in->at++ << (8 * i);
	return n;
}

void fuzz_bytes(struct fuzz_in *in, void *ret, size_t size)
{
	size_t n = in->left < size ? in->left : size;

	memset(ret, 0, size);
	if (n)
		memcpy(ret, in->at, n);
	in->at += n;
	in->left -= n;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	size_t len = size ? strnlen((const char *)data, size) : 0;
	char *text = malloc(len + 1);

	if (!text)
		abort();
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}
