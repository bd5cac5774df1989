// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The configuration, the way the agent takes it: parse and check, compile to the kernel's tables,
 * print, and parse again. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "fuzz.h"
#include "pair.h"

static void check_errors(const struct ft_buf *errors, const char *text)
{
	const char *at = ft_buf_text(errors);
	unsigned long lines = 2;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	FUZZ_CHECK(errors->len && strlen(at) == errors->len, "no message");
	fuzz_check_plain("errors", at, errors->len);
	while (*at) {
		char *end;
		unsigned long line;

		FUZZ_CHECK(!strncmp(at, "file:", 5), "%s", at);
		line = strtoul(at + 5, &end, 10);
		FUZZ_CHECK(end[0] == ':' && end[1] == ' ' && end[2] != '\n', "%s", at);
		FUZZ_CHECK(line >= 1 && line <= lines, "line %lu of %lu", line, lines);
		at = strchr(at, '\n') + 1;
	}
}

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(strnlen(text, size) < size, "no end");
}

static void check_hop(const struct ft_config *c, unsigned int i)
{
	const struct ft_config_hop *h = &c->hop[i];

	check_text(h->name, sizeof(h->name));
	check_text(h->from, sizeof(h->from));
	check_text(h->process, sizeof(h->process));
	FUZZ_CHECK(h->name[0] && !strpbrk(h->name, "\"\\ \n,{}"), "name \"%s\"", h->name);
	FUZZ_CHECK(h->nendpoints >= 1 && h->nendpoints <= FT_HOP_ENDPOINTS, "%u", h->nendpoints);
	FUZZ_CHECK(h->side < FT_NSIDES, "side %u", h->side);
	for (unsigned int j = 0; j < i; j++)
		FUZZ_CHECK(strcmp(h->name, c->hop[j].name), "two are \"%s\"", h->name);
}

static void check_config(const struct ft_config *c)
{
	FUZZ_CHECK(c->interval_ms >= 100 && c->interval_ms <= 3600000, "%u", c->interval_ms);
	FUZZ_CHECK(c->scan_ms >= 100 && c->scan_ms <= 3600000, "%u", c->scan_ms);
	FUZZ_CHECK(c->max_flows >= 1024 && c->max_flows <= 16777216, "%u", c->max_flows);
	FUZZ_CHECK(c->nhops <= FT_MAX_HOPS && c->source < FT_NSOURCES, "%u", c->nhops);
	check_text(c->textfile, sizeof(c->textfile));
	check_text(c->netns_path, sizeof(c->netns_path));
	check_text(c->cgroup, sizeof(c->cgroup));
	for (unsigned int i = 0; i < c->nhops; i++)
		check_hop(c, i);
}

struct tables {
	struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules rules;
};

static void check_rule(const struct ft_config *c, const struct ft_rule *r)
{
	FUZZ_CHECK(r->hop < c->nhops && r->side == c->hop[r->hop].side, "hop %u", r->hop);
	FUZZ_CHECK(r->port_lo && r->port_lo <= r->port_hi, "ports %u-%u", r->port_lo, r->port_hi);
	for (int i = 0; i < 2; i++)
		FUZZ_CHECK(!(r->peer[i] & ~r->peer_mask[i]) && !(r->local[i] & ~r->local_mask[i]),
			   "bits that no address can have");
}

static void compile(const struct ft_config *c, struct tables *ret)
{
	static struct ft_pair_control plan;

	memset(ret, 0, sizeof(*ret));
	FUZZ_CHECK(!ft_config_compile(c, ret->def, &ret->rules), "it cannot be compiled");
	FUZZ_CHECK(ret->rules.count <= FT_MAX_RULES, "%u rules", ret->rules.count);
	for (unsigned int i = 0; i < ret->rules.count; i++)
		check_rule(c, &ret->rules.rule[i]);
	for (unsigned int i = 0; i < c->nhops; i++) {
		const struct ft_hop_def *d = &ret->def[i];
		int at = i;

		check_text(d->name, sizeof(d->name));
		check_text(d->port, sizeof(d->port));
		FUZZ_CHECK(d->from < (int)c->nhops && (d->from >= 0) == !!c->hop[i].from[0],
			   "from %d", d->from);
		for (unsigned int steps = 0; at >= 0; steps++, at = ret->def[at].from)
			FUZZ_CHECK(steps <= c->nhops, "the tree has no root");
	}
	ft_pair_plan(ret->def, c->nhops, &ret->rules, &plan, NULL);
}

static void check_again(const struct ft_config *c)
{
	static struct tables once, twice;
	static struct ft_config again;
	struct ft_buf text = {0}, errors = {0};

	compile(c, &once);
	ft_config_print(c, &text);
	fuzz_check_plain("printed", ft_buf_text(&text), text.len);
	FUZZ_CHECK(!ft_config_parse(ft_buf_text(&text), "printed", &again, &errors), "%s%s",
		   ft_buf_text(&errors), ft_buf_text(&text));
	FUZZ_CHECK(again.nhops == c->nhops, "%u hops became %u", c->nhops, again.nhops);
	compile(&again, &twice);
	for (unsigned int i = 0; i < c->nhops; i++)
		FUZZ_CHECK(!memcmp(&once.def[i], &twice.def[i], sizeof(once.def[i])), "hop %u: %s",
			   i, ft_buf_text(&text));
	FUZZ_CHECK(!memcmp(&once.rules, &twice.rules, sizeof(once.rules)), "other rules: %s",
		   ft_buf_text(&text));
	ft_buf_close(&text);
	ft_buf_close(&errors);
}

static void check_duration(const char *text)
{
	uint32_t ms = 0xa5a5a5a5;

	if (ft_duration_parse(text, &ms))
		FUZZ_CHECK(ms == 0xa5a5a5a5, "written in spite of the error");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ft_config c;
	char *text = fuzz_text(data, size);
	struct ft_buf errors = {0};
	int err;

	memset(&c, 0xa5, sizeof(c));
	err = ft_config_parse(text, "file", &c, &errors);
	if (err) {
		check_errors(&errors, text);
		FUZZ_CHECK(c.nhops == 0xa5a5a5a5, "written in spite of the errors");
	} else {
		FUZZ_CHECK(!errors.len, "%s", ft_buf_text(&errors));
		check_config(&c);
		check_again(&c);
	}
	check_duration(text);
	ft_buf_close(&errors);
	free(text);
	return 0;
}
