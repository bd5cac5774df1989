// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pairing in a session: walks over open pairs, as often as they may cost a hundredth of a core,
 * and after each the verdict per fork, written where readers find it. Byte signatures are asked
 * for only where threads tell nothing. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "counting.h"
#include "counting_pair.h"
#include "log.h"
#include "privilege.h"
#include "probe_pair_pins.h"

#define SECOND 1000000000ULL
#define SHARE  100 /* of a core: a hundredth */

struct ft_pairing {
	struct ft_probe_pair probe;
	struct ft_pair_control plan;
	uint32_t planned_hops; /* the plan is for so many; 0: none yet */
	bool failed;	       /* and was said */
	int unable;	       /* see ft_log_failing() */
	uint64_t due_ns, signed_to_ns;
	uint64_t opened_before[FT_MAX_HOPS], since_ns[FT_MAX_HOPS]; /* when pairing of it began */
	uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS];
	struct ft_pair_stats stats[FT_MAX_HOPS];
	struct ft_pair_totals totals;
	struct ft_pair_evidence evidence[FT_MAX_HOPS];
	struct ft_pair_signatures signatures[FT_MAX_HOPS];
	struct ft_pair_history history;
	struct ft_pair_walk walk;
	struct ft_pair_closed_row *closed;
	size_t nclosed;
};

/* --- load --- */

static bool make_plan(const struct ft_counting *c, struct ft_pair_control *ret)
{
	_free_ struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	_free_ struct ft_rules *rules = calloc(1, sizeof(*rules));

	if (!def || !rules || ft_config_compile(&c->config, def, rules))
		return false;
	/* the owners that were found count as known */
	for (uint32_t i = 0; i < c->snapshot.nhops && i < c->config.nhops; i++)
		memcpy(def[i].process, c->snapshot.def[i].process, sizeof(def[i].process));
	return ft_pair_plan(def, c->config.nhops, rules, ret, NULL) > 0;
}

static void begin(const struct ft_counting *c, struct ft_pairing *p, uint32_t hop)
{
	p->opened_before[hop] = c->snapshot.stats[hop].opened;
	p->since_ns[hop] = c->snapshot.mono_ns;
}

static int load(struct ft_counting *c, struct ft_pairing *p)
{
	struct ft_probe_pair_options o = {.max_flows = c->config.max_flows};
	char why[256] = "";
	int err;

	ft_privilege_raise();
	err = ft_probe_pair_load(&p->probe, c->probe.map[FT_MAP_FLOWS], &o, why, sizeof(why));
	ft_privilege_lower();
	if (err) {
		ft_log(FT_LOG_INFO, "%s", why);
		p->failed = true;
		return err;
	}
	for (uint32_t i = 0; i < c->snapshot.nhops; i++)
		begin(c, p, i);
	if (c->pins && ft_probe_pair_pin(&p->probe, c->pins))
		ft_log(FT_LOG_WARN, "cannot pin the table of pairs: show pairs will not find it");
	return 0;
}

/* Follow the hops: discovery adds some, owners become known. */
static int follow(struct ft_counting *c, struct ft_pairing *p)
{
	_free_ struct ft_pair_control *plan = calloc(1, sizeof(*plan));
	bool some = plan && make_plan(c, plan);
	int err = 0;

	if (!plan)
		return -ENOMEM;
	if ((!some && !p->probe.skeleton) || !memcmp(plan, &p->plan, sizeof(*plan)))
		return 0;
	if (!p->probe.skeleton)
		err = load(c, p);
	for (uint32_t i = 0; i < c->snapshot.nhops; i++)
		if (p->plan.hop[i].role == FT_PAIR_NONE)
			begin(c, p, i);
	if (!err)
		err = ft_probe_pair_set(&p->probe, plan);
	if (err) /* the next tick tries again */
		return err;
	p->planned_hops = c->snapshot.nhops;
	p->plan = *plan;
	return 0;
}

/* --- look --- */

static int match_closed(struct ft_pairing *p, uint64_t until_ns)
{
	int err = ft_probe_pair_closed(&p->probe, &p->closed, &p->nclosed);
	_free_ struct ft_pair_match *match = NULL;
	size_t done, found = 0;

	if (err || !p->nclosed)
		return err;
	match = calloc(p->nclosed, sizeof(*match));
	if (!match)
		return -ENOMEM;
	done = ft_pair_match_closed(p->closed, p->nclosed, &p->probe.plan, p->signed_to_ns,
				    until_ns, p->signatures, match, &found);
	p->signed_to_ns = until_ns;
	p->nclosed -= done;
	memmove(p->closed, p->closed + done, p->nclosed * sizeof(*p->closed));
	return 0;
}

static uint64_t thousandths(double share)
{
	return isfinite(share) && share >= 0 ? (uint64_t)lround(share * 1000) : FT_PAIR_NO_SHARE;
}

static void tell_own(const struct ft_pairing *p, uint32_t hop, struct ft_hop_pairs *ret)
{
	const struct ft_pair_stats *s = &p->stats[hop];

	ret->role = p->plan.hop[hop].role;
	ret->exchanges = s->exchanges;
	ret->used = s->closed;
	ret->single = s->closed_single;
	ret->opened_before = p->opened_before[hop];
	ret->since_ns = p->since_ns[hop];
	memcpy(ret->wait, s->wait, sizeof(ret->wait));
	ret->wait_sum_ns = s->wait_sum_ns;
}

static void tell_fork(const struct ft_pair_verdict *v, struct ft_hop_pairs *ret)
{
	ret->class = v->class;
	ret->rule = v->rule;
	ret->confidence = thousandths(v->confidence);
	ret->coverage = thousandths(v->coverage);
	ret->closed = v->closed;
	ret->open = v->open;
	ret->recent = v->recent;
	ret->closed_max = v->closed_max;
	ret->open_max = v->open_max;
	memcpy(ret->closed_fanout, v->closed_fanout, sizeof(ret->closed_fanout));
	memcpy(ret->open_fanout, v->open_fanout, sizeof(ret->open_fanout));
	ret->reuse_flows = v->reuse_flows;
	ret->reuse_partners = v->reuse_partners;
	ret->reuse_max = v->reuse_max;
}

/* Threads that do not tell: ask for byte counters at close, until they do. */
static void want_signatures(struct ft_pairing *p, uint32_t hop, const struct ft_pair_verdict *v)
{
	bool want = v->class == FT_PAIR_NOT || v->class == FT_PAIR_SIGNATURE;

	if (want != p->probe.plan.hop[hop].keep_closed)
		ft_probe_pair_keep_closed(&p->probe, hop, want);
}

static void judge(struct ft_pairing *p, uint32_t hop, struct ft_hop_pairs *ret)
{
	struct ft_pair_evidence window =
		ft_pair_window(&p->history, p->walk.walk_ns, hop, &p->evidence[hop], &p->walk.open);
	struct ft_pair_past before = ft_pair_minute_ago(&p->history, p->walk.walk_ns, hop);
	struct ft_pair_verdict v;

	ft_pair_judge(&p->stats[hop], &before, &p->walk.open, hop, &window, &p->signatures[hop],
		      &v);
	tell_fork(&v, ret);
	want_signatures(p, hop, &v);
}

/* Over everything that is open. What it costs decides when the next one may come. */
static int walk(struct ft_pairing *p)
{
	uint64_t cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID), cost;
	int err;

	ft_pair_walk_close(&p->walk);
	err = ft_probe_pair_walk(&p->probe, false, p->ended, &p->walk);
	if (!err)
		err = match_closed(p, p->walk.walk_ns - FT_PAIR_SIGNATURE_NS);
	cost = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	p->due_ns = ft_clock_ns(CLOCK_MONOTONIC) + (cost * SHARE > SECOND ? cost * SHARE : SECOND);
	return err;
}

static void weigh(struct ft_pairing *p)
{
	for (uint32_t hop = 0; hop < p->planned_hops; hop++) {
		ft_pair_evidence_of(&p->stats[hop], p->plan.hop[hop].from, &p->evidence[hop]);
		for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
			ft_pair_evidence_add(&p->evidence[hop], pattern, p->ended[hop][pattern]);
	}
}

/* Counters at each tick; what is open, as of the last walk. */
static int look(struct ft_counting *c, struct ft_pairing *p)
{
	bool due = ft_clock_ns(CLOCK_MONOTONIC) >= p->due_ns;
	int err = due ? walk(p) : 0;

	if (!err)
		err = ft_probe_pair_read(&p->probe, p->planned_hops, p->stats, &p->totals);
	if (err)
		return err;
	c->snapshot.pair_loss = p->totals;
	ft_probe_put_pair_loss(&c->probe, &p->totals);
	weigh(p);
	for (uint32_t hop = 0; hop < p->planned_hops; hop++) {
		struct ft_hop_pairs *pairs = &c->snapshot.pairs[hop];

		*pairs = (struct ft_hop_pairs){0};
		tell_own(p, hop, pairs);
		if (pairs->role == FT_PAIR_B)
			judge(p, hop, pairs);
		ft_probe_put_pairs(&c->probe, hop, pairs);
	}
	if (due)
		ft_pair_history_add(&p->history, p->walk.walk_ns, p->evidence, p->stats);
	return 0;
}

static struct ft_pairing *pairing_of(struct ft_counting *c)
{
	if (!c->pairing)
		c->pairing = calloc(1, sizeof(*c->pairing));
	if (c->pairing && !c->pairing->probe.skeleton)
		c->pairing->probe = (struct ft_probe_pair)FT_PROBE_PAIR_NONE;
	return c->pairing;
}

bool ft_counting_may_pair(const struct ft_counting *c)
{
	return c->config.pairs && c->probe.meta.source == FT_SOURCE_TRACEPOINT &&
	       !(c->pairing && c->pairing->failed);
}

uint64_t ft_counting_votes(const struct ft_counting *c, uint32_t b, uint32_t a)
{
	return c->pairing && b < FT_MAX_HOPS && a < FT_MAX_HOPS ? c->pairing->stats[b].handed[a]
								: 0;
}

void ft_counting_pair(struct ft_counting *c)
{
	struct ft_pairing *p;
	int err;

	if (!ft_counting_may_pair(c))
		return;
	p = pairing_of(c);
	if (!p)
		return;
	err = follow(c, p);
	if (!err && p->probe.skeleton)
		err = look(c, p);
	if (!p->failed) /* why it never will was said */
		ft_log_failing(&p->unable, err, "pair flows");
}

void ft_counting_pair_close(struct ft_counting *c)
{
	if (!c->pairing)
		return;
	ft_probe_pair_close(&c->pairing->probe);
	ft_pair_walk_close(&c->pairing->walk);
	free(c->pairing->closed);
	free(c->pairing);
	c->pairing = NULL;
}

void ft_counting_pair_stop(struct ft_counting *c)
{
	static const struct ft_hop_pairs none;

	if (!c->pairing)
		return;
	ft_counting_pair_close(c);
	if (c->pins)
		ft_probe_pair_unpin(c->pins);
	for (uint32_t i = 0; i < FT_MAX_HOPS; i++) {
		c->snapshot.pairs[i] = none;
		ft_probe_put_pairs(&c->probe, i, &none);
	}
}
