/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A snapshot's text form as it is read. Strict, because a recording comes from another host:
 * nothing that is out of range reaches the model. The first error sticks, so that a reader
 * of fields needs no check after each. Unknown keys are ignored: `schema` says when that
 * would not be safe. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "snapshot.h"
#include "tcp.h"

struct reader {
	int error;
	int hop; /* being read; -1 none */
	char *err;
	size_t err_len;
};

static void __attribute__((format(printf, 2, 3))) fail(struct reader *rd, const char *fmt, ...)
{
	char what[160], where[24] = "";
	va_list args;

	if (rd->error)
		return;
	rd->error = -EINVAL;
	if (rd->hop >= 0)
		snprintf(where, sizeof(where), "hop %d: ", rd->hop);
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (rd->err_len)
		snprintf(rd->err, rd->err_len, "%s%s", where, what);
}

static uint64_t integer(struct reader *rd, const json_t *value, const char *key, uint64_t max)
{
	json_int_t n = json_integer_value(value);

	if (json_is_integer(value) && n >= 0 && (uint64_t)n <= max)
		return n;
	fail(rd, "\"%s\": an integer from 0 to %llu expected", key, (unsigned long long)max);
	return 0;
}

static uint64_t get(struct reader *rd, const json_t *o, const char *key, uint64_t max)
{
	return integer(rd, json_object_get(o, key), key, max);
}

static void get_text(struct reader *rd, const json_t *o, const char *key, char *ret, size_t size)
{
	const char *value = json_string_value(json_object_get(o, key));

	if (value && strlen(value) < size)
		snprintf(ret, size, "%s", value);
	else
		fail(rd, "\"%s\": a string of at most %zu bytes expected", key, size - 1);
}

static bool get_bool(struct reader *rd, const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_boolean(value))
		fail(rd, "\"%s\": true or false expected", key);
	return json_is_true(value);
}

static void get_numbers(struct reader *rd, const json_t *o, const char *key, __u64 *ret,
			unsigned int n)
{
	const json_t *array = json_object_get(o, key);

	if (!json_is_array(array) || json_array_size(array) != n) {
		fail(rd, "\"%s\": an array of %u integers expected", key, n);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		ret[i] = integer(rd, json_array_get(array, i), key, INT64_MAX);
}

/* As many of n as the writer knew; the others are 0. */
static void get_first_numbers(struct reader *rd, const json_t *o, const char *key, __u64 *ret,
			      unsigned int n)
{
	size_t size = json_array_size(json_object_get(o, key));

	get_numbers(rd, o, key, ret, size && size < n ? (unsigned int)size : n);
}

/* The number whose name is the value of `key`. */
static unsigned int get_name(struct reader *rd, const json_t *o, const char *key,
			     const char *(*name)(unsigned int), unsigned int n)
{
	const char *value = json_string_value(json_object_get(o, key));

	for (unsigned int i = 0; value && i < n; i++)
		if (!strcmp(value, name(i)))
			return i;
	fail(rd, "\"%s\": unknown or missing", key);
	return 0;
}

static void get_transitions(struct reader *rd, const json_t *o, struct ft_hop_stats *ret)
{
	const json_t *array = json_object_get(o, "transitions"), *row;
	size_t i;

	if (!json_is_array(array))
		fail(rd, "\"transitions\": an array expected");
	json_array_foreach (array, i, row) {
		uint64_t from, to;

		if (json_array_size(row) != 3)
			fail(rd, "\"transitions\": [from, to, count] expected");
		from = integer(rd, json_array_get(row, 0), "transitions", FT_NSTATES - 1);
		to = integer(rd, json_array_get(row, 1), "transitions", FT_NSTATES - 1);
		if (ret->transition[from][to])
			fail(rd, "\"transitions\": a pair is there twice");
		ret->transition[from][to] =
			integer(rd, json_array_get(row, 2), "transitions", INT64_MAX);
	}
}

static void get_limits(struct reader *rd, const json_t *o, struct ft_hop_limits *ret)
{
	const json_t *drift = json_object_get(o, "drift");

	if (!json_is_integer(drift))
		fail(rd, "\"drift\": an integer expected");
	ret->drift = json_integer_value(drift);
	ret->ports_exhausted_ns = get(rd, o, "ports_exhausted_ns", INT64_MAX);
	ret->ports_used = get(rd, o, "ports_used", UINT32_MAX);
	ret->ports_limit = get(rd, o, "ports_limit", UINT32_MAX);
	ret->files_used = get(rd, o, "files_used", UINT32_MAX);
	ret->files_limit = get(rd, o, "files_limit", UINT32_MAX);
	ret->files_pid = get(rd, o, "files_pid", UINT32_MAX);
	ret->repaired_opens = get(rd, o, "repaired_opens", INT64_MAX);
	ret->repaired_closes = get(rd, o, "repaired_closes", INT64_MAX);
}

static void get_scan(struct reader *rd, const json_t *o, struct ft_scan *ret)
{
	if (!json_is_object(o))
		fail(rd, "\"scan\": an object expected");
	ret->number = get(rd, o, "number", UINT32_MAX);
	ret->mono_ns = get(rd, o, "mono_ns", INT64_MAX);
	ret->duration_ns = get(rd, o, "duration_ns", INT64_MAX);
	ret->period_ns = get(rd, o, "period_ns", INT64_MAX);
	ret->sockets = get(rd, o, "sockets", INT64_MAX);
}

static void read_hop(struct reader *rd, const json_t *o, struct ft_snapshot *s, unsigned int i)
{
	struct ft_hop_def *d = &s->def[i];
	struct ft_hop_stats *st = &s->stats[i];
	const json_t *from = json_object_get(o, "from"), *peers = json_object_get(o, "peers");

	get_text(rd, o, "name", d->name, sizeof(d->name));
	get_text(rd, o, "port", d->port, sizeof(d->port));
	get_text(rd, o, "process", d->process, sizeof(d->process));
	d->side = get_name(rd, o, "side", ft_side_name, FT_NSIDES);
	d->from = -1;
	if (!json_is_integer(from) || json_integer_value(from) != -1)
		d->from = integer(rd, from, "from", s->nhops - 1);
	d->discovered = get_bool(rd, o, "discovered");
	d->retired = json_is_true(json_object_get(o, "retired"));
	d->limit = get(rd, o, "limit", UINT32_MAX);
	s->peers[i] = FT_PEERS_UNKNOWN;
	if (!json_is_null(peers))
		s->peers[i] = integer(rd, peers, "peers", FT_PEERS_UNKNOWN - 1);
	st->opened = get(rd, o, "opened", INT64_MAX);
	st->preexisting = get(rd, o, "preexisting", INT64_MAX);
	get_numbers(rd, o, "closed", st->closed, FT_NCLOSED);
	get_numbers(rd, o, "failed", st->failed, FT_NFAILED);
	get_numbers(rd, o, "lifetime", st->lifetime, FT_NLIFETIME);
	st->lifetime_sum_ns = get(rd, o, "lifetime_sum_ns", INT64_MAX);
	get_transitions(rd, o, st);
	d->keepalive_ms = get(rd, o, "keepalive_ms", UINT32_MAX);
	st->one_shot = get(rd, o, "one_shot", INT64_MAX);
	get_numbers(rd, o, "found", (__u64 *)&s->found[i], sizeof(s->found[i]) / sizeof(__u64));
	get_limits(rd, json_object_get(o, "limits"), &s->limits[i]);
	get_numbers(rd, o, "pairs", (__u64 *)&s->pairs[i], sizeof(s->pairs[i]) / sizeof(__u64));
}

static void read_hops(struct reader *rd, const json_t *array, struct ft_snapshot *s)
{
	if (!json_is_array(array) || json_array_size(array) > FT_MAX_HOPS) {
		fail(rd, "\"hops\": an array of at most %d hops expected", FT_MAX_HOPS);
		return;
	}
	s->nhops = json_array_size(array);
	for (unsigned int i = 0; i < s->nhops && !rd->error; i++) {
		rd->hop = i;
		read_hop(rd, json_array_get(array, i), s, i);
		if (!s->def[i].name[0])
			fail(rd, "\"name\": empty");
		/* Names are the labels of the series: two of one name would be one series. */
		for (unsigned int j = 0; j < i; j++)
			if (!s->def[i].retired && !s->def[j].retired &&
			    !strcmp(s->def[i].name, s->def[j].name))
				fail(rd, "\"name\": hop %u has the same", j);
	}
	rd->hop = -1;
}

static void get_losses(struct reader *rd, json_t *o, struct ft_totals *ret)
{
	const json_t *value;
	const char *name;

	if (!json_is_object(o))
		fail(rd, "\"loss\": an object expected");
	json_object_foreach (o, name, value) {
		unsigned int i = 0;

		while (i < FT_NLOSS && strcmp(name, ft_loss_name(i)))
			i++;
		if (i == FT_NLOSS)
			fail(rd, "\"loss\": unknown reason \"%.40s\"", name);
		else
			ret->loss[i] = integer(rd, value, name, INT64_MAX);
	}
}

static void read_root(struct reader *rd, const json_t *root, struct ft_snapshot *s)
{
	const json_t *totals = json_object_get(root, "totals");

	if (get(rd, root, "schema", INT64_MAX) != FT_SNAPSHOT_SCHEMA)
		fail(rd, "\"schema\": only %d is understood", FT_SNAPSHOT_SCHEMA);
	s->mono_ns = get(rd, root, "mono_ns", INT64_MAX);
	s->real_ns = get(rd, root, "real_ns", INT64_MAX);
	s->start_ns = get(rd, root, "start_ns", INT64_MAX);
	get_text(rd, root, "host", s->host, sizeof(s->host));
	get_text(rd, root, "version", s->version, sizeof(s->version));
	s->source = get_name(rd, root, "source", ft_source_name, FT_NSOURCES);
	s->counting = get_bool(rd, root, "counting");
	s->max_flows = get(rd, root, "max_flows", UINT32_MAX);
	read_hops(rd, json_object_get(root, "hops"), s);
	get_scan(rd, json_object_get(root, "scan"), &s->scan);
	get_first_numbers(rd, root, "pair_loss", s->pair_loss.loss, FT_NPAIR_LOSS);
	get_losses(rd, json_object_get(totals, "loss"), &s->totals);
	if (json_object_get(root, "undiscovered"))
		s->undiscovered = get(rd, root, "undiscovered", UINT32_MAX);
	s->totals.rescued = get(rd, totals, "rescued", INT64_MAX);
}

int ft_snapshot_from_json(const char *json, struct ft_snapshot *out, char *err, size_t err_len)
{
	struct reader rd = {.hop = -1, .err = err, .err_len = err_len};
	struct ft_snapshot s;
	json_error_t where;
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &where);

	if (!root) {
		fail(&rd, "column %d: %.120s", where.column, where.text);
		return rd.error;
	}
	memset(&s, 0, sizeof(s));
	read_root(&rd, root, &s);
	json_decref(root);
	if (!rd.error)
		*out = s;
	return rd.error;
}
