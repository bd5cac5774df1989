/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of pairing need beside kit.h. The test itself is the relay: it accepts on port
 * 8001 and connects to 8002, and is client and server, too, whose sockets are of no hop. So the
 * order of reads and writes is the test's own, and every expectation exact.
 */
#ifndef FT_KIT_PAIR_H
#define FT_KIT_PAIR_H

#include "kit.h"
#include "probe_pair.h"

#define KIT_RELAY                                                                                  \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8002\"; from = \"in\"; }"
#define KIT_IN	0 /* hops in this order */
#define KIT_OUT 1

/* Evidence. ALL: a is read, b written, b read, a written, and nothing else in between. */
#define KIT_ALL	  (FT_NPAIR_PATTERNS - 1)
#define KIT_BACK  (FT_PAIR_REV_LAST | FT_PAIR_REV_FIFO | FT_PAIR_REV_ALONE)
#define KIT_FORTH FT_PAIR_FW_ANY

/*
 * Most of a test's time goes into loading the programs. So tests of a kind are cases of one: each
 * begins with empty tables and counters, and with connections of its own. What is said of a
 * failure names the case.
 */
struct kit_case {
	const char *name;
	void (*run)(void);
};
#define KIT_CASE(fn)                                                                               \
	{                                                                                          \
#fn, fn                                                                            \
	}
/* Count and pair the hops of KIT_RELAY, and run these; or those that are paired already. */
void kit_pairing_cases(const struct kit_case *c, size_t n);
void kit_pairing_run(const struct kit_case *c, size_t n);

/* Count and pair; o may be NULL. kit_pairing_attach alone: after kit_load and the like. */
void kit_pairing(const char *hops, const struct ft_probe_pair_options *o);
void kit_pairing_attach(const char *hops, const struct ft_probe_pair_options *o);
/* As kit_pairing(), of hops that discovery would have found, all of one process. */
void kit_pairing_found(const char *hops);
/* Plan these hops from now on, as they would have been found. */
void kit_pairing_replan(const char *hops);
void kit_pairing_detach(void);
void kit_pairing_end(void); /* .fini, in place of kit_end */
struct ft_probe_pair *kit_pairing_probe(void);

/* --- connections --- */

/* A client and the relay's end of its connection (server); the relay's end (client) and the
 * server. On 127.0.0.1, or on `addr`; the listeners are made when they are needed. */
int kit_listener(const char *addr, uint16_t port);
struct kit_pair kit_front(void);
struct kit_pair kit_back(void);
struct kit_pair kit_front_at(const char *addr);
struct kit_pair kit_back_at(const char *addr);

/* Read exactly so many bytes in one go. */
void kit_take(int fd, size_t bytes);
/* The client sends and the relay reads; the relay writes and the server reads. And back. */
void kit_in(struct kit_pair front, size_t bytes);
void kit_forth(struct kit_pair back, size_t bytes);
void kit_back_in(struct kit_pair back, size_t bytes);
void kit_answer(struct kit_pair front, size_t bytes);
/* All four, one after the other: one exchange. */
void kit_exchange(struct kit_pair front, struct kit_pair back);

/* --- threads that do as they are told, one thing after the other --- */

struct kit_hand;
struct kit_hand *kit_hand(void);
void kit_hand_read(struct kit_hand *h, int fd, size_t bytes);
void kit_hand_write(struct kit_hand *h, int fd, size_t bytes);

/* --- what was found --- */

/* A walk that removes nothing; valid until the next one. */
const struct ft_pair_walk *kit_pairs(void);
/* The agent's, which removes what has ended for a second, and counts it. */
void kit_pairs_sweep(void);
const struct ft_pair_stats *kit_pair_stats(int hop);
uint64_t kit_pair_loss(enum ft_pair_loss reason);
/* The verdict over all edges, open and ended; with byte signatures if the test asked for them
 * with kit_sign(). */
struct ft_pair_verdict kit_judge(int fork);
void kit_sign(int fork);
/* The matches of the last kit_judge(). */
const struct ft_pair_match *kit_signed(size_t *ret_n);

/* The entry of the relay's end fd; NULL: none. */
const struct ft_pair_flow *kit_pair_flow(int hop, int fd);
unsigned int kit_pair_entries(enum ft_pair_map map);

/* --- expectations --- */

/* Between these two ends of the relay there is an edge with exactly this evidence; no edge: 0. */
void kit_expect_evidence(int a, int b, unsigned int pattern);
/* Whether what is there makes a pair by this rule. */
bool kit_holds(int a, int b, enum ft_pair_rule rule);
/* So many writes are known of it. */
void kit_expect_writes(int a, int b, uint64_t writes);
/* So many edges in the table, and so many that ended with this evidence. */
void kit_expect_edges(unsigned int n);
void kit_expect_ended(int fork, unsigned int pattern, uint64_t n);
/* No loss but these, so often. */
void kit_expect_pair_loss(enum ft_pair_loss reason, uint64_t n);
void kit_expect_no_pair_loss(void);
/* The fork's verdict is `class` by `rule`; the class is returned with everything else. */
struct ft_pair_verdict kit_expect_verdict(int fork, enum ft_pair_class class,
					  enum ft_pair_rule rule);

#endif
