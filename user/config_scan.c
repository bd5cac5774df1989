/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A pass over the text for what libconfig 1.5 accepts without a word, each of which would
 * make the agent count by other rules than those written: a comment that is never closed,
 * "@include" (the parser reads no file), bytes without a limit, and integers that wrap around:
 * the copy that libconfig gets has them as 64-bit ones, for the range checks to see. And for what
 * it does not say well: a comma after the last of a list, an error before 1.7 only, is left out of
 * the copy; one that is missing between two groups is named. */
#include <string.h>

#include "config_internal.h"

#define MAX_TEXT  (1024 * 1024) /* libconfig's check for duplicates is quadratic */
#define MAX_INT	  2147483647ULL
#define MAX_VALUE 999999999999999999ULL /* ten times this and 16 times this fit, too */
#define WORD	  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+.*"

struct scan {
	const char *at;
	int line;
	char last; /* that was neither space nor comment */
	bool fatal;
	struct ft_buf *out;
	struct ft_errors *errors;
};

static void copy(struct scan *s, size_t len)
{
	ft_buf_add(s->out, s->at, len);
	for (; len; len--)
		s->line += *s->at++ == '\n';
}

static void fatal(struct scan *s, int line, const char *what)
{
	ft_errors_add(s->errors, line, "%s", what);
	s->fatal = true;
}

static void copy_comment(struct scan *s)
{
	const char *end = strstr(s->at + 2, "*/");

	if (!end)
		fatal(s, s->line, "the comment that starts here is never closed");
	copy(s, end ? (size_t)(end + 2 - s->at) : strlen(s->at));
}

static void copy_string(struct scan *s)
{
	int line = s->line;

	s->last = '"';
	copy(s, 1);
	while (*s->at && *s->at != '"')
		copy(s, s->at[0] == '\\' && s->at[1] ? 2 : 1);
	if (!*s->at)
		fatal(s, line, "the string that starts here is never closed");
	else
		copy(s, 1);
}

/* A number as libconfig spells them, and nothing after it: its value, up to MAX_VALUE. */
static bool is_number(const char *text, size_t len, unsigned long long *ret)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t at = *text == '-' || *text == '+';
	unsigned int base =
		text[at] == '0' && (text[at + 1] == 'x' || text[at + 1] == 'X') ? 16 : 10;
	const char *digit;
	unsigned long long n = 0;

	while (text[len - 1] == 'L' && len > 1)
		len--;
	for (at += base == 16 ? 2 : 0; at < len; at++) {
		digit = memchr(digits, text[at], base == 16 ? 22 : 10);
		if (!digit)
			return false;
		n = n * base + (unsigned int)(digit - digits - (digit > digits + 15) * 6);
		if (n > MAX_VALUE)
			n = MAX_VALUE;
	}
	*ret = n;
	return true;
}

/* A name, a number, or whatever else is made of such letters. */
static void copy_word(struct scan *s, size_t len)
{
	unsigned long long n;

	s->last = *s->at;
	if (is_number(s->at, len, &n) && n > MAX_INT) {
		ft_buf_printf(s->out, "%s%lluL", *s->at == '-' ? "-" : "", n);
		s->at += len;
	} else {
		copy(s, len);
	}
}

/* The text after space and comments; its end, if one of those is never closed. */
static const char *after_space(const char *text)
{
	const char *end;

	for (;;) {
		text += strspn(text, " \t\r\n\f\v");
		if (*text == '#' || !strncmp(text, "//", 2)) {
			text += strcspn(text, "\n");
		} else if (!strncmp(text, "/*", 2)) {
			end = strstr(text + 2, "*/");
			text = end ? end + 2 : text + strlen(text);
		} else {
			return text;
		}
	}
}

/* Brackets, commas and whatever else means something by itself. */
static void copy_mark(struct scan *s)
{
	char next = *s->at == ',' ? *after_space(s->at + 1) : '\0';

	if (*s->at == '{' && s->last == '}')
		fatal(s, s->line, "a comma is missing before this \"{\"");
	if (!strchr(" \t\r\n\f\v", *s->at))
		s->last = *s->at;
	if (next == ')' || next == ']') {
		ft_buf_add(s->out, " ", 1);
		s->at++;
	} else {
		copy(s, 1);
	}
}

bool ft_config_scan(const char *text, struct ft_buf *ret_text, struct ft_errors *errors)
{
	struct scan s = {.at = text, .line = 1, .out = ret_text, .errors = errors};

	if (strnlen(text, MAX_TEXT + 1) > MAX_TEXT)
		fatal(&s, 1, "the file is larger than 1 MiB");
	while (*s.at && !s.fatal) {
		if (*s.at == '#' || !strncmp(s.at, "//", 2))
			copy(&s, strcspn(s.at, "\n"));
		else if (!strncmp(s.at, "/*", 2))
			copy_comment(&s);
		else if (*s.at == '"')
			copy_string(&s);
		else if (*s.at == '@')
			fatal(&s, s.line, "@include is not supported");
		else if (strspn(s.at, WORD))
			copy_word(&s, strspn(s.at, WORD));
		else
			copy_mark(&s);
	}
	if (ft_buf_error(ret_text))
		fatal(&s, s.line, "out of memory");
	return !s.fatal;
}
