/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The errors of one config file. They are collected and sorted because the passes find them
 * in their own order, and a reader fixes a file from top to bottom. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "distance.h"

static int grow(struct ft_errors *e)
{
	unsigned int size = e->size ? e->size * 2 : 16;
	struct ft_error *list;

	if (e->count < e->size)
		return 0;
	list = reallocarray(e->list, size, sizeof(*list));
	if (!list)
		return -ENOMEM;
	e->list = list;
	e->size = size;
	return 0;
}

void ft_errors_add(struct ft_errors *e, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (grow(e)) {
		e->text.error = -ENOMEM;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->list[e->count] = (struct ft_error){.line = line, .seq = e->count, .at = e->text.len};
	e->count++;
	ft_buf_add(&e->text, text, strlen(text) + 1);
}

static int by_line(const void *a, const void *b)
{
	const struct ft_error *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void ft_errors_print(struct ft_errors *e, const char *file, struct ft_buf *out)
{
	if (ft_buf_error(&e->text))
		return;
	if (e->count)
		qsort(e->list, e->count, sizeof(*e->list), by_line);
	for (unsigned int i = 0; i < e->count; i++)
		ft_buf_printf(out, "%s:%d: %s\n", file, e->list[i].line,
			      e->text.data + e->list[i].at);
}

void ft_errors_close(struct ft_errors *e)
{
	free(e->list);
	ft_buf_close(&e->text);
	*e = (struct ft_errors){0};
}

struct ft_quoted ft_config_quote(const char *text)
{
	struct ft_quoted q = {{0}};

	for (size_t i = 0; text[i]; i++) {
		if (i == FT_QUOTE - 4) {
			memcpy(q.text + i, "...", 4);
			break;
		}
		q.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	}
	return q;
}

#define NEAREST_MAX 2 /* more edits make another word of it */

const char *ft_config_nearest(const char *text, const char *const *names, unsigned int count)
{
	unsigned int best = NEAREST_MAX + 1;
	size_t len = strlen(text);
	const char *ret = NULL;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int d = ft_distance(text, names[i]);

		/* A name of two letters is not "near" every other one. */
		if (d < best && d < len && d < strlen(names[i])) {
			best = d;
			ret = names[i];
		}
	}
	return ret;
}
