/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hops as config text, to be kept as a file. In a file first match wins, as written, so the
 * hops are printed by rank and not by index. A discovered listener's owner is a comment: as
 * a condition it would stop the counting when the service changes its process name. */
#include "config_internal.h"
#include "discover.h"
#include "tcp.h"

static void print_string(const char *text, struct ft_buf *out)
{
	ft_buf_add(out, "\"", 1);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ft_buf_printf(out, "\\%c", *text);
		else if (*text >= ' ' && *text <= '~')
			ft_buf_add(out, text, 1);
		else
			ft_buf_printf(out, "\\x%02x", (unsigned int)(unsigned char)*text);
	}
	ft_buf_add(out, "\"", 1);
}

static void print_key(const char *key, const char *value, struct ft_buf *out)
{
	ft_buf_printf(out, " %s = ", key);
	print_string(value, out);
	ft_buf_add(out, ";", 1);
}

static void print_endpoints(const struct ft_config_hop *h, struct ft_buf *out)
{
	char text[FT_ADDR_TEXT];

	ft_buf_printf(out, " %s = %s", ft_side_name(h->side), h->nendpoints > 1 ? "(" : "");
	for (unsigned int i = 0; i < h->nendpoints; i++) {
		ft_endpoint_format(&h->endpoint[i], text);
		ft_buf_printf(out, "%s\"%s\"", i ? ", " : "", text);
	}
	ft_buf_printf(out, "%s;", h->nendpoints > 1 ? ")" : "");
}

/* For the user to choose. */
static void print_candidates(const struct ft_config *c, unsigned int hop, struct ft_buf *out)
{
	const struct ft_config_hop *h = &c->hop[hop];
	unsigned int candidate[FT_MAX_HOPS], n = 0;

	if (h->discovered && h->side == FT_CONNECT && !h->from[0])
		n = ft_discover_candidates(c, hop, candidate);
	for (unsigned int i = 0; i < n; i++) {
		ft_buf_printf(out, "%s", i ? " or " : "  # from = ");
		print_string(c->hop[candidate[i]].name, out);
	}
	if (n)
		ft_buf_printf(out, ": which one could not be told\n");
}

static void print_hop(const struct ft_config_hop *h, bool last, struct ft_buf *out)
{
	bool remark = h->process[0] && h->discovered && h->side == FT_ACCEPT;
	char peer[FT_ADDR_TEXT];

	ft_buf_printf(out, "  {");
	print_key("name", h->name, out);
	print_endpoints(h, out);
	if (h->from[0])
		print_key("from", h->from, out);
	if (h->process[0] && !remark)
		print_key("process", h->process, out);
	if (h->has_peer) {
		ft_prefix_format(&h->peer, peer);
		print_key("peer", peer, out);
	}
	if (h->limit)
		ft_buf_printf(out, " limit = %u;", h->limit);
	if (h->keepalive_ms)
		ft_buf_printf(out, " keepalive = \"%ums\";", h->keepalive_ms);
	ft_buf_printf(out, " }%s", last ? "" : ",");
	if (remark)
		ft_buf_printf(out, " # %s", ft_config_quote(h->process).text);
	ft_buf_add(out, "\n", 1);
}

void ft_config_print(const struct ft_config *c, struct ft_buf *out)
{
	unsigned int order[FT_MAX_HOPS], n = ft_config_order(c, order);

	ft_buf_printf(out, "# Hops of fantail. The first hop that matches a connection counts it.\n"
			   "hops = (\n");
	for (unsigned int i = 0; i < n; i++) {
		print_candidates(c, order[i], out);
		print_hop(&c->hop[order[i]], i + 1 == n, out);
	}
	ft_buf_printf(out, ");\n");
}
