/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owns the terminal. ncurses' signal handlers stay in place while it is open: SIGTSTP's makes
 * Ctrl-Z right, and those of SIGINT and SIGTERM, blocked for the loop's signalfd, restore the
 * terminal in the moments when nobody blocks them. Afterwards the old ones are back. */
#define _GNU_SOURCE	 1
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "term.h"

#define ESCAPE_DELAY_MS 25 /* ncurses' own 1000 ms makes Esc feel broken */

static const int curses_signals[] = {SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
#define NSIGNALS (sizeof(curses_signals) / sizeof(*curses_signals))

static SCREEN *screen;
static struct sigaction saved_action[NSIGNALS];

/* One row per attribute. Without colour the difference is in weight, never in hue alone. */
static const struct {
	attr_t mono, colour;
	short foreground; /* -1: the terminal's own */
} attr_info[] = {
	[FT_ATTR_NONE] = {A_NORMAL, A_NORMAL, -1},
	[FT_ATTR_TITLE] = {A_BOLD, A_BOLD, -1},
	[FT_ATTR_RATIO] = {A_BOLD, A_BOLD, COLOR_CYAN},
	[FT_ATTR_WARN] = {A_BOLD | A_REVERSE, A_BOLD, COLOR_RED},
	[FT_ATTR_DIM] = {A_DIM, A_DIM, -1},
	[FT_ATTR_KEY] = {A_REVERSE, A_REVERSE, -1},
};
#define NATTRS (sizeof(attr_info) / sizeof(*attr_info))
_Static_assert(NATTRS == FT_ATTR_KEY + 1, "one row per attribute");

static const struct {
	int curses;
	enum ft_key key;
} key_info[] = {
	{'q', FT_KEY_QUIT},	  {'Q', FT_KEY_QUIT},	   {'p', FT_KEY_PAUSE},
	{' ', FT_KEY_PAUSE},	  {'?', FT_KEY_HELP},	   {'h', FT_KEY_HELP},
	{'f', FT_KEY_FLOWS},	  {'l', FT_KEY_LIMITS},	   {'u', FT_KEY_USE},
	{'\t', FT_KEY_NEXT},	  {KEY_UP, FT_KEY_UP},	   {'k', FT_KEY_UP},
	{KEY_DOWN, FT_KEY_DOWN},  {'j', FT_KEY_DOWN},	   {KEY_PPAGE, FT_KEY_PGUP},
	{KEY_NPAGE, FT_KEY_PGDN}, {KEY_HOME, FT_KEY_HOME}, {KEY_END, FT_KEY_END},
	{'g', FT_KEY_HOME},	  {'G', FT_KEY_END},	   {KEY_RESIZE, FT_KEY_RESIZE},
};

bool ft_term_utf8(void)
{
	setlocale(LC_CTYPE, "");
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static bool want_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return has_colors() && (!no || !*no);
}

static void set_modes(void)
{
	set_escdelay(ESCAPE_DELAY_MS);
	cbreak();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	intrflush(stdscr, FALSE);
	curs_set(0);
	if (!want_colour())
		return;
	start_color();
	use_default_colors();
	for (short i = 0; i < (short)NATTRS; i++)
		init_pair((short)(i + 1), attr_info[i].foreground, -1);
}

/* `dumb` and its like are known terminals, but cannot place the cursor. */
static bool can_draw(void)
{
	const char *cup = tigetstr("cup");

	return cup && cup != (const char *)-1;
}

int ft_term_open(void)
{
	static bool at_exit;

	if (screen)
		return -EBUSY;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	ft_term_utf8(); /* ncurses asks the locale how wide a character is */
	if (!at_exit && atexit(ft_term_close))
		return -ENOMEM;
	at_exit = true;
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(curses_signals[i], NULL, &saved_action[i]);
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTSUP;
	ft_log_hold();
	if (!can_draw()) {
		ft_term_close();
		return -ENOTSUP;
	}
	set_modes();
	return 0;
}

void ft_term_size(int *ret_width, int *ret_height)
{
	struct winsize ws;

	*ret_width = 80;
	*ret_height = 24;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_col && ws.ws_row) {
		*ret_width = ws.ws_col;
		*ret_height = ws.ws_row;
	}
	if (screen && is_term_resized(*ret_height, *ret_width))
		resizeterm(*ret_height, *ret_width);
}

static void set_attr(enum ft_attr attr)
{
	if ((size_t)attr >= NATTRS)
		attr = FT_ATTR_NONE;
	if (want_colour())
		attr_set(attr_info[attr].colour, (short)(attr + 1), NULL);
	else
		attr_set(attr_info[attr].mono, 0, NULL);
}

/* The part of the line from *at to `end`, in one attribute. */
static void draw_until(const struct ft_line *l, size_t *at, size_t end, enum ft_attr attr)
{
	size_t len = strnlen(l->text, sizeof(l->text));

	if (end > len)
		end = len;
	if (end <= *at)
		return;
	set_attr(attr);
	addnstr(l->text + *at, (int)(end - *at));
	*at = end;
}

static void draw_line(const struct ft_line *l)
{
	size_t at = 0;

	for (unsigned int i = 0; i < l->nspans && i < FT_FRAME_SPANS; i++) {
		draw_until(l, &at, l->span[i].start, FT_ATTR_NONE);
		draw_until(l, &at, l->span[i].end, l->span[i].attr);
	}
	draw_until(l, &at, sizeof(l->text), FT_ATTR_NONE);
	set_attr(FT_ATTR_NONE);
}

/* A line made for a wider screen wraps into the next row, which is cleared before its own
 * text: so cut, whatever the characters' width. */
void ft_term_draw(const struct ft_frame *f)
{
	int y;

	if (!screen)
		return;
	for (y = 0; y < f->nlines && y < LINES; y++) {
		move(y, 0);
		clrtoeol();
		draw_line(&f->line[y]);
	}
	if (y < LINES) {
		move(y, 0);
		clrtobot();
	}
	refresh();
}

/* A terminal that hung up stays readable for ever, and says nothing. */
static bool terminal_gone(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

enum ft_key ft_term_key(void)
{
	int c;

	if (!screen)
		return FT_KEY_NONE;
	c = getch();
	if (c == ERR)
		return terminal_gone() ? FT_KEY_QUIT : FT_KEY_NONE;
	for (size_t i = 0; i < sizeof(key_info) / sizeof(*key_info); i++)
		if (key_info[i].curses == c)
			return key_info[i].key;
	return FT_KEY_OTHER;
}

void ft_term_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(curses_signals[i], &saved_action[i], NULL);
	ft_log_release();
}
