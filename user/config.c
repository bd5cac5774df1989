/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The configuration file: its keys outside `hops`, and the order of the passes that read it.
 * Nothing stops at the first error (except libconfig, at a syntax error): who edits the file
 * during an incident gets all of them at once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"
#include "tcp.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define INTERVAL_MIN_MS 100

void ft_config_default(struct ft_config *c)
{
	*c = (struct ft_config){
		.interval_ms = 1000,
		.scan_ms = 5000,
		.textfile = FT_DEFAULT_TEXTFILE,
		.max_flows = 262144,
		.netns = FT_NETNS_ALL,
		.source = FT_SOURCE_TRACEPOINT,
		.pairs = true,
	};
}

int ft_duration_parse(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	size_t len = strspn(text, "0123456789");
	uint64_t n = 0;

	if (len < 1 || len > 10) /* 2^32 ms have 10 digits */
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	for (size_t i = 0; i < COUNT(units); i++) {
		if (strcmp(text + len, units[i].unit))
			continue;
		if (n * units[i].ms > UINT32_MAX)
			return -EINVAL;
		*ret_ms = (uint32_t)(n * units[i].ms);
		return 0;
	}
	return -EINVAL;
}

static void set_interval(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_duration(p, s, INTERVAL_MIN_MS, &p->c->interval_ms);
}

static void set_scan(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_duration(p, s, INTERVAL_MIN_MS, &p->c->scan_ms);
}

static void set_one_shot(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_duration(p, s, 0, &p->c->one_shot_ms);
}

static void set_textfile(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_copy(p, s, p->c->textfile, sizeof(p->c->textfile));
}

static void set_max_flows(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_number(p, s, 1024, 16777216, &p->c->max_flows);
}

static void set_netns(struct ft_config_parser *p, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	if (!strcmp(text, "all")) {
		p->c->netns = FT_NETNS_ALL;
	} else if (!strcmp(text, "own")) {
		p->c->netns = FT_NETNS_OWN;
	} else if (text[0] != '/') {
		ft_config_bad(p, s, "\"%s\" is not \"all\", \"own\" or an absolute path",
			      ft_config_quote(text).text);
	} else if (!ft_config_copy(p, s, p->c->netns_path, sizeof(p->c->netns_path))) {
		p->c->netns = FT_NETNS_PATH;
	}
}

static void set_cgroup(struct ft_config_parser *p, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	if (text[0] && text[0] != '/')
		ft_config_bad(p, s, "\"%s\" is not an absolute path", ft_config_quote(text).text);
	else
		ft_config_copy(p, s, p->c->cgroup, sizeof(p->c->cgroup));
}

static void set_source(struct ft_config_parser *p, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	for (unsigned int i = 0; i < FT_NSOURCES; i++) {
		if (strcmp(text, ft_source_name(i)))
			continue;
		p->c->source = i;
		p->c->source_set = true;
		return;
	}
	ft_config_bad(p, s, "\"%s\" is not \"tracepoint\" or \"sockops\"",
		      ft_config_quote(text).text);
}

static void set_pairs(struct ft_config_parser *p, config_setting_t *s)
{
	p->c->pairs = config_setting_get_bool(s);
}

static void set_quality(struct ft_config_parser *p, config_setting_t *s)
{
	p->c->quality = config_setting_get_bool(s);
}

static const struct ft_config_key keys[] = {
	{"interval", FT_KEY_STRING, set_interval}, {"textfile", FT_KEY_STRING, set_textfile},
	{"scan", FT_KEY_STRING, set_scan},	   {"one_shot", FT_KEY_STRING, set_one_shot},
	{"max_flows", FT_KEY_INT, set_max_flows},  {"netns", FT_KEY_STRING, set_netns},
	{"cgroup", FT_KEY_STRING, set_cgroup},	   {"source", FT_KEY_STRING, set_source},
	{"pairs", FT_KEY_BOOL, set_pairs},	   {"quality", FT_KEY_BOOL, set_quality},
	{"hops", FT_KEY_LIST, ft_config_hops},
};

static void parse_scanned(struct ft_config_parser *p, const char *text)
{
	config_t lc;

	config_init(&lc);
	if (config_read_string(&lc, text)) {
		ft_config_keys(p, config_root_setting(&lc), keys, COUNT(keys));
		ft_config_check(p->c, p->errors);
	} else {
		ft_errors_add(p->errors, config_error_line(&lc), "%s", config_error_text(&lc));
	}
	config_destroy(&lc);
}

static void parse_text(struct ft_config_parser *p, const char *text)
{
	struct ft_buf scanned = {0};

	if (ft_config_scan(text, &scanned, p->errors))
		parse_scanned(p, ft_buf_text(&scanned));
	ft_buf_close(&scanned);
}

int ft_config_parse(const char *text, const char *file, struct ft_config *ret,
		    struct ft_buf *errors)
{
	struct ft_errors found = {0};
	struct ft_config c;
	struct ft_config_parser p = {.c = &c, .errors = &found};
	int err;

	ft_config_default(&c);
	parse_text(&p, text);
	ft_errors_print(&found, file, errors);
	err = ft_buf_error(&found.text);
	if (!err && found.count)
		err = -EINVAL;
	if (!err)
		*ret = c;
	ft_errors_close(&found);
	return err;
}
