/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong between hops: names, the tree of `from`, and rules that can never match.
 * Rules are compared as the kernel will see them, so that two spellings of one address
 * ("10.1.2.3/8" and "10.0.0.0/8") are one. */
#include <string.h>

#include "config_internal.h"

static void check_names(const struct ft_config *c, struct ft_errors *errors)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		int first = ft_config_find(c, c->hop[i].name);

		if (c->hop[i].name[0] && first >= 0 && first < (int)i)
			ft_errors_add(errors, c->hop[i].line,
				      "the name \"%s\" is taken by the hop in line %d",
				      ft_config_quote(c->hop[i].name).text, c->hop[first].line);
	}
}

static void unknown_from(const struct ft_config *c, const struct ft_config_hop *h,
			 struct ft_errors *errors)
{
	const char *names[FT_MAX_HOPS], *near;

	for (unsigned int i = 0; i < c->nhops; i++)
		names[i] = c->hop[i].name;
	near = ft_config_nearest(h->from, names, c->nhops);
	ft_errors_add(errors, h->line, "hop \"%s\": from: there is no hop \"%s\"%s%s%s",
		      ft_config_quote(h->name).text, ft_config_quote(h->from).text,
		      near ? ", did you mean \"" : "", near ? ft_config_quote(near).text : "",
		      near ? "\"?" : "");
}

/* The lowest index on the loop that `from` leads into from hop i, if i is that hop. */
static bool leads_loop(const struct ft_config *c, unsigned int first, struct ft_buf *way)
{
	unsigned int i = first;

	ft_buf_printf(way, "%s", ft_config_quote(c->hop[first].name).text);
	for (unsigned int steps = 0; steps < c->nhops; steps++) {
		int next = c->hop[i].from[0] ? ft_config_find(c, c->hop[i].from) : -1;

		if (next < (int)first) /* no loop, or one that its lowest hop reports */
			return false;
		i = (unsigned int)next;
		ft_buf_printf(way, " -> %s", ft_config_quote(c->hop[i].name).text);
		if (i == first)
			return true;
	}
	return false;
}

static void check_from(const struct ft_config *c, struct ft_errors *errors)
{
	for (unsigned int i = 0; i < c->nhops; i++) {
		const struct ft_config_hop *h = &c->hop[i];
		struct ft_buf way = {0};

		if (h->from[0] && ft_config_find(c, h->from) < 0)
			unknown_from(c, h, errors);
		else if (h->from[0] && leads_loop(c, i, &way))
			ft_errors_add(errors, h->line, "from makes a loop: %s", ft_buf_text(&way));
		ft_buf_close(&way);
	}
}

/* The first hop before `hop` that has the same rule, or -1. */
static int same_rule(const struct ft_config *c, unsigned int hop, const struct ft_rule *rule)
{
	struct ft_rule other;

	for (unsigned int i = 0; i < hop; i++) {
		for (unsigned int j = 0; j < c->hop[i].nendpoints; j++) {
			if (!ft_config_rule(&c->hop[i], &c->hop[i].endpoint[j], hop, &other, NULL,
					    0) &&
			    !memcmp(&other, rule, sizeof(other)))
				return (int)i;
		}
	}
	return -1;
}

static void check_hop_rules(const struct ft_config *c, unsigned int hop, struct ft_errors *errors)
{
	const struct ft_config_hop *h = &c->hop[hop];
	char err[192], text[FT_ADDR_TEXT];
	struct ft_rule rule;
	int other;

	for (unsigned int i = 0; i < h->nendpoints; i++) {
		if (ft_config_rule(h, &h->endpoint[i], hop, &rule, err, sizeof(err))) {
			ft_errors_add(errors, h->line, "hop \"%s\": %s",
				      ft_config_quote(h->name).text, err);
			continue;
		}
		other = same_rule(c, hop, &rule);
		if (other < 0)
			continue;
		ft_endpoint_format(&h->endpoint[i], text);
		ft_errors_add(errors, h->line,
			      "hop \"%s\": %s has the same rule as hop \"%s\" in line %d, which "
			      "would get all of its flows",
			      ft_config_quote(h->name).text, text,
			      ft_config_quote(c->hop[other].name).text, c->hop[other].line);
	}
}

void ft_config_check(const struct ft_config *c, struct ft_errors *errors)
{
	unsigned int nrules = 0;

	check_names(c, errors);
	check_from(c, errors);
	for (unsigned int i = 0; i < c->nhops; i++) {
		check_hop_rules(c, i, errors);
		nrules += c->hop[i].nendpoints;
		if (nrules > FT_MAX_RULES && nrules - c->hop[i].nendpoints <= FT_MAX_RULES)
			ft_errors_add(errors, c->hop[i].line,
				      "from hop \"%s\" on there are more than %d addresses in all",
				      ft_config_quote(c->hop[i].name).text, FT_MAX_RULES);
	}
}
