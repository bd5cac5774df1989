/* SPDX-License-Identifier: GPL-2.0 */
/* The story: a thread reads one flow and writes another. Each write is held against three
 * rules at once; which of them to believe is decided by user space, from how well forward and
 * back agree. No edge is made at connect(): a storm of those would push out the real ones. */
#ifndef FT_PAIR_TURN_BPF_H
#define FT_PAIR_TURN_BPF_H

static __always_inline struct ft_pair_thread *known_thread(__u64 id)
{
	return bpf_map_lookup_elem(&ft_pair_threads, &id);
}

static __noinline struct ft_pair_thread *new_thread(__u64 id)
{
	__u32 zero = 0;
	struct ft_pair_thread *blank = bpf_map_lookup_elem(&ft_pair_blank, &zero);

	if (!blank)
		return NULL;
	if (bpf_map_update_elem(&ft_pair_threads, &id, blank, BPF_ANY)) {
		lose(FT_PAIR_LOSS_THREADS_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&ft_pair_threads, &id);
}

static __always_inline struct ft_pair_thread *this_thread(__u64 id)
{
	struct ft_pair_thread *t = known_thread(id);

	return t ? t : new_thread(id);
}

static __always_inline struct ft_pair_queue *queue_of(struct ft_pair_thread *t, __u32 role)
{
	return role == FT_PAIR_A ? &t->queue[0] : &t->queue[1];
}

static __always_inline __u32 from_of(__u32 hop)
{
	return pairing.hop[hop & (FT_MAX_HOPS - 1)].from;
}

/* An exchange begins with a request: at a when it comes, at b when its answer does. */
static __always_inline void count_turn(struct ft_pair_flow *f)
{
	bool exchange =
		f->turn == FT_PAIR_SENDING || (f->turn == FT_PAIR_SILENT && f->role == FT_PAIR_A);
	struct ft_pair_stats *s;

	f->turn = FT_PAIR_RECEIVING;
	if (!exchange)
		return;
	f->exchanges++;
	s = stats_of(f->hop);
	if (s)
		add(&s->exchanges, 1);
}

/* What the thread read last will not be passed on, for it reads another. */
static __always_inline void count_unhanded(const struct ft_pair_thread *t,
					   const struct ft_pair_flow *next)
{
	struct ft_pair_stats *s;

	if (t->last_role != FT_PAIR_B || t->handed || t->last.id == next->id)
		return;
	s = stats_of(HOP_OF(t->last.id));
	if (s)
		add_alone(&s->unhanded, 1);
}

static __always_inline void on_read(const struct where *w, __u64 read_bytes)
{
	struct ft_pair_flow *f = flow_of(w);
	__u64 tid = bpf_get_current_pid_tgid();
	struct ft_pair_thread *t;

	if (!f || f->read_bytes == read_bytes)
		return;
	f->read_bytes = read_bytes;
	f->last_ns = w->seen_ns;
	f->latch.id = 0;
	if (!f->port) /* b: it was met at connect(), which knew none */
		f->port = w->lport;
	if (f->turn != FT_PAIR_RECEIVING)
		count_turn(f);
	t = this_thread(tid);
	if (!t)
		return;
	count_unhanded(t, f);
	queue_push(queue_of(t, f->role), f, w->key, tid);
	t->last.key = w->key;
	t->last.id = f->id;
	t->last_pos = f->queue_pos;
	t->last_partner = f->partner.id;
	t->last_evidence = f->evidence;
	t->last_role = f->role;
	t->handed = 0;
	t->wrote = 0;
	t->used_ns = w->seen_ns;
}

/* Whom the thread's next write passes on: t->wrote_for. Global, with the thread's name and not its
 * entry (5.10 takes no pointers here), so that the verifier walks the loop twice and not on each
 * path to it: 29 000 steps in all, not 116 000. */
__noinline int pop_waiting(__u64 id, __u32 role)
{
	struct ft_pair_thread *t = known_thread(id);

	if (!t)
		return 0;
	queue_pop(queue_of(t, role), &t->wrote_for, id);
	return 0;
}

/* What the FIFO rule says this write is for: t->wrote_for. A flow that is written again before
 * anything else was read still passes on the same. First of all, while the verifier knows little.
 */
static __always_inline void pop_for(struct ft_pair_thread *t, const struct ft_pair_flow *f,
				    __u64 id, __u32 role)
{
	struct ft_pair_queue *q = queue_of(t, role);

	if (t->wrote == f->id)
		return;
	t->wrote_for.id = 0;
	if (!q->waiting) {
		q->head = q->tail = 0; /* the same cache lines again and again */
	} else if (q->waiting == 1 && t->last_role == role &&
		   q->flow[SLOT(t->last_pos)].id ==
			   t->last.id) { /* the usual: what was just read */
		t->wrote_for = t->last;
		q->head = q->tail = 0;
		q->waiting = 0;
	} else {
		pop_waiting(id, role);
	}
	t->wrote = f->id;
}

static __always_inline void suggest(struct ft_pair_candidate *c, const struct ft_pair_ref *r,
				    __u32 evidence)
{
	c->flow.key = r ? r->key : 0;
	c->flow.id = r ? r->id : 0;
	c->evidence = evidence;
}

/* Candidates are read back from the thread's entry: the verifier then knows nothing of how they
 * came about and does not follow each way through to here. */
static __always_inline void link_all(const struct ft_pair_thread *t, struct ft_pair_flow *f)
{
	for (int i = 0; i < 3; i++)
		if (t->candidate[i].flow.id)
			link(f, &t->candidate[i].flow, t->candidate[i].evidence, t->used_ns);
}

/* A write to b: forward. While nobody knows whose b's they are, it only has its place in the
 * thread's order. */
static __always_inline void wrote_b(struct ft_pair_thread *t, struct ft_pair_flow *f, __u64 id)
{
	struct ft_pair_ref last = {}, latch, fifo;
	struct ft_pair_stats *s = stats_of(f->hop);
	__u32 from = from_of(f->hop);

	if (!s)
		return;
	queue_remove(queue_of(t, FT_PAIR_B), f, id);
	pop_for(t, f, id, FT_PAIR_A);
	if (from == FT_PAIR_NO_HOP)
		return;
	fifo = t->wrote_for;
	fifo.id *= HOP_OF(fifo.id) == from;
	if (t->last_role == FT_PAIR_A && HOP_OF(t->last.id) == from)
		last = t->last;
	latch = f->latch.id ? f->latch : last; /* until its first answer, see on_read() */
	add_alone(&s->sends, 1);
	add_alone(&s->matched[FT_PAIR_LAST], !!last.id);
	add_alone(&s->matched[FT_PAIR_LATCH], !!latch.id);
	add_alone(&s->matched[FT_PAIR_FIFO], !!fifo.id);
	add_alone(&s->matched[FT_PAIR_BACK], last.id || latch.id || fifo.id);
	if (latch.id == last.id && latch.id == fifo.id && known_pair(f, latch.id, FT_PAIR_FW_ANY))
		return;
	/* The one that is most often right comes last: it stays with the flow. */
	suggest(&t->candidate[0], fifo.id != latch.id && fifo.id != last.id ? &fifo : NULL,
		FT_PAIR_FW_FIFO);
	suggest(&t->candidate[1], last.id != latch.id ? &last : NULL,
		FT_PAIR_FW_LAST | (last.id == fifo.id) * FT_PAIR_FW_FIFO);
	suggest(&t->candidate[2], &latch,
		FT_PAIR_FW_LATCH | (latch.id == last.id) * FT_PAIR_FW_LAST |
			(latch.id == fifo.id) * FT_PAIR_FW_FIFO);
	link_all(t, f);
}

/* b was read last and an a of this hop is written: what was read is handed over, once. Of all that
 * the b's of a hop hand over, how much goes to which a's says whose they are. */
static __always_inline void hand_over(struct ft_pair_thread *t, struct ft_pair_stats *s, __u32 hop)
{
	if (t->handed)
		return;
	t->handed = 1;
	barrier_var(hop); /* see drop_edge() */
	if (hop < FT_MAX_HOPS)
		add_alone(&s->handed[hop], 1);
}

/* The same where the fork is another hop's, or is yet to be found: no evidence for an edge. An a
 * whose own request was not passed on is answered for that, whatever was read meanwhile. */
static __always_inline void hand_elsewhere(struct ft_pair_thread *t, __u32 hop, bool asked)
{
	struct ft_pair_stats *s = t->handed || asked ? NULL : stats_of(HOP_OF(t->last.id));

	if (s)
		hand_over(t, s, hop);
}

/* b was read and a is written: back. `again`: a was written before, since anything was read. */
static __always_inline __u32 evidence_back(struct ft_pair_thread *t, __u32 hop, bool again)
{
	const struct ft_pair_queue *q = queue_of(t, FT_PAIR_B);
	struct ft_pair_stats *s;

	if (again)
		return FT_PAIR_REV_LAST;
	s = stats_of(HOP_OF(t->last.id));
	if (!s)
		return FT_PAIR_REV_LAST;
	hand_over(t, s, hop);
	add_alone(&s->back, 1);
	if (q->waiting == 1 && q->flow[SLOT(t->last_pos)].id == t->last.id)
		return FT_PAIR_REV_LAST | FT_PAIR_REV_ALONE;
	add_alone(&s->back_ambiguous, 1);
	return FT_PAIR_REV_LAST;
}

/* A pool's b passes from a to a, and comes back: when it was read, it knew that it was written for
 * this one and how well that is evidenced. The write is b's to remember: a may have gone on to
 * another b, and its newest edge is that one's. */
static __always_inline bool knew_pair(const struct ft_pair_thread *t, const struct ft_pair_flow *a,
				      __u32 pattern)
{
	struct ft_pair_flow *b;

	if (t->last_role != FT_PAIR_B || t->last_partner != a->id ||
	    (t->last_evidence & pattern) != pattern)
		return false;
	b = named(&t->last);
	if (!b || b->partner.id != a->id)
		return false;
	b->writes++;
	return true;
}

/* A write to a. */
static __always_inline void wrote_a(struct ft_pair_thread *t, struct ft_pair_flow *f, __u64 id)
{
	struct ft_pair_ref last = {}, fifo;
	bool again = t->wrote == f->id, asked = queue_remove(queue_of(t, FT_PAIR_A), f, id);
	__u32 evidence = 0;

	if (t->last_role == FT_PAIR_B) {
		if (from_of(HOP_OF(t->last.id)) == f->hop) {
			last = t->last;
			evidence = evidence_back(t, f->hop, again);
		} else {
			hand_elsewhere(t, f->hop, asked);
		}
	}
	pop_for(t, f, id, FT_PAIR_B);
	fifo = t->wrote_for;
	fifo.id *= from_of(HOP_OF(fifo.id)) == f->hop;
	if (last.id == fifo.id && (known_pair(f, last.id, evidence | FT_PAIR_REV_FIFO) ||
				   knew_pair(t, f, evidence | FT_PAIR_REV_FIFO)))
		return;
	suggest(&t->candidate[0], NULL, 0);
	suggest(&t->candidate[1], fifo.id != last.id ? &fifo : NULL, FT_PAIR_REV_FIFO);
	suggest(&t->candidate[2], &last, evidence | (last.id == fifo.id) * FT_PAIR_REV_FIFO);
	link_all(t, f);
}

/* A write that no rule has an a for. */
static __always_inline void count_send(const struct ft_pair_flow *f)
{
	struct ft_pair_stats *s;

	if (f->role != FT_PAIR_B || from_of(f->hop) == FT_PAIR_NO_HOP)
		return;
	s = stats_of(f->hop);
	if (s)
		add_alone(&s->sends, 1);
}

static __always_inline void on_write(const struct where *w, __u32 bytes)
{
	struct ft_pair_flow *f = flow_of(w);
	__u64 tid = bpf_get_current_pid_tgid();
	struct ft_pair_thread *t;

	if (!f)
		return;
	f->written_bytes += bytes;
	f->turn = FT_PAIR_SENDING;
	if (f->role == FT_PAIR_B)
		f->port = w->lport;
	t = known_thread(tid);
	if (!t) /* it has read nothing: there is nothing to pass on */
		count_send(f);
	else if (f->role == FT_PAIR_B)
		wrote_b(t, f, tid);
	else
		wrote_a(t, f, tid);
}

/* connect(), in its process: whoever the thread read last may be why. */
static __always_inline void on_connect(const struct where *w)
{
	struct ft_pair_thread *t = known_thread(bpf_get_current_pid_tgid());
	struct ft_pair_flow *f;
	__u64 key = w->key;

	if (!bpf_map_delete_elem(&ft_pair_flows, &key))
		lose(FT_PAIR_LOSS_MISSED_CLOSE);
	f = meet(w, bpf_ktime_get_ns());
	if (!f || !t || t->last_role != FT_PAIR_A || HOP_OF(t->last.id) != from_of(f->hop))
		return;
	f->latch = t->last;
}

/* --- kprobes: from the entry of tcp_sendmsg to its return --- */

static __always_inline void sending(const struct where *w)
{
	struct ft_pair_thread *t = this_thread(bpf_get_current_pid_tgid());

	if (t)
		t->sending = w->key;
}

static __always_inline __u64 sent_by_thread(void)
{
	struct ft_pair_thread *t = known_thread(bpf_get_current_pid_tgid());
	__u64 key = t ? t->sending : 0;

	if (t)
		t->sending = 0;
	return key;
}

#endif
