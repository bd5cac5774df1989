/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list `hops`: one group per hop, one table row per key. A hop with an error stays in
 * the list (as far as it could be read), so that a `from` that names it is no second error. */
#include <stdio.h>
#include <string.h>

#include "config_internal.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:>@-"

bool ft_config_is_name(const char *text)
{
	return text[0] && !text[strspn(text, NAME_LETTERS)];
}

static void set_name(struct ft_config_parser *p, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	snprintf(p->hop->name, sizeof(p->hop->name), "%s", text);
	if (!text[0])
		ft_config_bad(p, s, "is empty");
	else if (strlen(text) >= sizeof(p->hop->name))
		ft_config_bad(p, s, "\"%s\" is longer than %zu characters",
			      ft_config_quote(text).text, sizeof(p->hop->name) - 1);
	else if (!ft_config_is_name(text))
		ft_config_bad(p, s, "\"%s\" may only have letters, digits and _ . : > @ -",
			      ft_config_quote(text).text);
}

static void add_endpoint(struct ft_config_parser *p, const config_setting_t *s, const char *text)
{
	struct ft_config_hop *h = p->hop;
	struct ft_endpoint e;
	char err[128];

	if (ft_endpoint_parse(text, &e, err, sizeof(err)))
		ft_config_bad(p, s, "\"%s\": %s", ft_config_quote(text).text,
			      ft_config_quote(err).text);
	else
		h->endpoint[h->nendpoints++] = e;
}

/* The line is that of the key: libconfig gives a list's elements the line of what follows. */
static void set_endpoints(struct ft_config_parser *p, config_setting_t *s, uint8_t side)
{
	int n = config_setting_length(s);

	if (p->hop->nendpoints) /* both accept and connect; ft_config_hops() says it */
		return;
	p->hop->side = side;
	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		add_endpoint(p, s, config_setting_get_string(s));
		return;
	}
	if (n > FT_HOP_ENDPOINTS) {
		ft_config_bad(p, s, "%d addresses, a hop has at most %d", n, FT_HOP_ENDPOINTS);
		return;
	}
	for (int i = 0; i < n; i++)
		add_endpoint(p, s, config_setting_get_string_elem(s, i));
}

static void set_accept(struct ft_config_parser *p, config_setting_t *s)
{
	set_endpoints(p, s, FT_ACCEPT);
}

static void set_connect(struct ft_config_parser *p, config_setting_t *s)
{
	set_endpoints(p, s, FT_CONNECT);
}

static void set_from(struct ft_config_parser *p, config_setting_t *s)
{
	if (!config_setting_get_string(s)[0])
		ft_config_bad(p, s, "is empty");
	else
		ft_config_copy(p, s, p->hop->from, sizeof(p->hop->from));
}

static void set_process(struct ft_config_parser *p, config_setting_t *s)
{
	if (!config_setting_get_string(s)[0])
		ft_config_bad(p, s, "is empty");
	else
		ft_config_copy(p, s, p->hop->process, sizeof(p->hop->process));
}

static void set_peer(struct ft_config_parser *p, config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	struct ft_prefix peer;
	char err[128];

	if (ft_prefix_parse(text, &peer, err, sizeof(err))) {
		ft_config_bad(p, s, "%s", ft_config_quote(err).text);
	} else if (peer.negated && !peer.len) {
		ft_config_bad(p, s, "\"%s\" leaves nothing that could match", text);
	} else {
		p->hop->peer = peer;
		p->hop->has_peer = peer.len > 0;
	}
}

static void set_limit(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_number(p, s, 0, 1000000000, &p->hop->limit);
}

static void set_keepalive(struct ft_config_parser *p, config_setting_t *s)
{
	ft_config_duration(p, s, 1, &p->hop->keepalive_ms);
}

static const struct ft_config_key keys[] = {
	{"name", FT_KEY_STRING, set_name},	  {"accept", FT_KEY_STRINGS, set_accept},
	{"connect", FT_KEY_STRINGS, set_connect}, {"from", FT_KEY_STRING, set_from},
	{"process", FT_KEY_STRING, set_process},  {"peer", FT_KEY_STRING, set_peer},
	{"limit", FT_KEY_INT, set_limit},	  {"keepalive", FT_KEY_STRING, set_keepalive},
};

static void read_hop(struct ft_config_parser *p, config_setting_t *group)
{
	bool accept = config_setting_get_member(group, "accept");
	bool connect = config_setting_get_member(group, "connect");
	const char *which = accept ? "both" : "neither";

	ft_config_keys(p, group, keys, COUNT(keys));
	if (!config_setting_get_member(group, "name"))
		ft_errors_add(p->errors, p->hop->line, "the hop has no \"name\"");
	if (accept == connect)
		ft_errors_add(p->errors, p->hop->line,
			      "hop \"%s\" has %s \"accept\" %s \"connect\", it needs one of them",
			      ft_config_quote(p->hop->name).text, which, accept ? "and" : "nor");
}

void ft_config_hops(struct ft_config_parser *p, config_setting_t *list)
{
	struct ft_config_hop spare = {0}; /* what has no place is read too, for its errors */
	int n = config_setting_length(list);

	for (int i = 0; i < n; i++) {
		config_setting_t *group = config_setting_get_elem(list, (unsigned int)i);

		if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
			ft_errors_add(p->errors, (int)config_setting_source_line(group),
				      "hops: number %d is not a group { ... }", i + 1);
			continue;
		}
		p->hop = p->c->nhops < FT_MAX_HOPS ? &p->c->hop[p->c->nhops++] : &spare;
		*p->hop = (struct ft_config_hop){
			.line = (int)config_setting_source_line(group),
			.order = (unsigned int)i,
		};
		read_hop(p, group);
	}
	if (n > FT_MAX_HOPS)
		ft_config_bad(p, list, "%d hops, there may be at most %d", n, FT_MAX_HOPS);
}
