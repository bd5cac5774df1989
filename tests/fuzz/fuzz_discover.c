// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hops from facts. Anybody on the host chooses the name of a process, its ports and whom it
 * connects to; what is made of them is a configuration, and `fantail discover` prints it as one
 * that counts the same flows. */
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "fuzz.h"

#define MAX_FACTS 96

struct facts {
	struct ft_seen_listener listener[MAX_FACTS];
	struct ft_seen_connect connect[MAX_FACTS];
	unsigned int nlisteners, nconnects;
	uint8_t vote[8][3]; /* of which hop for which, how often */
	bool voting;
};

struct tables {
	struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_rules rules;
};

/* An address of few bytes, so that facts meet. */
static void read_addr(struct fuzz_in *in, uint8_t ret[16])
{
	static const uint8_t shape[][16] = {
		{[10] = 0xff, 0xff, 127, 0, 0, 1},
		{[10] = 0xff, 0xff, 10, 0, 0, 0},
		{[10] = 0xff, 0xff, 0, 0, 0, 0},
		{[15] = 1},
		{[15] = 0},
		{0xfe, 0x80, [15] = 7},
		{0x20, 0x01, [15] = 9},
		{[10] = 0xff, 0xff, 8, 8, 8, 8},
	};
	uint8_t choice = fuzz_number(in, 1);

	memcpy(ret, shape[choice & 7], 16);
	ret[15] ^= choice >> 3 & 15;
	ret[choice >> 4] ^= choice & 128 ? fuzz_number(in, 1) : 0;
}

static void read_process(struct fuzz_in *in, char ret[FT_COMM_LEN])
{
	uint8_t choice = fuzz_number(in, 1);

	memset(ret, 0, FT_COMM_LEN);
	if (choice & 0x80)
		fuzz_bytes(in, ret, choice & 15);
	else if (choice)
		memcpy(ret, "nginx\0node\0go", (size_t)(choice & 12) + 1);
}

static void read_facts(struct fuzz_in *in, struct facts *f)
{
	uint8_t n = fuzz_number(in, 1);

	memset(f, 0, sizeof(*f));
	if ((f->voting = n & 0x80))
		fuzz_bytes(in, f->vote, sizeof(f->vote));
	n %= MAX_FACTS;
	for (; n && in->left; n--) {
		uint8_t kind = fuzz_number(in, 1);
		uint16_t port = kind & 2 ? fuzz_number(in, 2) : 80 + (kind >> 4);

		if (kind & 1) {
			struct ft_seen_listener *l = &f->listener[f->nlisteners++];

			read_addr(in, l->addr);
			read_process(in, l->process);
			l->port = port;
			l->flows = kind >> 2;
		} else {
			struct ft_seen_connect *c = &f->connect[f->nconnects++];

			read_addr(in, c->raddr);
			read_process(in, c->process);
			c->rport = port;
			c->flows = kind >> 2;
		}
	}
}

static unsigned int merge(struct ft_config *c, const struct facts *f, unsigned int *ret_dropped)
{
	struct ft_seen_vote vote[8] = {0};
	struct ft_seen seen = {
		.listener = f->listener,
		.nlisteners = f->nlisteners,
		.connect = f->connect,
		.nconnects = f->nconnects,
		.vote = vote,
		.voting = f->voting,
	};

	for (unsigned int i = 0; f->voting && c->nhops && i < 8; i++) {
		struct ft_seen_vote *v = &vote[seen.nvotes++];

		memcpy(v->connect, c->hop[f->vote[i][0] % c->nhops].name, sizeof(v->connect));
		memcpy(v->accept, c->hop[f->vote[i][1] % c->nhops].name, sizeof(v->accept));
		v->votes = f->vote[i][2];
	}
	return ft_discover_merge(c, &seen, ret_dropped);
}

/* --- which hop a flow belongs to, as bpf/match.bpf.h has it --- */

static bool within(const uint8_t addr[16], const __u64 want[2], const __u64 mask[2])
{
	__u64 word[2];

	memcpy(word, addr, 16);
	return !(((word[0] ^ want[0]) & mask[0]) | ((word[1] ^ want[1]) & mask[1]));
}

static const char *hop_of(const struct tables *t, uint8_t side, uint16_t port,
			  const uint8_t local[16], const uint8_t peer[16],
			  const char comm[FT_COMM_LEN])
{
	__u64 word[2], tag;

	memcpy(word, comm, sizeof(word));
	tag = FT_COMM_TAG(word[0], word[1]);
	for (unsigned int i = 0; i < t->rules.count; i++) {
		const struct ft_rule *r = &t->rules.rule[i];

		if (r->side == side && port >= r->port_lo && port <= r->port_hi &&
		    within(local, r->local, r->local_mask) &&
		    within(peer, r->peer, r->peer_mask) == !(r->flags & FT_RULE_NOT_PEER) &&
		    (!(r->flags & FT_RULE_COMM) || r->comm_tag == tag))
			return t->def[r->hop].name;
	}
	return "";
}

static void check_same(const struct facts *f, const struct tables *a, const struct tables *b)
{
	static const uint8_t any[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};

	for (unsigned int i = 0; i < f->nlisteners; i++) {
		const struct ft_seen_listener *l = &f->listener[i];

		FUZZ_CHECK(!strcmp(hop_of(a, FT_ACCEPT, l->port, l->addr, any, l->process),
				   hop_of(b, FT_ACCEPT, l->port, l->addr, any, l->process)),
			   "port %u is of another hop", l->port);
	}
	for (unsigned int i = 0; i < f->nconnects; i++) {
		const struct ft_seen_connect *c = &f->connect[i];

		FUZZ_CHECK(!strcmp(hop_of(a, FT_CONNECT, c->rport, any, c->raddr, c->process),
				   hop_of(b, FT_CONNECT, c->rport, any, c->raddr, c->process)),
			   "destination %u is of another hop", c->rport);
	}
}

/* --- what is made of them --- */

static void check_print(const struct ft_config *c, const struct facts *f, const struct tables *t)
{
	static struct ft_config again;
	static struct tables printed;
	struct ft_buf text = {0}, errors = {0};

	ft_config_print(c, &text);
	fuzz_check_plain("printed", ft_buf_text(&text), text.len);
	FUZZ_CHECK(!ft_config_parse(ft_buf_text(&text), "printed", &again, &errors), "%s%s",
		   ft_buf_text(&errors), ft_buf_text(&text));
	FUZZ_CHECK(again.nhops == c->nhops, "%u hops became %u", c->nhops, again.nhops);
	memset(&printed, 0, sizeof(printed));
	FUZZ_CHECK(!ft_config_compile(&again, printed.def, &printed.rules), "cannot compile");
	check_same(f, t, &printed);
	ft_buf_close(&text);
	ft_buf_close(&errors);
}

/* A `from` may be taken away, and only votes say that it is another. */
static void check_kept(const struct ft_config *before, const struct ft_config *after, bool voting)
{
	FUZZ_CHECK(after->nhops >= before->nhops, "hops are gone");
	for (unsigned int i = 0; i < before->nhops; i++) {
		const struct ft_config_hop *was = &before->hop[i], *is = &after->hop[i];

		FUZZ_CHECK(!strcmp(was->name, is->name) && was->side == is->side,
			   "hop %u was \"%s\"", i, was->name);
		FUZZ_CHECK(!was->from[0] || !is->from[0] || !strcmp(was->from, is->from) ||
				   (is->side == FT_CONNECT && voting),
			   "its from has changed");
	}
}

static void check_merged(const struct ft_config *c, const struct facts *f)
{
	static struct tables t;

	FUZZ_CHECK(c->nhops <= FT_MAX_HOPS, "%u hops", c->nhops);
	memset(&t, 0, sizeof(t));
	FUZZ_CHECK(!ft_config_compile(c, t.def, &t.rules), "cannot compile");
	for (unsigned int i = 0; i < c->nhops; i++)
		for (unsigned int j = 0; j < i; j++)
			FUZZ_CHECK(strcmp(c->hop[i].name, c->hop[j].name), "two are \"%s\"",
				   c->hop[i].name);
	if (c->nhops)
		check_print(c, f, &t);
}

/* An agent looks every second, mostly at the same: that must come to rest. Once more may add
 * something, where an owner became known that was not when an earlier fact was looked at. */
static void check_rest(struct ft_config *c, const struct facts *f)
{
	static struct ft_config rests;
	unsigned int looks = 0;

	while (merge(c, f, NULL))
		FUZZ_CHECK(++looks < 4, "the same facts make more and more hops");
	rests = *c;
	merge(c, f, NULL);
	FUZZ_CHECK(ft_config_same_hops(c, &rests), "the same facts change the edges");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ft_config c, before;
	static struct facts facts;
	struct fuzz_in in = {data, size};
	unsigned int added, dropped;

	ft_config_default(&c);
	for (int round = 0; round < 3 && in.left; round++) {
		before = c;
		read_facts(&in, &facts);
		added = merge(&c, &facts, &dropped);
		FUZZ_CHECK(c.nhops == before.nhops + added, "%u were added to %u: %u", added,
			   before.nhops, c.nhops);
		FUZZ_CHECK(added + dropped <= facts.nlisteners + facts.nconnects, "%u + %u", added,
			   dropped);
		check_kept(&before, &c, facts.voting);
		check_merged(&c, &facts);
		check_rest(&c, &facts);
		check_kept(&before, &c, facts.voting);
	}
	return 0;
}
