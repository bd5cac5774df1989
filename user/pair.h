/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pairing: from the evidence that the kernel gathered to what may be said of it. PURE.
 *
 * Pairing is an inference. Three rules read the same events; the one whose forward and backward
 * edges agree best is believed as far as they agree, and below a threshold nothing is said.
 */
#ifndef FT_PAIR_H
#define FT_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fantail_pair.h"

/* --- before: which hops --- */

/*
 * Which hops are paired, for the kernel: hop B that connects, from hop A that accepts, unless
 * both processes are known and differ. At most FT_PAIR_FORKS forks per A. A discovered B that has
 * no `from` because its process accepts at several hops is looked at without one (from:
 * FT_PAIR_NO_HOP): to whom its flows are handed over says which it is. All accept hops of a process
 * that is looked at are: a thread's reads and writes are to be known, not only a fork's. Returns
 * the number of B's; 0: there is nothing to load the programs for. *ret_without (may be NULL):
 * forks that found no room.
 */
unsigned int ft_pair_plan(const struct ft_hop_def def[FT_MAX_HOPS], uint32_t nhops,
			  const struct ft_rules *rules, struct ft_pair_control *ret,
			  unsigned int *ret_without);

/* --- evidence --- */

/* Whether the rule makes a pair of an edge with this pattern: seen forward and back, or back
 * alone. The same as rules_of() in bpf/pair_edge.bpf.h. A number that is no rule makes none. */
bool ft_pair_holds(unsigned int pattern, enum ft_pair_rule rule);
unsigned int ft_pair_pattern(const struct ft_pair_edge *e);

/* What is known of one fork's edges. */
struct ft_pair_evidence {
	uint64_t edges;
	uint64_t forward[FT_NPAIR_RULES], backward[FT_NPAIR_RULES], both[FT_NPAIR_RULES];
	uint64_t back, back_ambiguous, handed, unhanded;
	uint64_t sends, matched[FT_NPAIR_RULES];
};
void ft_pair_evidence_add(struct ft_pair_evidence *e, unsigned int pattern, uint64_t edges);
/* The evidence in a hop's counters: ended edges and what was counted per write. from: of the fork
 * that ends there; FT_PAIR_NO_HOP: not known yet, so whatever is handed over counts. */
void ft_pair_evidence_of(const struct ft_pair_stats *s, uint32_t from,
			 struct ft_pair_evidence *ret);
/* *e - *base, per field. */
struct ft_pair_evidence ft_pair_evidence_since(const struct ft_pair_evidence *e,
					       const struct ft_pair_evidence *base);

/* --- a walk over what is open --- */

struct ft_pair_flow_row {
	uint64_t key;
	struct ft_pair_flow flow;
};
struct ft_pair_edge_row {
	struct ft_pair_edge_key key;
	struct ft_pair_edge edge;
};

/* What a walk found, per hop. */
struct ft_pair_open {
	uint64_t edges[FT_MAX_HOPS][FT_NPAIR_PATTERNS]; /* of open flows, older than a second */
	struct ft_pair_fanout fanout[FT_MAX_HOPS];	/* open a's that had an exchange, by fork */
	struct ft_pair_fanout reuse[FT_MAX_HOPS];	/* open b's that had one */
	uint64_t pairs;
};

/*
 * Fold a walk: flows[] first, then edges[], both read after walk_ns (CLOCK_MONOTONIC). Sorts
 * flows[] by id. An edge one of whose flows is not open, and that was silent for a second
 * (b may close before its answer is passed on), is dead: its index goes to dead[] (as long as
 * edges[]), their number to *ret_dead.
 */
void ft_pair_fold(struct ft_pair_flow_row *flows, size_t nflows,
		  const struct ft_pair_edge_row *edges, size_t nedges,
		  const struct ft_pair_control *plan, uint64_t walk_ns, struct ft_pair_open *ret,
		  uint32_t *dead, size_t *ret_dead);
/* The flow with this id in the sorted rows; NULL: none. */
const struct ft_pair_flow_row *ft_pair_flow_named(const struct ft_pair_flow_row *flows, size_t n,
						  uint64_t id);

/* --- the past, so that a program's change is noticed --- */

#define FT_PAIR_WINDOW_NS    10000000000ULL /* at least so long */
#define FT_PAIR_WINDOW_EDGES 30		    /* and with so many edges */
#define FT_PAIR_HISTORY	     32		    /* more than a minute of rows */
#define FT_PAIR_RECENT_NS    60000000000ULL

/* Distinct b's of the a's that had closed by then, by each rule. */
struct ft_pair_past {
	uint64_t flows, partners[FT_NPAIR_RULES], most;
};
struct ft_pair_history {
	unsigned int count; /* rows added ever */
	uint64_t mono_ns[FT_PAIR_HISTORY];
	struct ft_pair_evidence row[FT_PAIR_HISTORY][FT_MAX_HOPS];
	struct ft_pair_past past[FT_PAIR_HISTORY][FT_MAX_HOPS];
};
/* Remember the ended edges' evidence of every hop, and its counters; ignored within two seconds of
 * the last. */
void ft_pair_history_add(struct ft_pair_history *h, uint64_t mono_ns,
			 const struct ft_pair_evidence ended[FT_MAX_HOPS],
			 const struct ft_pair_stats stats[FT_MAX_HOPS]);
/* What the fork's counters were at the end of the last minute that is over; zeros, if it is not
 * remembered: then all of them are younger, or nobody looked. */
struct ft_pair_past ft_pair_minute_ago(const struct ft_pair_history *h, uint64_t mono_ns,
				       uint32_t hop);
/* The evidence of the shortest window of the past that is long and rich enough, with the open
 * edges; all there is, if none is. */
struct ft_pair_evidence ft_pair_window(const struct ft_pair_history *h, uint64_t mono_ns,
				       uint32_t hop, const struct ft_pair_evidence *ended,
				       const struct ft_pair_open *open);

/* --- the verdict --- */

enum ft_pair_class {
	FT_PAIR_UNKNOWN,   /* too little was seen: say nothing */
	FT_PAIR_NOT,	   /* not pairable: its threads do not tell */
	FT_PAIR_INTERVAL,  /* between mean_low and mean_high */
	FT_PAIR_EXACT,	   /* mean */
	FT_PAIR_SIGNATURE, /* by byte counters at close; each a has one b */
	FT_NPAIR_CLASSES
};
/* From so much agreement on. Calibrated in docs: what was true at what was stated. */
#define FT_PAIR_EXACT_FROM     0.96
#define FT_PAIR_INTERVAL_FROM  0.70
#define FT_PAIR_SIGNATURE_FROM 0.90
/* Up to so much ambiguity the way back needs no way forth. */
#define FT_PAIR_AMBIGUOUS_TO 0.01
/* and at least so much of some way forth has to be borne out by it, where there is one */
#define FT_PAIR_BORNE_OUT_FROM 0.4

/* Byte signatures of one fork's closed flows. */
struct ft_pair_signatures {
	uint64_t matched;   /* b's with exactly one a of crosswise equal counters */
	uint64_t ambiguous; /* with more than one, or whose a has more */
	uint64_t unmatched; /* with none */
};

struct ft_pair_verdict {
	enum ft_pair_class class;
	enum ft_pair_rule rule;
	uint64_t edges;	   /* what it rests on */
	double agreement;  /* of the rule's two ways; NAN: no evidence */
	double confidence; /* 0..1; NAN: unknown */
	double coverage;   /* share of b's writes for which the rule found an a */
	/* Distinct b's per a, over flows that had an exchange: closed ones, open ones, and those of
	 * the last minute (open, or closed within it). */
	struct ft_pair_mean closed, open, recent;
	uint64_t closed_max, open_max;
	uint64_t closed_fanout[FT_NPAIR_FANOUT], open_fanout[FT_NPAIR_FANOUT];
	/* closed and open together; mean = partners / flows */
	uint64_t flows, partners, max;
	double mean, mean_low, mean_high;
	/* Distinct a's per b. */
	uint64_t reuse_flows, reuse_partners, reuse_max;
	double reuse_mean;
};

/* Judge one fork. now: its counters; before: a minute ago; open: the last walk; window: the
 * evidence to judge by. */
void ft_pair_judge(const struct ft_pair_stats *now, const struct ft_pair_past *before,
		   const struct ft_pair_open *open, uint32_t hop,
		   const struct ft_pair_evidence *window, const struct ft_pair_signatures *sig,
		   struct ft_pair_verdict *ret);

/* --- byte signatures --- */

#define FT_PAIR_SIGNATURE_NS 2000000000ULL

struct ft_pair_closed_row {
	uint64_t id;
	struct ft_pair_closed flow;
};
struct ft_pair_match {
	uint64_t a, b; /* ids */
	uint16_t a_port, b_port;
};
/*
 * Match closed flows: what one read the other wrote, and no third flow did within two seconds -
 * or, if some did, within 20 ms.
 * Judges the b's that closed in [from_ns, until_ns); until_ns is two seconds back, so that a later
 * close can speak against a match. Sorts rows[], oldest first, and returns how many of them are
 * not needed any more: the others should be given again. Adds to sig[fork]; matches (may be
 * NULL) has room for n.
 */
size_t ft_pair_match_closed(struct ft_pair_closed_row *rows, size_t n,
			    const struct ft_pair_control *plan, uint64_t from_ns, uint64_t until_ns,
			    struct ft_pair_signatures sig[FT_MAX_HOPS],
			    struct ft_pair_match *matches, size_t *ret_matches);

#endif
