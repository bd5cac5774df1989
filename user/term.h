/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live terminal. There is one per process, so there is no handle. */
#ifndef FT_TERM_H
#define FT_TERM_H

#include <stdbool.h>

#include "view.h"

enum ft_key {
	FT_KEY_NONE, /* nothing typed (yet) */
	FT_KEY_QUIT, /* q, or the terminal is gone */
	FT_KEY_PAUSE,
	FT_KEY_HELP,
	FT_KEY_FLOWS,
	FT_KEY_LIMITS,
	FT_KEY_USE,
	FT_KEY_NEXT, /* pane */
	FT_KEY_UP,
	FT_KEY_DOWN,
	FT_KEY_PGUP,
	FT_KEY_PGDN,
	FT_KEY_HOME,
	FT_KEY_END,
	FT_KEY_RESIZE,
	FT_KEY_OTHER,
};

/*
 * Take over stdin and stdout, and hold back ft_log(). Open the loop first: SIGINT and SIGTERM
 * are then events, and the caller gets to ft_term_close(), which is also run at exit().
 * 0; -ENOTTY: one of them is no terminal; -ENOTSUP: $TERM is unknown, or cannot move the
 * cursor; -EBUSY: it is open. After a failure the terminal is as it was.
 */
int ft_term_open(void);

/* Current size; call it before each frame and after SIGWINCH. 80x24 if nobody knows. */
void ft_term_size(int *ret_width, int *ret_height);

/* Show a frame; only what differs from the last one is sent. What does not fit is cut.
 * Colours if the terminal has them and $NO_COLOR is unset or empty. */
void ft_term_draw(const struct ft_frame *f);

/* Never waits. After stdin is readable, call until FT_KEY_NONE. */
enum ft_key ft_term_key(void);

/* Idempotent. The screen as it was before, then the messages held back. */
void ft_term_close(void);

/* Whether the user's locale writes UTF-8. Sets LC_CTYPE, and only that, from the environment:
 * numbers keep their decimal point. */
bool ft_term_utf8(void);

#endif
