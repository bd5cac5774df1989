/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One flow as a JSON object or as a line of a table. What a flow that was open before
 * counting began cannot tell (when it opened, and so its age) is absent, never guessed. */
#include <math.h>

#include "addr.h"
#include "tcp.h"
#include "view.h"
#include "view_json_internal.h"

#define NS_PER_S	1000000000ULL
#define PATH_BITS	4
#define PATH_MAX_STATES (sizeof(((struct ft_flow *)0)->path) * 8 / PATH_BITS)

/* Days since 1970 -> the date in the Gregorian calendar. libc's gmtime looks at TZ. */
static void civil(uint64_t days, unsigned int *ret_year, unsigned int *ret_month,
		  unsigned int *ret_day)
{
	/* Years here begin on 1 March, so that the leap day is the last of its year. */
	uint64_t shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153;

	*ret_day = of_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = year + era * 400 + (*ret_month <= 2);
}

void ft_time_format(uint64_t real_ns, char ret[32])
{
	uint64_t seconds = real_ns / NS_PER_S;
	unsigned int of_day = seconds % 86400, year, month, day;

	civil(seconds / 86400, &year, &month, &day);
	snprintf(ret, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month % 100,
		 day % 100, of_day / 3600, of_day / 60 % 60, of_day % 60,
		 (unsigned int)(real_ns % NS_PER_S / 1000000));
}

/* --- facts of a flow --- */

static bool opening_seen(const struct ft_flow *flow)
{
	return flow->opened_ns && !(flow->flags & FT_FLOW_PREEXISTING);
}

/* Seconds since the flow opened. It can open between the reading of the clock and of the
 * table: that is age 0. */
static double age(const struct ft_view_flow *f)
{
	if (!opening_seen(f->flow))
		return NAN;
	if (f->flow->opened_ns > f->mono_ns)
		return 0;
	return (double)(f->mono_ns - f->flow->opened_ns) / NS_PER_S;
}

static double idle(const struct ft_view_flow *f)
{
	return f->row ? (double)f->row->idle_ns / NS_PER_S : NAN;
}

/* The states that were visited, oldest first; returns how many. */
static unsigned int visited(const struct ft_flow *flow, unsigned char ret[PATH_MAX_STATES])
{
	unsigned int n = 0;

	while (n < PATH_MAX_STATES && (flow->path >> (n * PATH_BITS) & 0xf))
		n++;
	for (unsigned int i = 0; i < n; i++)
		ret[i] = flow->path >> ((n - 1 - i) * PATH_BITS) & 0xf;
	return n;
}

/* --- JSON --- */

static json_t *opened(const struct ft_view_flow *f)
{
	uint64_t age_ns = f->mono_ns - f->flow->opened_ns;
	char time[32];

	if (!opening_seen(f->flow))
		return json_null();
	if (f->flow->opened_ns > f->mono_ns)
		age_ns = 0;
	ft_time_format(f->real_ns > age_ns ? f->real_ns - age_ns : 0, time);
	return json_string(time);
}

static json_t *transitions(const struct ft_flow *flow)
{
	unsigned char state[PATH_MAX_STATES];
	unsigned int n = visited(flow, state);
	json_t *array = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(array, json_string(ft_state_name(state[i])));
	if (json_array_size(array) == n)
		return array;
	json_decref(array);
	return NULL;
}

/* As `show pairs` names them. */
static json_t *pairs(const struct ft_view_flow *f)
{
	json_t *array = f->pair ? json_array() : json_null();
	char id[40];

	for (size_t i = 0; f->pair && i < f->npairs; i++) {
		snprintf(id, sizeof(id), "%llx-%llx", (unsigned long long)f->pair[i][0],
			 (unsigned long long)f->pair[i][1]);
		json_array_append_new(array, json_string(id));
	}
	return array;
}

int ft_view_flow_json(const struct ft_view_flow *f, struct ft_buf *out)
{
	const struct ft_flow *flow = f->flow;
	json_t *root = json_pack(
		"{s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "hop",
		ft_json_name(f->hop), "state", ft_state_name(flow->state), "local",
		ft_json_endpoint(flow->laddr, flow->lport), "remote",
		ft_json_endpoint(flow->raddr, flow->rport), "opened", opened(f), "age_seconds",
		ft_json_real(age(f)), "idle_seconds", ft_json_real(idle(f)), "process",
		ft_json_name(f->process), "pid", f->pid ? json_integer(f->pid) : json_null(),
		"netns", flow->netns ? json_integer(flow->netns) : json_null(), "transitions",
		transitions(flow), "unread_bytes",
		f->row ? json_integer(f->row->unread_bytes) : json_null(), "stale",
		f->row ? json_boolean(f->row->stale) : json_null(), "pairs", pairs(f), "exchanges",
		f->exchanges ? json_integer(*f->exchanges) : json_null());

	return ft_json_add(root, out);
}

/* --- text --- */

#define ROW "%-16s  %-11s  %-21s  %-21s  %9s  %9s  %8s  %7s  %-15s  %s\n"

void ft_view_flow_header(struct ft_buf *out)
{
	ft_buf_printf(out, ROW, "HOP", "STATE", "LOCAL", "REMOTE", "AGE", "IDLE", "UNREAD", "PID",
		      "PROCESS", "TRANSITIONS");
}

static void put_seconds(double value, char ret[24])
{
	if (isfinite(value))
		snprintf(ret, 24, "%.1fs", value);
	else
		snprintf(ret, 24, "-");
}

static void put_count(bool known, unsigned int value, char ret[24])
{
	if (known)
		snprintf(ret, 24, "%u", value);
	else
		snprintf(ret, 24, "-");
}

static void put_text(const char *value, char *ret, size_t size)
{
	ft_text_ascii(value && *value ? value : "-", size, ret, size);
}

static void put_path(const struct ft_flow *flow, char *ret, size_t size)
{
	unsigned char state[PATH_MAX_STATES];
	unsigned int n = visited(flow, state);
	size_t len = 0;

	snprintf(ret, size, "-");
	for (unsigned int i = 0; i < n; i++)
		len += snprintf(ret + len, size - len, "%s%s", i ? ">" : "",
				ft_state_name(state[i]));
}

void ft_view_flow_text(const struct ft_view_flow *f, struct ft_buf *out)
{
	char hop[FT_NAME_LEN], process[FT_COMM_LEN], path[PATH_MAX_STATES * 16];
	char local[FT_ADDR_TEXT], remote[FT_ADDR_TEXT];
	char age_text[24], idle_text[24], unread[24], pid[24];

	put_text(f->hop, hop, sizeof(hop));
	put_text(f->process, process, sizeof(process));
	put_path(f->flow, path, sizeof(path));
	put_seconds(age(f), age_text);
	put_seconds(idle(f), idle_text);
	put_count(f->row, f->row ? f->row->unread_bytes : 0, unread);
	put_count(f->pid, f->pid, pid);
	ft_addr_format(f->flow->laddr, f->flow->lport, local);
	ft_addr_format(f->flow->raddr, f->flow->rport, remote);
	ft_buf_printf(out, ROW, hop, ft_state_name(f->flow->state), local, remote, age_text,
		      idle_text, unread, pid, process, path);
}
