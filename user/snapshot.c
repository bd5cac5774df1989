/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A snapshot's arithmetic, and its text form as it is written. Names come from outside and
 * are cleaned here, in the one place where every printer finds it. json_pack gives NULL when
 * any part of it is NULL, so that memory is checked once. */
#include <jansson.h>
#include <string.h>

#include "snapshot.h"
#include "tcp.h"

uint64_t ft_hop_closed(const struct ft_hop_stats *s)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < FT_NCLOSED; i++)
		sum += s->closed[i];
	return sum;
}

uint64_t ft_hop_active(const struct ft_hop_stats *s)
{
	uint64_t in = s->preexisting + s->opened, out = ft_hop_closed(s);

	return in > out ? in - out : 0;
}

uint64_t ft_hop_in_state(const struct ft_hop_stats *s, unsigned int state)
{
	uint64_t in = 0, out = 0;

	if (state >= FT_NSTATES)
		return 0;
	for (unsigned int i = 0; i < FT_NSTATES; i++) {
		in += s->transition[i][state];
		out += s->transition[state][i];
	}
	return in > out ? in - out : 0;
}

/* --- text from outside --- */

/* Bytes of the UTF-8 sequence at s; 0: it is none (overlong, surrogate, cut off). */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	len = (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
	if ((len == 4 && (s[0] & 0xf8) != 0xf0) || len > left)
		return 0;
	code = s[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

void ft_text_utf8(const char *text, size_t max, char *ret, size_t size)
{
	size_t end = strnlen(text, max), at = 0, len = 0;

	while (at < end) {
		size_t n = utf8_sequence((const unsigned char *)text + at, end - at);

		if (len + (n ? n : 1) >= size)
			break;
		if (n)
			memcpy(ret + len, text + at, n);
		else
			ret[len] = '?';
		len += n ? n : 1;
		at += n ? n : 1;
	}
	ret[len] = '\0';
}

void ft_text_ascii(const char *text, size_t max, char *ret, size_t size)
{
	size_t len = 0;

	for (; len < max && len + 1 < size && text[len]; len++)
		ret[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
	ret[len] = '\0';
}

/* --- writing --- */

/* JSON integers are signed in every reader that matters: what does not fit is saturated. */
static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* max is the size of the array the text came in: its last byte is always a NUL here. */
static json_t *text(const char *from, size_t max)
{
	char clean[FT_TEXT_LEN];

	ft_text_utf8(from, max - 1, clean, sizeof(clean));
	return json_string(clean);
}

static json_t *numbers(const __u64 *value, unsigned int n)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(array, number(value[i]));
	/* A failed append is a missing element: seen here once instead of at each. */
	if (json_array_size(array) == n)
		return array;
	json_decref(array);
	return NULL;
}

/* By name, and only what is not 0: a recording outlives the numbers of the reasons. */
static json_t *losses(const struct ft_totals *t)
{
	json_t *o = json_object();
	int bad = !o;

	for (unsigned int i = 0; i < FT_NLOSS; i++)
		if (t->loss[i])
			bad |= json_object_set_new(o, ft_loss_name(i), number(t->loss[i]));
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *transitions(const struct ft_hop_stats *s)
{
	json_t *array = json_array();
	int bad = !array;

	for (int from = 0; from < FT_NSTATES; from++)
		for (int to = 0; to < FT_NSTATES; to++)
			if (s->transition[from][to])
				bad |= json_array_append_new(
					array, json_pack("[i,i,o]", from, to,
							 number(s->transition[from][to])));
	if (!bad)
		return array;
	json_decref(array);
	return NULL;
}

/* The structs consist of numbers of 8 bytes only. */
#define WORDS(type) (sizeof(struct type) / sizeof(__u64))

static json_t *limits(const struct ft_hop_limits *l)
{
	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "drift", (json_int_t)l->drift,
			 "ports_exhausted_ns", number(l->ports_exhausted_ns), "ports_used",
			 number(l->ports_used), "ports_limit", number(l->ports_limit), "files_used",
			 number(l->files_used), "files_limit", number(l->files_limit), "files_pid",
			 number(l->files_pid), "repaired_opens", number(l->repaired_opens),
			 "repaired_closes", number(l->repaired_closes));
}

static json_t *hop_to_json(const struct ft_snapshot *s, unsigned int i)
{
	const struct ft_hop_def *d = &s->def[i];
	const struct ft_hop_stats *st = &s->stats[i];
	json_t *o;

	o = json_pack(
		"{s:o,s:o,s:o,s:s,s:i,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
		"name", text(d->name, sizeof(d->name)), "port", text(d->port, sizeof(d->port)),
		"process", text(d->process, sizeof(d->process)), "side", ft_side_name(d->side),
		"from", (int)d->from, "discovered", !!d->discovered, "limit", number(d->limit),
		"peers", s->peers[i] == FT_PEERS_UNKNOWN ? json_null() : number(s->peers[i]),
		"opened", number(st->opened), "preexisting", number(st->preexisting), "closed",
		numbers(st->closed, FT_NCLOSED), "failed", numbers(st->failed, FT_NFAILED),
		"lifetime", numbers(st->lifetime, FT_NLIFETIME), "lifetime_sum_ns",
		number(st->lifetime_sum_ns), "transitions", transitions(st), "keepalive_ms",
		number(d->keepalive_ms), "one_shot", number(st->one_shot), "found",
		numbers((const __u64 *)&s->found[i], WORDS(ft_hop_scan)), "limits",
		limits(&s->limits[i]), "pairs",
		numbers((const __u64 *)&s->pairs[i], WORDS(ft_hop_pairs)));
	if (o && d->retired) /* rare: it is only said when it is so */
		json_object_set_new(o, "retired", json_true());
	return o;
}

static json_t *hops_to_json(const struct ft_snapshot *s)
{
	unsigned int n = s->nhops < FT_MAX_HOPS ? s->nhops : FT_MAX_HOPS;
	json_t *array = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(array, hop_to_json(s, i));
	if (json_array_size(array) == n)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *scan(const struct ft_scan *c)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "number", number(c->number), "mono_ns",
			 number(c->mono_ns), "duration_ns", number(c->duration_ns), "period_ns",
			 number(c->period_ns), "sockets", number(c->sockets));
}

char *ft_snapshot_to_json(const struct ft_snapshot *s)
{
	const struct ft_totals *t = &s->totals;
	json_t *root;
	char *ret;

	root = json_pack("{s:i,s:o,s:o,s:o,s:o,s:o,s:s,s:b,s:o,s:o,s:o,s:o,s:{s:o,s:o}}", "schema",
			 FT_SNAPSHOT_SCHEMA, "mono_ns", number(s->mono_ns), "real_ns",
			 number(s->real_ns), "start_ns", number(s->start_ns), "host",
			 text(s->host, sizeof(s->host)), "version",
			 text(s->version, sizeof(s->version)), "source", ft_source_name(s->source),
			 "counting", !!s->counting, "max_flows", number(s->max_flows), "hops",
			 hops_to_json(s), "scan", scan(&s->scan), "pair_loss",
			 numbers(s->pair_loss.loss, FT_NPAIR_LOSS), "totals", "loss", losses(t),
			 "rescued", number(t->rescued));
	if (root && s->undiscovered)
		json_object_set_new(root, "undiscovered", number(s->undiscovered));
	ret = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return ret;
}
