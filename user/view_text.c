/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Plain tables for people and pipes: ASCII, no escapes, columns as wide as what is in them.
 * A column is a row of a table with a function for its cells, called twice: to measure and
 * to print. An absent number is "-", never 0. */
#include <math.h>
#include <string.h>

#include "tcp.h"
#include "view.h"

#define CELL 192 /* the deepest indentation and the longest name */

struct column;

/* What every cell is made from: row i of what the table is about. */
#define CELL_ARGS const struct ft_report *r, const struct column *c, unsigned int i, char ret[CELL]

struct column {
	const char *title;
	bool left;
	void (*cell)(CELL_ARGS);
	size_t offset; /* for cells that are a plain field: where it is */
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void table(const struct ft_report *r, const struct column *column, unsigned int ncolumns,
		  const unsigned int *row, unsigned int nrows, struct ft_buf *out)
{
	unsigned int width[24];
	char cell[CELL];

	for (unsigned int c = 0; c < ncolumns; c++) {
		width[c] = strlen(column[c].title);
		for (unsigned int i = 0; i < nrows; i++) {
			column[c].cell(r, &column[c], row[i], cell);
			if (strlen(cell) > width[c])
				width[c] = strlen(cell);
		}
	}
	for (unsigned int i = 0; i <= nrows; i++) {
		for (unsigned int c = 0; c < ncolumns; c++) {
			bool last = c + 1 == ncolumns;
			int w = column[c].left ? (last ? 0 : -(int)width[c]) : (int)width[c];

			if (i)
				column[c].cell(r, &column[c], row[i - 1], cell);
			ft_buf_printf(out, "%*s%s", w, i ? cell : column[c].title,
				      last ? "\n" : "  ");
		}
	}
}

/* --- cells --- */

static void put_count(char ret[CELL], uint64_t value)
{
	snprintf(ret, CELL, "%llu", (unsigned long long)value);
}

static void put_real(char ret[CELL], const char *fmt, double value)
{
	if (isfinite(value))
		snprintf(ret, CELL, fmt, value);
	else
		snprintf(ret, CELL, "-");
}

static void put_text(char ret[CELL], const char *value)
{
	ft_text_ascii(*value ? value : "-", CELL - 1, ret, CELL);
}

static void hop_name(CELL_ARGS)
{
	int indent = r->hop[i].depth * 2;

	(void)c;
	memset(ret, ' ', indent);
	ft_text_ascii(r->hop[i].name, FT_NAME_LEN - 1, ret + indent, CELL - indent);
}

static void hop_side(CELL_ARGS)
{
	(void)c;
	put_text(ret, ft_side_name(r->hop[i].side));
}

static void hop_text(CELL_ARGS)
{
	put_text(ret, (const char *)&r->hop[i] + c->offset);
}

/* The first of several addresses: a row is for reading, JSON has them all. */
static void hop_port(CELL_ARGS)
{
	char port[FT_TEXT_LEN];
	size_t first = strcspn(r->hop[i].port, ",");

	(void)c;
	if (first < strlen(r->hop[i].port))
		snprintf(port, sizeof(port), "%.*s,..", (int)first, r->hop[i].port);
	else
		snprintf(port, sizeof(port), "%s", r->hop[i].port);
	put_text(ret, port);
}

static void hop_count(CELL_ARGS)
{
	uint64_t value;

	memcpy(&value, (const char *)&r->hop[i] + c->offset, sizeof(value));
	put_count(ret, value);
}

static void hop_rate(CELL_ARGS)
{
	(void)c;
	put_real(ret, "%.1f", ft_report_rate(r, i));
}

static uint64_t sum(const uint64_t *value, unsigned int n)
{
	uint64_t total = 0;

	while (n--)
		total += value[n];
	return total;
}

/* An accept hop has no connects that could fail: "-" says so. */
static void hop_failed(CELL_ARGS)
{
	uint64_t failed = sum(r->hop[i].failed, FT_NFAILED);

	(void)c;
	if (r->hop[i].side == FT_CONNECT || failed)
		put_count(ret, failed);
	else
		put_text(ret, "");
}

static void hop_closed(CELL_ARGS)
{
	(void)c;
	put_count(ret, sum(r->hop[i].closed, FT_NCLOSED));
}

static void hop_fin_wait(CELL_ARGS)
{
	(void)c;
	put_count(ret, r->hop[i].state[FT_FIN_WAIT1] + r->hop[i].state[FT_FIN_WAIT2]);
}

static void hop_syn_sent(CELL_ARGS)
{
	(void)c;
	if (r->hop[i].side == FT_CONNECT)
		put_count(ret, r->hop[i].state[FT_SYN_SENT]);
	else
		put_text(ret, "");
}

static void hop_ratio(CELL_ARGS)
{
	const struct ft_report_edge *e = ft_report_edge_to(r, i);

	(void)c;
	put_real(ret, "x%.2f", e ? e->stock : NAN);
}

static void hop_flow(CELL_ARGS)
{
	const struct ft_report_edge *e = ft_report_edge_to(r, i);

	(void)c;
	put_real(ret, "x%.2f", e ? ft_report_flow(r, e, NULL) : NAN);
}

#define HOP(field)  offsetof(struct ft_report_hop, field)
#define EDGE(field) offsetof(struct ft_report_edge, field)

static const struct column hop_columns[] = {
	{"HOP", true, hop_name, 0},
	{"SIDE", true, hop_side, 0},
	{"PORT", true, hop_port, 0},
	{"PROCESS", true, hop_text, HOP(process)},
	{"ACTIVE", false, hop_count, HOP(active)},
	{"OPENED/s", false, hop_rate, 0},
	{"OPENED", false, hop_count, HOP(opened)},
	{"FAILED", false, hop_failed, 0},
	{"CLOSED", false, hop_closed, 0},
	{"ESTAB", false, hop_count, HOP(state[FT_ESTABLISHED])},
	{"CLOSE_WAIT", false, hop_count, HOP(state[FT_CLOSE_WAIT])},
	{"FIN_WAIT", false, hop_fin_wait, 0},
	{"SYN_SENT", false, hop_syn_sent, 0},
	{"RATIO", false, hop_ratio, 0},
	{"FLOW", false, hop_flow, 0},
};

/* --- limits: a second table under the hops, from the last scan --- */

static void put_use(char ret[CELL], uint64_t used, uint64_t limit)
{
	if (limit)
		snprintf(ret, CELL, "%llu/%llu", (unsigned long long)used,
			 (unsigned long long)limit);
	else
		put_text(ret, "");
}

static void limit_places(CELL_ARGS)
{
	(void)c;
	put_use(ret, r->hop[i].places.used, r->hop[i].limit);
}

static void limit_held(CELL_ARGS)
{
	(void)c;
	if (r->hop[i].side == FT_ACCEPT)
		put_count(ret, r->hop[i].found.held);
	else
		put_text(ret, "");
}

static void limit_oldest(CELL_ARGS)
{
	const struct ft_hop_scan *f = &r->hop[i].found;

	(void)c;
	put_real(ret, "%.0fs", f->held ? f->held_oldest_ns / 1e9 : NAN);
}

static void limit_backlog(CELL_ARGS)
{
	(void)c;
	put_use(ret, r->hop[i].found.backlog, r->hop[i].found.backlog_limit);
}

static void limit_ports(CELL_ARGS)
{
	(void)c;
	put_use(ret, r->hop[i].limits.ports_used, r->hop[i].limits.ports_limit);
}

static void limit_exhausted(CELL_ARGS)
{
	uint64_t ns = r->hop[i].limits.ports_exhausted_ns;

	(void)c;
	put_real(ret, "%.0fs", ns ? ns / 1e9 : NAN);
}

static void limit_files(CELL_ARGS)
{
	(void)c;
	put_use(ret, r->hop[i].limits.files_used, r->hop[i].limits.files_limit);
}

static void limit_idle_1s(CELL_ARGS)
{
	(void)c;
	put_count(ret, ft_report_idle(&r->hop[i], 0));
}

static void limit_idle_75s(CELL_ARGS)
{
	(void)c;
	put_count(ret, ft_report_idle(&r->hop[i], 2));
}

static void limit_syn_recv(CELL_ARGS)
{
	(void)c;
	if (r->hop[i].side == FT_ACCEPT)
		put_count(ret, r->hop[i].found.syn_recv);
	else
		put_text(ret, "");
}

static void limit_one_shot(CELL_ARGS)
{
	(void)c;
	put_real(ret, "%.0f%%",
		 100 * ft_report_recent(r, r->hop[i].one_shot_in, r->hop[i].one_shot_share));
}

static void limit_drift(CELL_ARGS)
{
	(void)c;
	snprintf(ret, CELL, "%lld", (long long)r->hop[i].limits.drift);
}

static const struct column limit_columns[] = {
	{"HOP", true, hop_name, 0},
	{"PLACES", false, limit_places, 0},
	{"HELD", false, limit_held, 0},
	{"OLDEST", false, limit_oldest, 0},
	{"BACKLOG", false, limit_backlog, 0},
	{"PORTS", false, limit_ports, 0},
	{"FULL-IN", false, limit_exhausted, 0},
	{"FILES", false, limit_files, 0},
	{"IDLE>1s", false, limit_idle_1s, 0},
	{">75s", false, limit_idle_75s, 0},
	{"SILENT", false, hop_count, HOP(found.silent)},
	{"STALE", false, hop_count, HOP(found.stale)},
	{"TIMEWAIT", false, hop_count, HOP(found.time_wait)},
	{"SYNRECV", false, limit_syn_recv, 0},
	{"1-SHOT", false, limit_one_shot, 0},
	{"DRIFT", false, limit_drift, 0},
};

static void edge_end(CELL_ARGS)
{
	int hop;

	memcpy(&hop, (const char *)&r->edge[i] + c->offset, sizeof(hop));
	put_text(ret, r->hop[hop].name);
}

static void edge_active(CELL_ARGS)
{
	int hop;

	memcpy(&hop, (const char *)&r->edge[i] + c->offset, sizeof(hop));
	put_count(ret, r->hop[hop].active);
}

static void edge_ratio(CELL_ARGS)
{
	double value;

	memcpy(&value, (const char *)&r->edge[i] + c->offset, sizeof(value));
	put_real(ret, "x%.2f", value);
}

static void edge_renewal(CELL_ARGS)
{
	(void)c;
	put_real(ret, "%.3f", r->edge[i].renewal[FT_1M]);
}

static void edge_paired(CELL_ARGS)
{
	struct ft_report_paired p;

	(void)c;
	ft_report_paired(&r->hop[r->edge[i].to], &p);
	if (!p.known)
		put_text(ret, "");
	else if (!p.pairable)
		put_text(ret, "not pairable");
	else if (isfinite(p.recent.low) && isnan(p.recent.mean))
		snprintf(ret, CELL, "x%.2f-%.2f", p.recent.low, p.recent.high);
	else
		put_real(ret, "x%.2f", p.recent.mean);
}

static void edge_confidence(CELL_ARGS)
{
	struct ft_report_paired p;

	(void)c;
	ft_report_paired(&r->hop[r->edge[i].to], &p);
	put_real(ret, "%.2f", p.known ? p.confidence : NAN);
}

static void edge_per_exchange(CELL_ARGS)
{
	const struct ft_report_hop *to = &r->hop[r->edge[i].to];

	(void)c;
	put_real(ret, "%.3f",
		 ft_report_recent(r, to->flows_per_exchange, ft_report_flows_per_exchange(to)));
}

static const struct column edge_columns[] = {
	{"FROM", true, edge_end, EDGE(from)},
	{"TO", true, edge_end, EDGE(to)},
	{"ACTIVE_FROM", false, edge_active, EDGE(from)},
	{"ACTIVE_TO", false, edge_active, EDGE(to)},
	{"RATIO", false, edge_ratio, EDGE(stock)},
	{"FLOW_1s", false, edge_ratio, EDGE(flow[FT_1S])},
	{"FLOW_10s", false, edge_ratio, EDGE(flow[FT_10S])},
	{"FLOW_1m", false, edge_ratio, EDGE(flow[FT_1M])},
	{"FLOW_5m", false, edge_ratio, EDGE(flow[FT_5M])},
	{"FLOW_START", false, edge_ratio, EDGE(flow_start)},
	{"RENEWAL/s_1m", false, edge_renewal, 0},
	{"PAIRED", false, edge_paired, 0},
	{"CONFIDENCE", false, edge_confidence, 0},
	{"PER_EXCHANGE", false, edge_per_exchange, 0},
};

/* Rows from FT_NLOSS on are of pairs. */
static void loss_name(CELL_ARGS)
{
	(void)r;
	(void)c;
	if (i < FT_NLOSS)
		put_text(ret, ft_loss_name(i));
	else
		snprintf(ret, CELL, "pairs.%s", ft_pair_loss_name(i - FT_NLOSS));
}

static void loss_count(CELL_ARGS)
{
	(void)c;
	put_count(ret, i < FT_NLOSS ? r->loss[i] : r->pair_loss[i - FT_NLOSS]);
}

static void loss_help(CELL_ARGS)
{
	(void)r;
	(void)c;
	put_text(ret, i < FT_NLOSS ? ft_loss_help(i) : ft_pair_loss_help(i - FT_NLOSS));
}

static const struct column loss_columns[] = {
	{"LOSS", true, loss_name, 0},
	{"COUNT", false, loss_count, 0},
	{"MEANING", true, loss_help, 0},
};

/* --- sentences --- */

static void header(const struct ft_report *r, struct ft_buf *out)
{
	char host[sizeof(r->host)], version[sizeof(r->version)];

	ft_text_ascii(r->host, sizeof(host), host, sizeof(host));
	ft_text_ascii(r->version, sizeof(version), version, sizeof(version));
	ft_buf_printf(out, "fantail %s on %s: source %s, counting for %.0f s, loss %llu%s\n",
		      version, host, ft_source_name(r->source), r->uptime_seconds,
		      (unsigned long long)r->loss_total,
		      r->counting ? "" : "; no agent runs, the kernel goes on counting");
}

static void multiplier(const struct ft_report *r, struct ft_buf *out)
{
	bool by_flow;
	const struct ft_report_edge *e = ft_report_worst(r, &by_flow);
	char from[FT_NAME_LEN], to[FT_NAME_LEN];
	const char *window;
	double flow;

	if (!e || (!by_flow && e->stock < FT_RATIO_HIGH))
		return;
	ft_text_ascii(r->hop[e->from].name, sizeof(from), from, sizeof(from));
	ft_text_ascii(r->hop[e->to].name, sizeof(to), to, sizeof(to));
	flow = ft_report_flow(r, e, &window);
	if (by_flow)
		ft_buf_printf(out, "%s -> %s: each new connection opens %.1f backend flows (%s)\n",
			      from, to, flow, window);
	else
		ft_buf_printf(out, "%s -> %s: each connection costs %.1f backend flows\n", from, to,
			      e->stock);
}

static bool idle(const struct ft_report *r)
{
	for (unsigned int i = 0; i < r->nhops; i++)
		if (r->hop[i].active || ft_report_rate(r, i) > 0)
			return false;
	return true;
}

/* One line for each hop with a limit: what it says decides what to do. */
static void crowds(const struct ft_report *r, int only, struct ft_buf *out)
{
	char text[FT_TEXT_LEN];

	for (unsigned int i = 0; i < r->nhops; i++) {
		if (only >= 0 && (int)r->order[i] != only)
			continue;
		ft_report_places_line(r, r->order[i], text, sizeof(text));
		if (text[0])
			ft_buf_printf(out, "%s\n", text);
	}
}

static void show_limits(const struct ft_report *r, const unsigned int *row, unsigned int n,
			struct ft_buf *out)
{
	if (!r->scanned)
		return;
	ft_buf_printf(out, "\n");
	table(r, limit_columns, COUNT(limit_columns), row, n, out);
}

/* --- the answers --- */

static void show_hops(const struct ft_report *r, int only, struct ft_buf *out)
{
	const unsigned int one = only;

	if (!r->nhops) {
		ft_buf_printf(out, "no hops: nothing listens or connects here; "
				   "try: fantail demo\n");
		return;
	}
	table(r, hop_columns, COUNT(hop_columns), only >= 0 ? &one : r->order,
	      only >= 0 ? 1 : r->nhops, out);
	show_limits(r, only >= 0 ? &one : r->order, only >= 0 ? 1 : r->nhops, out);
	crowds(r, only, out);
	if (only < 0 && idle(r))
		ft_buf_printf(out, "idle: no connection is open and none is being opened; "
				   "counting goes on\n");
	else if (only < 0)
		multiplier(r, out);
}

static void show_edges(const struct ft_report *r, int only, struct ft_buf *out)
{
	unsigned int row[FT_MAX_HOPS], n = 0;

	for (unsigned int i = 0; i < r->nedges; i++)
		if (only < 0 || r->edge[i].from == only || r->edge[i].to == only)
			row[n++] = i;
	if (n)
		table(r, edge_columns, COUNT(edge_columns), row, n, out);
	else
		ft_buf_printf(out, "no edges: no hop here is made on behalf of another\n");
	if (n && only < 0)
		multiplier(r, out);
}

static void show_loss(const struct ft_report *r, struct ft_buf *out)
{
	unsigned int row[FT_NLOSS + FT_NPAIR_LOSS];
	unsigned int n = ft_report_pairs(r) ? COUNT(row) : FT_NLOSS;

	for (unsigned int i = 0; i < n; i++)
		row[i] = i;
	table(r, loss_columns, COUNT(loss_columns), row, n, out);
	ft_buf_printf(out,
		      "rescued: %llu transitions that the second program accounted; nothing was "
		      "lost by them\n",
		      (unsigned long long)r->rescued);
	if (r->undiscovered)
		ft_buf_printf(out,
			      "undiscovered: %llu connects before their destination was a hop; of "
			      "them those count that were open a second later\n",
			      (unsigned long long)r->undiscovered);
	ft_buf_printf(out, "flow table: %llu entries of at most %u\n",
		      (unsigned long long)r->table_entries, r->max_flows);
}

void ft_view_text(const struct ft_report *r, enum ft_show what, int only_hop, struct ft_buf *out)
{
	header(r, out);
	if (what == FT_SHOW_EDGES)
		show_edges(r, only_hop, out);
	else if (what == FT_SHOW_LOSS)
		show_loss(r, out);
	else
		show_hops(r, only_hop, out);
}
