/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Listeners, destinations and namespaces, one JSON object or one line each. */
#include <stdio.h>

#include "addr.h"
#include "tcp.h"
#include "view.h"
#include "view_json_internal.h"

static json_t *number_if(uint64_t value)
{
	return value ? ft_json_number(value) : json_null();
}

void ft_view_list_begin(const struct ft_report *r, const char *name, struct ft_buf *out)
{
	char time[32];

	ft_time_format(r->real_ns, time);
	ft_buf_printf(out, "{\"schema\":1,\"time\":\"%s\",\"host\":\"", time);
	for (const char *c = r->host; *c; c++) /* host names are ASCII; the rest is not said */
		if (*c > ' ' && *c < 127 && *c != '"' && *c != '\\')
			ft_buf_add(out, c, 1);
	ft_buf_printf(out, "\",\"source\":\"%s\",\"uptime_seconds\":%.3f,\"%s\":[",
		      ft_source_name(r->source), r->uptime_seconds, name);
}

/* --- listeners --- */

int ft_view_listener_json(const struct ft_view_listener *v, struct ft_buf *out)
{
	const struct ft_listener *l = v->listener;

	return ft_json_add(
		json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I}", "hop", ft_json_name(v->hop), "local",
			  ft_json_endpoint(l->addr, l->port), "netns", number_if(l->netns),
			  "process", ft_json_name(v->process), "pid", number_if(v->pid), "backlog",
			  (json_int_t)l->backlog, "backlog_limit", (json_int_t)l->backlog_limit,
			  "syn_backlog", (json_int_t)l->syn_backlog),
		out);
}

#define LISTENER "%-24s  %-16s  %-15s  %7s  %7s  %7s  %7s  %s\n"

void ft_view_listener_header(struct ft_buf *out)
{
	ft_buf_printf(out, LISTENER, "LOCAL", "HOP", "PROCESS", "PID", "BACKLOG", "LIMIT", "SYN",
		      "NETNS");
}

static void put_text(const char *value, char *ret, size_t size)
{
	ft_text_ascii(value && *value ? value : "-", size, ret, size);
}

static void put_number(bool known, uint64_t value, char ret[24])
{
	if (known)
		snprintf(ret, 24, "%llu", (unsigned long long)value);
	else
		snprintf(ret, 24, "-");
}

/* Any address is kept as :: for IPv4, too: brackets would promise IPv6. */
static void put_listening(const struct ft_listener *l, char ret[FT_ADDR_TEXT])
{
	if (ft_addr_is_any(l->addr))
		snprintf(ret, FT_ADDR_TEXT, "*:%u", l->port);
	else
		ft_addr_format(l->addr, l->port, ret);
}

void ft_view_listener_text(const struct ft_view_listener *v, struct ft_buf *out)
{
	const struct ft_listener *l = v->listener;
	char local[FT_ADDR_TEXT], hop[FT_NAME_LEN], process[FT_COMM_LEN];
	char pid[24], backlog[24], limit[24], syn[24], netns[24];

	put_listening(l, local);
	put_text(v->hop, hop, sizeof(hop));
	put_text(v->process, process, sizeof(process));
	put_number(v->pid, v->pid, pid);
	put_number(l->backlog_limit, l->backlog, backlog);
	put_number(l->backlog_limit, l->backlog_limit, limit);
	put_number(l->backlog_limit, l->syn_backlog, syn);
	put_number(l->netns, l->netns, netns);
	ft_buf_printf(out, LISTENER, local, hop, process, pid, backlog, limit, syn, netns);
}

/* --- namespaces --- */

int ft_view_space_json(unsigned int netns, const struct ft_space *s, struct ft_buf *out)
{
	return ft_json_add(json_pack("{s:I,s:o,s:o,s:o}", "netns", (json_int_t)netns,
				     "listen_overflows", ft_json_number(s->listen_overflows),
				     "listen_drops", ft_json_number(s->listen_drops), "ports",
				     number_if(s->ports)),
			   out);
}

void ft_view_space_text(unsigned int netns, const struct ft_space *s, struct ft_buf *out)
{
	ft_buf_printf(out,
		      "namespace %u: %llu times a handshake found an accept queue full "
		      "(ListenOverflows, retries included), %llu were dropped (ListenDrops)\n",
		      netns, (unsigned long long)s->listen_overflows,
		      (unsigned long long)s->listen_drops);
}

/* --- ports --- */

int ft_view_ports_json(const struct ft_view_ports *v, struct ft_buf *out)
{
	const struct ft_ports_key *k = v->key;
	char local[FT_ADDR_TEXT];

	ft_ip_format(k->laddr, local);
	return ft_json_add(
		json_pack("{s:o,s:s,s:o,s:o,s:I,s:I,s:o,s:o}", "hop", ft_json_name(v->hop), "local",
			  local, "remote", ft_json_endpoint(k->raddr, k->rport), "netns",
			  number_if(k->netns), "used", (json_int_t)v->used->used, "time_wait",
			  (json_int_t)v->used->time_wait, "limit", number_if(v->limit),
			  "exhausted_in_seconds",
			  v->exhausted_ns ? json_real((double)v->exhausted_ns / 1e9) : json_null()),
		out);
}

#define PORTS "%-16s  %-24s  %-24s  %7s  %9s  %7s  %8s  %s\n"

void ft_view_ports_header(struct ft_buf *out)
{
	ft_buf_printf(out, PORTS, "HOP", "LOCAL", "REMOTE", "USED", "TIME_WAIT", "LIMIT", "FULL-IN",
		      "NETNS");
}

void ft_view_ports_text(const struct ft_view_ports *v, struct ft_buf *out)
{
	const struct ft_ports_key *k = v->key;
	char hop[FT_NAME_LEN], local[FT_ADDR_TEXT], remote[FT_ADDR_TEXT];
	char used[24], time_wait[24], limit[24], full[24] = "-", netns[24];

	put_text(v->hop, hop, sizeof(hop));
	ft_ip_format(k->laddr, local);
	ft_addr_format(k->raddr, k->rport, remote);
	put_number(true, v->used->used, used);
	put_number(true, v->used->time_wait, time_wait);
	put_number(v->limit, v->limit, limit);
	put_number(k->netns, k->netns, netns);
	if (v->exhausted_ns)
		snprintf(full, sizeof(full), "%.0fs", (double)v->exhausted_ns / 1e9);
	ft_buf_printf(out, PORTS, hop, local, remote, used, time_wait, limit, full, netns);
}

/* --- pairs --- */

static json_t *end_of(const char *hop, const struct ft_flow *f)
{
	return json_pack("{s:o,s:o,s:o}", "hop", ft_json_name(hop), "local",
			 ft_json_endpoint(f->laddr, f->lport), "remote",
			 ft_json_endpoint(f->raddr, f->rport));
}

static json_t *time_of(const struct ft_view_pair *v, uint64_t mono_ns)
{
	uint64_t age = v->mono_ns > mono_ns ? v->mono_ns - mono_ns : 0;
	char time[32];

	ft_time_format(v->real_ns > age ? v->real_ns - age : 0, time);
	return json_string(time);
}

int ft_view_pair_json(const struct ft_view_pair *v, struct ft_buf *out)
{
	char id[40];

	snprintf(id, sizeof(id), "%llx-%llx", (unsigned long long)v->a_id,
		 (unsigned long long)v->b_id);
	return ft_json_add(json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "id", id, "a",
				     end_of(v->a_hop, v->a), "b", end_of(v->b_hop, v->b), "writes",
				     ft_json_number(v->writes), "first", time_of(v, v->first_ns),
				     "last", time_of(v, v->last_ns)),
			   out);
}

#define PAIR "%-12s  %-24s  %-24s  %-12s  %-24s  %-24s  %8s  %8s  %8s\n"

void ft_view_pair_header(struct ft_buf *out)
{
	ft_buf_printf(out, PAIR, "A", "PEER", "LOCAL", "B", "LOCAL", "REMOTE", "WRITES", "SINCE",
		      "LAST");
}

static void put_age(const struct ft_view_pair *v, uint64_t mono_ns, char ret[24])
{
	uint64_t age = v->mono_ns > mono_ns ? v->mono_ns - mono_ns : 0;

	snprintf(ret, 24, "%.1fs", (double)age / 1e9);
}

void ft_view_pair_text(const struct ft_view_pair *v, struct ft_buf *out)
{
	char a[FT_NAME_LEN], b[FT_NAME_LEN], writes[24], first[24], last[24];
	char a_remote[FT_ADDR_TEXT], a_local[FT_ADDR_TEXT], b_local[FT_ADDR_TEXT],
		b_remote[FT_ADDR_TEXT];

	put_text(v->a_hop, a, sizeof(a));
	put_text(v->b_hop, b, sizeof(b));
	ft_addr_format(v->a->raddr, v->a->rport, a_remote);
	ft_addr_format(v->a->laddr, v->a->lport, a_local);
	ft_addr_format(v->b->laddr, v->b->lport, b_local);
	ft_addr_format(v->b->raddr, v->b->rport, b_remote);
	put_number(true, v->writes, writes);
	put_age(v, v->first_ns, first);
	put_age(v, v->last_ns, last);
	ft_buf_printf(out, PAIR, a, a_remote, a_local, b, b_local, b_remote, writes, first, last);
}
