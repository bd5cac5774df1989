/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A growable text buffer. PURE. Errors stick: after the first failed allocation every call
 * is a no-op and ft_buf_error() says -ENOMEM, so callers check once, at the end. */
#ifndef FT_BUF_H
#define FT_BUF_H

#include <stddef.h>

struct ft_buf {
	char *data; /* NUL-terminated once anything was added; owned */
	size_t len, size;
	int error;
};

void ft_buf_printf(struct ft_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ft_buf_add(struct ft_buf *b, const char *data, size_t len);
int ft_buf_error(const struct ft_buf *b);	 /* 0 or -ENOMEM */
const char *ft_buf_text(const struct ft_buf *b); /* "" when empty */
void ft_buf_reset(struct ft_buf *b);		 /* keep the memory, forget the text */
void ft_buf_close(struct ft_buf *b);		 /* NULL-safe; b may be used again */

#endif
