/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pen of the live view. It counts columns and stops at the width, so that no layout can
 * leave the screen; a character beyond ASCII is one column, because only the glyphs of the
 * view itself are such. */
#include <stdarg.h>
#include <string.h>

#include "view_frame_internal.h"

struct ft_pen ft_pen_on(struct ft_line *line, int width)
{
	struct ft_pen p = {.line = line, .width = width};

	line->text[0] = '\0';
	line->nspans = 0;
	return p;
}

static void mark(struct ft_pen *p, size_t start, enum ft_attr attr)
{
	struct ft_line *line = p->line;

	if (attr == FT_ATTR_NONE || start == p->len || line->nspans == FT_FRAME_SPANS)
		return;
	line->span[line->nspans].start = start;
	line->span[line->nspans].end = p->len;
	line->span[line->nspans++].attr = attr;
}

void ft_pen_put(struct ft_pen *p, enum ft_attr attr, const char *text)
{
	size_t start = p->len;

	while (*text && p->column < p->width) {
		size_t n = 1;

		while (((unsigned char)text[n] & 0xc0) == 0x80)
			n++;
		if (p->len + n >= sizeof(p->line->text))
			break;
		memcpy(p->line->text + p->len, text, n);
		p->len += n;
		p->column++;
		text += n;
	}
	p->line->text[p->len] = '\0';
	mark(p, start, attr);
}

void ft_pen_printf(struct ft_pen *p, enum ft_attr attr, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ft_pen_put(p, attr, text);
}

void ft_pen_name(struct ft_pen *p, enum ft_attr attr, const char *name, size_t max)
{
	char clean[FT_TEXT_LEN];

	ft_text_ascii(name, max, clean, sizeof(clean));
	ft_pen_put(p, attr, clean);
}

void ft_pen_spaces(struct ft_pen *p, int n)
{
	while (n-- > 0)
		ft_pen_put(p, FT_ATTR_NONE, " ");
}
