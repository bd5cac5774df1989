/* SPDX-License-Identifier: GPL-2.0 */
/* What a thread has read and not yet passed on, oldest first: one queue of a's, one of b's. A flow
 * waits in one queue at a time, and knows where (queue_tid, queue_pos): entries elsewhere are
 * stale. One that has closed still waits: many programs close b before they answer a. A queue is
 * written by its thread only. */
#ifndef FT_PAIR_QUEUE_BPF_H
#define FT_PAIR_QUEUE_BPF_H

#define SLOT(pos) ((pos) & (FT_PAIR_QUEUE - 1))

static __always_inline bool waits(const struct ft_pair_queue *q, const struct ft_pair_flow *f,
				  __u32 tid)
{
	__u32 pos = f->queue_pos;

	return f->queue_tid == tid && pos - q->head < q->tail - q->head &&
	       q->flow[SLOT(pos)].id == f->id;
}

static __always_inline void queue_push(struct ft_pair_queue *q, struct ft_pair_flow *f, __u64 key,
				       __u32 tid)
{
	if (waits(q, f, tid))
		return;
	if (q->tail - q->head >= FT_PAIR_QUEUE) {
		if (q->flow[SLOT(q->head)].id) {
			q->waiting--;
			lose(FT_PAIR_LOSS_QUEUE_FULL);
		}
		q->head++;
	}
	f->queue_tid = tid;
	f->queue_pos = q->tail;
	q->flow[SLOT(q->tail)].key = key;
	q->flow[SLOT(q->tail)].id = f->id;
	q->tail++;
	q->waiting++;
}

/* The flow was written: what was read from it has its answer. Whether it was waiting for one. */
static __always_inline bool queue_remove(struct ft_pair_queue *q, struct ft_pair_flow *f, __u32 tid)
{
	if (!q->waiting || !waits(q, f, tid))
		return false;
	q->flow[SLOT(f->queue_pos)].id = 0;
	q->waiting--;
	f->queue_tid = 0;
	return true;
}

/* Whether an entry is stale: its flow waits elsewhere, or was passed on. */
static __always_inline bool moved(const struct ft_pair_ref *r, __u32 pos, __u32 tid)
{
	struct ft_pair_flow *f = named(r);

	return f && (f->queue_tid != tid || f->queue_pos != pos);
}

/* Take the oldest that still waits here; *ret stays as it is if none does. */
static __always_inline void queue_pop(struct ft_pair_queue *q, struct ft_pair_ref *ret, __u32 tid)
{
	for (int i = 0; i < FT_PAIR_QUEUE; i++) {
		__u32 pos = q->head;
		struct ft_pair_ref r;

		if (pos == q->tail)
			break;
		r = q->flow[SLOT(pos)];
		q->head = pos + 1;
		if (!r.id)
			continue;
		q->waiting--;
		if (moved(&r, pos, tid))
			continue;
		*ret = r;
		break;
	}
}

#endif
