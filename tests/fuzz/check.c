// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What every printer promises, whatever it is given. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "view.h"

/* --- JSON --- */

static void check_value(const char *what, const json_t *value, bool may_be_negative)
{
	const json_t *member;
	const char *key;
	size_t i;

	if (json_is_number(value))
		FUZZ_CHECK(may_be_negative || json_number_value(value) >= 0, "%s: %g", what,
			   json_number_value(value));
	json_array_foreach (value, i, member)
		check_value(what, member, may_be_negative);
	json_object_foreach ((json_t *)value, key, member)
		check_value(key, member,
			    may_be_negative || !strcmp(key, "drift") || !strcmp(key, "from"));
}

void fuzz_check_json(const char *what, const char *text, size_t len)
{
	json_error_t where;
	json_t *root = json_loadb(text, len, 0, &where);

	FUZZ_CHECK(root, "%s: %s at %d: %.*s", what, where.text, where.position, (int)len, text);
	check_value(what, root, false);
	json_decref(root);
}

/* --- Prometheus --- */

#define MAX_FAMILIES 64
#define MAX_SERIES   8192

struct prom {
	const char *at; /* in the line that is read */
	size_t nfamilies, nseries;
	char family[MAX_FAMILIES][80];
	char *series[MAX_SERIES];
};

static size_t name_length(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == ':')
		n++;
	return isdigit((unsigned char)at[0]) ? 0 : n;
}

static void skip_labels(struct prom *p, const char *line)
{
	while (*p->at == '{' || *p->at == ',') {
		size_t n = name_length(++p->at);

		FUZZ_CHECK(n && p->at[n] == '=' && p->at[n + 1] == '"', "label in: %s", line);
		for (p->at += n + 2; *p->at != '"'; p->at++) {
			FUZZ_CHECK(*p->at, "open label in: %s", line);
			if (*p->at == '\\')
				FUZZ_CHECK(*++p->at && strchr("n\\\"", *p->at), "escape in: %s",
					   line);
		}
		p->at++;
	}
	if (*p->at == '}')
		p->at++;
}

static bool of_family(const char *family, const char *name, size_t len)
{
	static const char *const suffix[] = {"", "_sum", "_count", "_bucket"};
	size_t base = strlen(family);

	for (int i = 0; i < 4; i++)
		if (len == base + strlen(suffix[i]) && !strncmp(name, family, base) &&
		    !strncmp(name + base, suffix[i], strlen(suffix[i])))
			return true;
	return false;
}

static void check_series(struct prom *p, char *line)
{
	size_t len = name_length(line);
	char *end;

	FUZZ_CHECK(len && p->nfamilies && of_family(p->family[p->nfamilies - 1], line, len),
		   "not of the last family: %s", line);
	p->at = line + len;
	skip_labels(p, line);
	FUZZ_CHECK(*p->at == ' ', "no value: %s", line);
	FUZZ_CHECK(!strcmp(p->at + 1, "NaN") || isdigit((unsigned char)p->at[1]) || p->at[1] == '-',
		   "value: %s", line);
	strtod(p->at + 1, &end);
	FUZZ_CHECK(!*end, "after the value: %s", line);
	FUZZ_CHECK(p->nseries < MAX_SERIES, "more than %d series", MAX_SERIES);
	line[p->at - line] = '\0';
	p->series[p->nseries++] = line;
}

static void check_comment(struct prom *p, const char *line)
{
	char *name = p->family[p->nfamilies];

	if (sscanf(line, "# TYPE %79s", name) != 1)
		return;
	for (size_t i = 0; i < p->nfamilies; i++)
		FUZZ_CHECK(strcmp(p->family[i], name), "twice: %s", line);
	FUZZ_CHECK(++p->nfamilies < MAX_FAMILIES, "more than %d families", MAX_FAMILIES);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void fuzz_check_prom(const char *text, size_t len, bool unique)
{
	static struct prom p;
	char *copy = strdup(text), *save = NULL;

	FUZZ_CHECK(copy && len && strlen(text) == len && text[len - 1] == '\n', "%zu bytes", len);
	p.nfamilies = p.nseries = 0;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '#')
			check_comment(&p, line);
		else
			check_series(&p, line);
	}
	if (unique && p.nseries)
		qsort(p.series, p.nseries, sizeof(p.series[0]), by_text);
	for (size_t i = 1; unique && i < p.nseries; i++)
		FUZZ_CHECK(strcmp(p.series[i - 1], p.series[i]), "twice: %s", p.series[i]);
	free(copy);
}

/* --- plain text --- */

void fuzz_check_plain(const char *what, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'),
			   "%s: byte %02x at %zu", what, (unsigned char)text[i], i);
	FUZZ_CHECK(len && text[len - 1] == '\n', "%s: no final newline", what);
}

void fuzz_check_numbers(const char *what, const char *text)
{
	static const char *const none[] = {"nan", "inf", "NaN", "Inf"};

	for (int i = 0; i < 4; i++)
		for (const char *at = text; (at = strstr(at, none[i])); at++)
			FUZZ_CHECK((at > text && isalpha((unsigned char)at[-1])) ||
					   isalpha((unsigned char)at[3]),
				   "%s: %.40s", what, at);
}

/* --- the live view --- */

static void check_line(const struct ft_line *line, const struct ft_screen *s)
{
	size_t len = strnlen(line->text, sizeof(line->text));
	int columns = 0;

	FUZZ_CHECK(len < sizeof(line->text), "a line without an end");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = line->text[i];

		columns += (c & 0xc0) != 0x80;
		FUZZ_CHECK(c >= ' ' && c != 127 && (c < 127 || s->utf8), "byte %02x", c);
	}
	FUZZ_CHECK(columns <= s->width, "%d columns of %d", columns, s->width);
	FUZZ_CHECK(line->nspans <= FT_FRAME_SPANS, "%u spans", line->nspans);
	for (unsigned int i = 0; i < line->nspans; i++)
		FUZZ_CHECK(line->span[i].start < line->span[i].end && line->span[i].end <= len,
			   "span %u: %d to %d of %zu", i, line->span[i].start, line->span[i].end,
			   len);
}

static void check_frame(const struct ft_report *r, uint32_t salt)
{
	static struct ft_frame frame;
	struct ft_screen s = {
		.width = salt % 211,
		.height = salt / 211 % 67,
		.utf8 = salt >> 16 & 1,
		.paused = salt >> 17 & 1,
		.help = (salt >> 18 & 3) == 3,
		.pane = salt >> 20 & 3,
		.paused_seconds = salt % 1000,
		.scroll = (int)(salt >> 21 & 127) - 20,
		.message = salt >> 28 & 1 ? "recording" : NULL,
	};

	ft_view_frame(r, &s, &frame);
	FUZZ_CHECK(frame.nlines >= 0 && frame.nlines <= s.height, "%d lines of %d", frame.nlines,
		   s.height);
	for (int i = 0; i < frame.nlines; i++)
		check_line(&frame.line[i], &s);
}

/* --- all of them --- */

static bool says_number(const char *name)
{
	return strcasestr(name, "nan") || strcasestr(name, "inf");
}

/* Whether "nan" in the output can only be a number. */
static bool harmless_names(const struct ft_report *r)
{
	if (says_number(r->host) || says_number(r->version))
		return false;
	for (unsigned int i = 0; i < r->nhops; i++)
		if (says_number(r->hop[i].name) || says_number(r->hop[i].process) ||
		    says_number(r->hop[i].port))
			return false;
	return true;
}

static void check_list(const struct ft_report *r, enum ft_show show, int hop, struct ft_buf *out)
{
	static const char *const what[] = {"hops", "edges", "loss"};

	FUZZ_CHECK(!ft_view_json(r, show, hop, out), "%s --json", what[show]);
	fuzz_check_json(what[show], ft_buf_text(out), out->len);
	ft_buf_reset(out);
	ft_view_text(r, show, hop, out);
	fuzz_check_plain(what[show], ft_buf_text(out), out->len);
	if (harmless_names(r))
		fuzz_check_numbers(what[show], ft_buf_text(out));
	ft_buf_reset(out);
}

void fuzz_check_views(const struct ft_report *r, uint32_t salt, bool unique)
{
	static const enum ft_show show[] = {FT_SHOW_HOPS, FT_SHOW_EDGES, FT_SHOW_HOPS,
					    FT_SHOW_LOSS};
	struct ft_view_agent agent = {.last_write_seconds = 1, .write_errors = salt & 1};
	int hop = r->nhops && salt & 2 ? (int)(salt % r->nhops) : -1;
	struct ft_buf out = {0};

	check_list(r, show[salt >> 4 & 3], hop, &out);
	ft_view_prom(r, &agent, &out);
	fuzz_check_prom(ft_buf_text(&out), out.len, unique);
	FUZZ_CHECK(!ft_buf_error(&out), "a buffer failed");
	ft_buf_close(&out);
	check_frame(r, salt);
	check_frame(r, salt * 2654435761U);
}
