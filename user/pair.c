// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Evidence and verdict. Agreement needs no ground truth: a rule that guesses makes edges one way
 * that the other way does not make. */
#include <math.h>
#include <string.h>

#include "pair.h"

static const struct {
	unsigned int forward, backward;
} bits[FT_NPAIR_RULES] = {
	[FT_PAIR_LAST] = {FT_PAIR_FW_LAST, FT_PAIR_REV_LAST},
	[FT_PAIR_LATCH] = {FT_PAIR_FW_LATCH, FT_PAIR_REV_LAST},
	[FT_PAIR_FIFO] = {FT_PAIR_FW_FIFO, FT_PAIR_REV_FIFO},
	[FT_PAIR_BACK] = {FT_PAIR_FW_ANY, FT_PAIR_REV_LAST},
};

bool ft_pair_holds(unsigned int pattern, enum ft_pair_rule rule)
{
	if ((unsigned int)rule >= FT_NPAIR_RULES)
		return false;
	if ((pattern & FT_PAIR_REV_ALONE) && (rule == FT_PAIR_BACK || (pattern & FT_PAIR_FW_ANY)))
		return true;
	return (pattern & bits[rule].forward) && (pattern & bits[rule].backward);
}

unsigned int ft_pair_pattern(const struct ft_pair_edge *e)
{
	unsigned int pattern = 0;

	for (int i = 0; i < FT_NPAIR_EVIDENCE; i++)
		pattern |= (e->seen[i] & 1U) << i;
	return pattern;
}

/* --- the plan --- */

static bool same_process(const struct ft_hop_def *a, const struct ft_hop_def *b)
{
	return !a->process[0] || !b->process[0] ||
	       !strncmp(a->process, b->process, sizeof(a->process));
}

/* Of one process, and one that is known. */
static bool of_process(const struct ft_hop_def *h, uint8_t side, const char *process)
{
	return h->side == side && !h->retired && process[0] &&
	       !strncmp(h->process, process, sizeof(h->process));
}

static bool pairable(const struct ft_hop_def def[], uint32_t nhops, uint32_t hop)
{
	const struct ft_hop_def *b = &def[hop];

	return b->side == FT_CONNECT && b->from >= 0 && b->from < (int)nhops &&
	       def[b->from].side == FT_ACCEPT && same_process(&def[b->from], b);
}

static bool plan_fork(struct ft_pair_control *c, uint32_t from, uint32_t hop)
{
	struct ft_pair_hop *a = &c->hop[from];

	for (uint8_t slot = 0; slot < FT_PAIR_FORKS; slot++) {
		if (a->fork[slot] != FT_PAIR_NO_HOP)
			continue;
		a->role = FT_PAIR_A;
		a->fork[slot] = hop;
		c->hop[hop].role = FT_PAIR_B;
		c->hop[hop].from = from;
		c->hop[hop].slot = slot;
		return true;
	}
	return false;
}

/* B, of one of several accept hops of its process. Which of them it reaches itself, and so is not
 * made for, makes no difference here. */
static bool undecided(const struct ft_hop_def def[], uint32_t nhops, uint32_t hop)
{
	const struct ft_hop_def *b = &def[hop];
	unsigned int candidates = 0;

	if (b->side != FT_CONNECT || b->from >= 0 || !b->discovered || b->retired)
		return false;
	for (uint32_t i = 0; i < nhops; i++)
		candidates += of_process(&def[i], FT_ACCEPT, b->process);
	return candidates > 1;
}

static void plan_siblings(struct ft_pair_control *c, const struct ft_hop_def def[], uint32_t nhops,
			  const char *process)
{
	for (uint32_t i = 0; i < nhops; i++)
		if (of_process(&def[i], FT_ACCEPT, process))
			c->hop[i].role = FT_PAIR_A;
}

static void plan_ports(struct ft_pair_control *c, const struct ft_rules *rules)
{
	for (uint32_t i = 0; i < rules->count && i < FT_MAX_RULES; i++) {
		const struct ft_rule *r = &rules->rule[i];
		__u32 *set = r->side == FT_ACCEPT ? c->accept_port : c->connect_port;

		if (r->hop >= FT_MAX_HOPS || !c->hop[r->hop].role)
			continue;
		for (uint32_t port = r->port_lo; port <= r->port_hi; port++)
			set[port / 32] |= 1U << port % 32;
	}
}

unsigned int ft_pair_plan(const struct ft_hop_def def[FT_MAX_HOPS], uint32_t nhops,
			  const struct ft_rules *rules, struct ft_pair_control *ret,
			  unsigned int *ret_without)
{
	unsigned int found = 0, without = 0;

	if (nhops > FT_MAX_HOPS)
		nhops = FT_MAX_HOPS;
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < FT_MAX_HOPS; i++) {
		ret->hop[i].from = FT_PAIR_NO_HOP;
		memset(ret->hop[i].fork, FT_PAIR_NO_HOP, sizeof(ret->hop[i].fork));
	}
	for (uint32_t i = 0; i < nhops; i++) {
		if (undecided(def, nhops, i)) {
			ret->hop[i].role = FT_PAIR_B;
			plan_siblings(ret, def, nhops, def[i].process);
			found++;
		} else if (pairable(def, nhops, i)) {
			if (plan_fork(ret, def[i].from, i)) {
				plan_siblings(ret, def, nhops, def[def[i].from].process);
				found++;
			} else {
				without++;
			}
		}
	}
	plan_ports(ret, rules);
	if (ret_without)
		*ret_without = without;
	return found;
}

/* --- evidence --- */

void ft_pair_evidence_add(struct ft_pair_evidence *e, unsigned int pattern, uint64_t edges)
{
	e->edges += edges;
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++) {
		bool forward = pattern & bits[rule].forward,
		     backward = pattern & bits[rule].backward;

		e->forward[rule] += forward ? edges : 0;
		e->backward[rule] += backward ? edges : 0;
		e->both[rule] += forward && backward ? edges : 0;
	}
}

void ft_pair_evidence_of(const struct ft_pair_stats *s, uint32_t from, struct ft_pair_evidence *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		ft_pair_evidence_add(ret, pattern, s->ended[pattern]);
	ret->back = s->back;
	ret->back_ambiguous = s->back_ambiguous;
	for (uint32_t a = 0; a < FT_MAX_HOPS; a++)
		ret->handed += a == from || from >= FT_MAX_HOPS ? s->handed[a] : 0;
	ret->unhanded = s->unhanded;
	ret->sends = s->sends;
	memcpy(ret->matched, s->matched, sizeof(ret->matched));
}

/* The struct is counters only. */
#define WORDS (sizeof(struct ft_pair_evidence) / sizeof(uint64_t))

struct ft_pair_evidence ft_pair_evidence_since(const struct ft_pair_evidence *e,
					       const struct ft_pair_evidence *base)
{
	uint64_t now[WORDS], then[WORDS];
	struct ft_pair_evidence ret;

	memcpy(now, e, sizeof(now));
	memcpy(then, base, sizeof(then));
	for (size_t i = 0; i < WORDS; i++)
		now[i] = now[i] > then[i] ? now[i] - then[i] : 0;
	memcpy(&ret, now, sizeof(ret));
	return ret;
}

static struct ft_pair_past past_of(const struct ft_pair_fanout *f)
{
	struct ft_pair_past ret = {.most = f->any_sum};

	for (int i = 0; i < FT_NPAIR_FANOUT; i++) /* every flow is in one bucket of each rule */
		ret.flows += f->flows[FT_PAIR_LAST][i];
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
		ret.partners[rule] = f->sum[rule];
	return ret;
}

void ft_pair_history_add(struct ft_pair_history *h, uint64_t mono_ns,
			 const struct ft_pair_evidence ended[FT_MAX_HOPS],
			 const struct ft_pair_stats stats[FT_MAX_HOPS])
{
	unsigned int slot = h->count % FT_PAIR_HISTORY;

	if (h->count && mono_ns < h->mono_ns[(h->count - 1) % FT_PAIR_HISTORY] + 2000000000ULL)
		return;
	h->mono_ns[slot] = mono_ns;
	memcpy(h->row[slot], ended, sizeof(h->row[slot]));
	for (uint32_t hop = 0; hop < FT_MAX_HOPS; hop++)
		h->past[slot][hop] = past_of(&stats[hop].fanout);
	h->count++;
}

static unsigned int rows_of(const struct ft_pair_history *h)
{
	return h->count < FT_PAIR_HISTORY ? h->count : FT_PAIR_HISTORY;
}

struct ft_pair_past ft_pair_minute_ago(const struct ft_pair_history *h, uint64_t mono_ns,
				       uint32_t hop)
{
	static const struct ft_pair_past none;

	for (unsigned int i = 1; i <= rows_of(h); i++) { /* the newest first */
		unsigned int slot = (h->count - i) % FT_PAIR_HISTORY;

		if (h->mono_ns[slot] + FT_PAIR_RECENT_NS <= mono_ns)
			return h->past[slot][hop];
	}
	return none;
}

struct ft_pair_evidence ft_pair_window(const struct ft_pair_history *h, uint64_t mono_ns,
				       uint32_t hop, const struct ft_pair_evidence *ended,
				       const struct ft_pair_open *open)
{
	struct ft_pair_evidence live = {0}, window = *ended;

	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		ft_pair_evidence_add(&live, pattern, open->edges[hop][pattern]);
	for (unsigned int i = 1; i <= rows_of(h); i++) {
		unsigned int slot = (h->count - i) % FT_PAIR_HISTORY;
		struct ft_pair_evidence since = ft_pair_evidence_since(ended, &h->row[slot][hop]);

		if (h->mono_ns[slot] + FT_PAIR_WINDOW_NS > mono_ns ||
		    since.edges + live.edges < FT_PAIR_WINDOW_EDGES)
			continue;
		window = since;
		break;
	}
	window.edges += live.edges;
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++) {
		window.forward[rule] += live.forward[rule];
		window.backward[rule] += live.backward[rule];
		window.both[rule] += live.both[rule];
	}
	return window;
}

/* --- the verdict --- */

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN;
}

static double agreement(const struct ft_pair_evidence *e, int rule)
{
	uint64_t more = e->forward[rule] > e->backward[rule] ? e->forward[rule] : e->backward[rule];

	return more ? ratio(e->both[rule], more) : 0;
}

/* BACK is not among them: its confidence is not agreement. */
static enum ft_pair_rule best_rule(const struct ft_pair_evidence *e)
{
	enum ft_pair_rule best = FT_PAIR_LAST;

	for (int rule = 1; rule < FT_PAIR_BACK; rule++)
		if (agreement(e, rule) > agreement(e, best))
			best = rule;
	return best;
}

/* Whether no rule's way forth is borne out by the way back, though there are many: threads that
 * take turns with each other's work have a way back that looks clean, and is wrong. */
static bool contradicted(const struct ft_pair_evidence *e)
{
	uint64_t most = 0;

	for (int rule = 0; rule < FT_PAIR_BACK; rule++) {
		if (ratio(e->both[rule], e->forward[rule]) >= FT_PAIR_BORNE_OUT_FROM)
			return false;
		if (e->forward[rule] > most)
			most = e->forward[rule];
	}
	return most >= FT_PAIR_WINDOW_EDGES;
}

/* The share of hand-overs back that leave no doubt; 0 when too many do for that to count. */
static double unambiguous(const struct ft_pair_evidence *e)
{
	double ambiguous = ratio(e->back_ambiguous, e->back);
	double unhanded = ratio(e->unhanded, e->handed + e->unhanded);

	if (e->back < FT_PAIR_WINDOW_EDGES || !(ambiguous < FT_PAIR_AMBIGUOUS_TO) ||
	    !(unhanded < FT_PAIR_AMBIGUOUS_TO) || contradicted(e))
		return 0;
	return 1 - ambiguous - unhanded;
}

static struct ft_pair_mean mean_of(const struct ft_pair_fanout *f, enum ft_pair_rule rule,
				   uint64_t ret_fanout[FT_NPAIR_FANOUT])
{
	struct ft_pair_mean ret = {.partners = f->sum[rule], .most = f->any_sum};

	for (int i = 0; i < FT_NPAIR_FANOUT; i++) {
		ret_fanout[i] = f->flows[rule][i];
		ret.flows += f->flows[rule][i];
	}
	return ret;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* The open ones, and those that have closed since. */
static struct ft_pair_mean recent(const struct ft_pair_verdict *v,
				  const struct ft_pair_past *before)
{
	return (struct ft_pair_mean){
		.flows = v->open.flows + minus(v->closed.flows, before->flows),
		.partners = v->open.partners + minus(v->closed.partners, before->partners[v->rule]),
		.most = v->open.most + minus(v->closed.most, before->most),
	};
}

static void add_reuse(struct ft_pair_verdict *v, const struct ft_pair_fanout *f)
{
	for (int i = 0; i < FT_NPAIR_FANOUT; i++)
		v->reuse_flows += f->flows[v->rule][i];
	v->reuse_partners += f->sum[v->rule];
	if (f->max[v->rule] > v->reuse_max)
		v->reuse_max = f->max[v->rule];
}

static void measure(struct ft_pair_verdict *v, const struct ft_pair_stats *now,
		    const struct ft_pair_past *before, const struct ft_pair_open *open,
		    uint32_t hop)
{
	const struct ft_pair_fanout *found = &open->fanout[hop];

	v->closed = mean_of(&now->fanout, v->rule, v->closed_fanout);
	v->open = mean_of(found, v->rule, v->open_fanout);
	v->recent = recent(v, before);
	v->closed_max = now->fanout.max[v->rule];
	v->open_max = found->max[v->rule];
	v->max = v->closed_max > v->open_max ? v->closed_max : v->open_max;
	v->flows = v->closed.flows + v->open.flows;
	v->partners = v->closed.partners + v->open.partners;
	v->mean = v->mean_low = ratio(v->partners, v->flows);
	v->mean_high = ratio(v->closed.most + v->open.most, v->flows);
	add_reuse(v, &now->reuse);
	add_reuse(v, &open->reuse[hop]);
	v->reuse_mean = ratio(v->reuse_partners, v->reuse_flows);
}

static bool signed_well(const struct ft_pair_signatures *s)
{
	uint64_t all = s->matched + s->ambiguous + s->unmatched;

	return all >= FT_PAIR_WINDOW_EDGES && ratio(s->matched, all) >= FT_PAIR_SIGNATURE_FROM;
}

/* A tunnel: each a has the one b whose counters are its own, crosswise. */
static void sign(struct ft_pair_verdict *v, const struct ft_pair_signatures *s)
{
	v->class = FT_PAIR_SIGNATURE;
	v->edges = s->matched;
	v->confidence = v->coverage = ratio(s->matched, s->matched + s->ambiguous + s->unmatched);
	v->flows = v->partners = v->reuse_flows = v->reuse_partners = s->matched;
	v->closed = v->recent = (struct ft_pair_mean){s->matched, s->matched, s->matched};
	v->open = (struct ft_pair_mean){0};
	v->mean = v->mean_low = v->mean_high = v->reuse_mean = 1;
	v->max = v->closed_max = v->reuse_max = 1;
	v->open_max = 0;
	memset(v->closed_fanout, 0, sizeof(v->closed_fanout));
	memset(v->open_fanout, 0, sizeof(v->open_fanout));
	v->closed_fanout[1] = s->matched;
}

static enum ft_pair_class class_of(double confidence)
{
	if (confidence >= FT_PAIR_EXACT_FROM)
		return FT_PAIR_EXACT;
	return confidence >= FT_PAIR_INTERVAL_FROM ? FT_PAIR_INTERVAL : FT_PAIR_NOT;
}

void ft_pair_judge(const struct ft_pair_stats *now, const struct ft_pair_past *before,
		   const struct ft_pair_open *open, uint32_t hop,
		   const struct ft_pair_evidence *window, const struct ft_pair_signatures *sig,
		   struct ft_pair_verdict *ret)
{
	double alone = unambiguous(window);

	memset(ret, 0, sizeof(*ret));
	ret->rule = best_rule(window);
	ret->edges = window->edges;
	ret->agreement = window->edges ? agreement(window, ret->rule) : NAN;
	ret->confidence = ret->agreement;
	if (alone > ret->agreement) {
		ret->rule = FT_PAIR_BACK;
		ret->confidence = alone;
	}
	ret->coverage = ratio(window->matched[ret->rule], window->sends);
	measure(ret, now, before, open, hop);
	if (window->edges)
		ret->class = class_of(ret->confidence);
	else
		ret->class = window->sends >= FT_PAIR_WINDOW_EDGES ? FT_PAIR_NOT : FT_PAIR_UNKNOWN;
	if (ret->class == FT_PAIR_NOT && signed_well(sig))
		sign(ret, sig);
}
