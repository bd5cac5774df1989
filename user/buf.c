/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The growable text buffer that every printer writes to. A failed allocation sticks instead
 * of being returned by each call: a frame of 200 lines has one check, at its end, and what
 * was added before the failure is never taken for the whole. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define FIRST_SIZE 256

/* Room for `more` bytes and the final NUL. */
static int reserve(struct ft_buf *b, size_t more)
{
	size_t size = b->size ? b->size : FIRST_SIZE;
	char *data;

	if (b->error)
		return b->error;
	if (more < b->size - b->len)
		return 0;
	while (size - b->len <= more) {
		if (size > (size_t)-1 / 2) {
			b->error = -ENOMEM;
			return b->error;
		}
		size *= 2;
	}
	data = realloc(b->data, size);
	if (!data) {
		b->error = -ENOMEM;
		return b->error;
	}
	b->data = data;
	b->size = size;
	return 0;
}

void ft_buf_add(struct ft_buf *b, const char *data, size_t len)
{
	if (reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void ft_buf_printf(struct ft_buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0) /* longer than INT_MAX */
		b->error = -ENOMEM;
	if (len < 0 || reserve(b, (size_t)len))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

int ft_buf_error(const struct ft_buf *b)
{
	return b->error;
}

const char *ft_buf_text(const struct ft_buf *b)
{
	return b->data ? b->data : "";
}

void ft_buf_reset(struct ft_buf *b)
{
	b->len = 0;
	b->error = 0;
	if (b->data)
		b->data[0] = '\0';
}

void ft_buf_close(struct ft_buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct ft_buf){0};
}
