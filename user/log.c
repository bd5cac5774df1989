/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owns stderr. libbpf's warnings are not shown by default: a refused program is often a
 * question that fantail asks on purpose (which source does this kernel allow?). They are kept
 * instead, so that the one failure that matters can be explained afterwards. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

#define LINE_SIZE  512
#define HELD_LINES 64
#define TAIL_SIZE  4096

static const struct {
	const char *word;
	int priority; /* as syslog(3) numbers them */
} level_info[] = {
	[FT_LOG_ERROR] = {"error: ", 3},
	[FT_LOG_WARN] = {"warning: ", 4},
	[FT_LOG_INFO] = {"", 6},
	[FT_LOG_DEBUG] = {"debug: ", 7},
};
_Static_assert(sizeof(level_info) / sizeof(*level_info) == FT_LOG_NLEVELS, "one row per level");

static int verbosity;

static struct {
	bool on;
	unsigned long count; /* lines since hold; the newest is at (count - 1) % HELD_LINES */
	char line[HELD_LINES][LINE_SIZE];
} held;

static char tail[TAIL_SIZE + 1]; /* NUL-terminated */

/* The variable is inherited by children whose stderr is something else, so compare. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* One write per line: lines of several processes do not mix. */
static void put(const char *line)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody is left to tell */
		line += n;
		len -= (size_t)n;
	}
}

static void emit_line(enum ft_log_level level, const char *text, size_t len)
{
	char line[LINE_SIZE], priority[8] = "";
	int used;

	if (stderr_is_journal())
		snprintf(priority, sizeof(priority), "<%d>", level_info[level].priority);
	used = snprintf(line, sizeof(line) - 1, "%sfantail: %s%.*s", priority,
			level_info[level].word, (int)len, text);
	if (used < 0)
		return;
	if (used > (int)sizeof(line) - 2)
		used = (int)sizeof(line) - 2;
	for (int i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	memcpy(line + used, "\n", 2);
	if (held.on)
		memcpy(held.line[held.count++ % HELD_LINES], line, sizeof(line));
	else
		put(line);
}

static void emit(enum ft_log_level level, const char *text)
{
	do {
		size_t len = strcspn(text, "\n");

		emit_line(level, text, len);
		text += len;
		text += *text == '\n';
	} while (*text);
}

void ft_log(enum ft_log_level level, const char *fmt, ...)
{
	_free_ char *text = NULL;
	int saved = errno;
	va_list ap;

	if ((unsigned int)level >= FT_LOG_NLEVELS || (level == FT_LOG_DEBUG && verbosity < 1))
		return;
	va_start(ap, fmt);
	errno = saved; /* for %m */
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	else
		emit(level, text);
	va_end(ap);
	errno = saved;
}

void ft_log_failing(int *last, int err, const char *what)
{
	if (err && err != *last)
		ft_log(FT_LOG_WARN, "cannot %s: %s", what, strerror(-err));
	*last = err;
}

void ft_log_set_verbosity(int level)
{
	verbosity = level;
}

void ft_log_hold(void)
{
	held.on = true;
}

void ft_log_release(void)
{
	unsigned long first = held.count > HELD_LINES ? held.count - HELD_LINES : 0;

	if (!held.on)
		return;
	held.on = false;
	if (first)
		ft_log(FT_LOG_WARN, "%lu earlier messages were dropped", first);
	for (unsigned long i = first; i < held.count; i++)
		put(held.line[i % HELD_LINES]);
	held.count = 0;
}

/* Keep the end of what is there plus `text`: the verifier's reason is its last lines. */
static void keep(const char *text)
{
	size_t len = strlen(text), have = strlen(tail), room;

	if (len >= TAIL_SIZE) {
		memcpy(tail, text + len - TAIL_SIZE, TAIL_SIZE + 1);
		return;
	}
	room = TAIL_SIZE - len;
	if (have > room) {
		memmove(tail, tail + have - room, room);
		have = room;
	}
	memcpy(tail + have, text, len + 1);
}

int ft_log_libbpf(int level, const char *fmt, va_list ap)
{
	_free_ char *text = NULL;
	int saved = errno;

	if (level >= 2 && verbosity < 2)
		return 0;
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
	} else {
		if (level < 2)
			keep(text);
		if (verbosity >= 2)
			emit(FT_LOG_DEBUG, text);
	}
	errno = saved; /* libbpf's callers read it after a message */
	return 0;
}

const char *ft_log_libbpf_tail(void)
{
	const char *end = strchr(tail, '\n');

	/* A full buffer begins within a line; that line is no use. */
	return strlen(tail) == TAIL_SIZE && end && end[1] ? end + 1 : tail;
}

void ft_log_libbpf_forget(void)
{
	tail[0] = '\0';
}
