/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the live view share: the pen that cannot leave its line, and the table of
 * columns, which the main screen draws and the help screen explains. PURE. */
#ifndef FT_VIEW_FRAME_INTERNAL_H
#define FT_VIEW_FRAME_INTERNAL_H

#include "view.h"

struct ft_glyphs {
	const char *arrow, *branch, *dash, *times, *none;
};

/* What a frame is made of. */
struct ft_canvas {
	const struct ft_report *r;
	const struct ft_screen *s;
	const struct ft_glyphs *g;
	const struct ft_pane *pane;
	struct ft_frame *frame;
	int width, height;
};

/* --- view_frame_pen.c --- */

struct ft_pen {
	struct ft_line *line;
	size_t len;
	int column, width;
};

/* Empties the line; what is put behind `width` columns, or has no room, is dropped. */
struct ft_pen ft_pen_on(struct ft_line *line, int width);
void ft_pen_put(struct ft_pen *p, enum ft_attr attr, const char *text);
void ft_pen_printf(struct ft_pen *p, enum ft_attr attr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* At most `max` bytes of a name from outside, as ASCII: one byte is one column. */
void ft_pen_name(struct ft_pen *p, enum ft_attr attr, const char *name, size_t max);
void ft_pen_spaces(struct ft_pen *p, int n);

/* --- view_frame_columns.c --- */

#define FT_MAX_COLUMNS 24

struct ft_column {
	const char *title;
	bool left;
	const char *help;
	/* NULL: the uint64_t of struct ft_report_hop at `offset` */
	void (*draw)(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h);
	size_t offset;
};
/* A table of hops. Its columns: most wanted first, a narrow screen keeps the left ones. */
struct ft_pane {
	const char *key, *name; /* what leads to it */
	const struct ft_column *column;
	unsigned int ncolumns;
};
extern const struct ft_pane ft_pane_flows;
extern const struct ft_pane ft_pane_limits; /* view_frame_limits.c */
extern const struct ft_pane ft_pane_use;    /* view_frame_use.c */

void ft_column_hop(struct ft_pen *p, const struct ft_canvas *c, const struct ft_report_hop *h);
void ft_put_count(struct ft_pen *p, enum ft_attr attr, uint64_t n);
void ft_put_none(struct ft_pen *p, const struct ft_canvas *c);
/* fmt takes one double; what is not finite is none. */
void ft_put_real(struct ft_pen *p, const struct ft_canvas *c, const char *fmt, double value)
	__attribute__((format(printf, 3, 0)));

/* Fills ret_width[]; returns how many columns fit. The first always does, cut if need be. */
unsigned int ft_columns_measure(const struct ft_canvas *c, int ret_width[FT_MAX_COLUMNS]);
/* One line of the table; h NULL: the titles. */
void ft_columns_row(struct ft_pen *p, const struct ft_canvas *c, const int width[FT_MAX_COLUMNS],
		    unsigned int n, const struct ft_report_hop *h);

#endif
