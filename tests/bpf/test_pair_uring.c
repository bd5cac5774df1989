/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A relay on io_uring: a batch of completed receives becomes a batch of sends. The ring is worked
 * by hand, because the guests have no liburing. */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kit_pair.h"

#define N 16

static struct {
	int fd;
	unsigned int *sq_tail, *cq_head, *cq_tail, *sq_array, sq_mask, cq_mask, waiting;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
} ring;

static void *map_ring(size_t size, uint64_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			offset);

	cr_assert_neq(at, MAP_FAILED, "mmap: %m");
	return at;
}

static void open_ring(void)
{
	struct io_uring_params p = {0};
	char *sq, *cq;

	ring.fd = syscall(SYS_io_uring_setup, 4 * N, &p);
	cr_assert_geq(ring.fd, 0, "io_uring_setup: %m");
	sq = map_ring(p.sq_off.array + p.sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = map_ring(p.cq_off.cqes + p.cq_entries * sizeof(*ring.cqe), IORING_OFF_CQ_RING);
	ring.sqe = map_ring(p.sq_entries * sizeof(*ring.sqe), IORING_OFF_SQES);
	ring.sq_tail = (unsigned int *)(sq + p.sq_off.tail);
	ring.sq_array = (unsigned int *)(sq + p.sq_off.array);
	ring.sq_mask = p.sq_entries - 1;
	ring.cq_mask = p.cq_entries - 1;
	ring.cq_head = (unsigned int *)(cq + p.cq_off.head);
	ring.cq_tail = (unsigned int *)(cq + p.cq_off.tail);
	ring.cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

/* Queue a receive or a send for tunnel `who`. */
static void queue(unsigned int op, int fd, void *bytes, unsigned int n, unsigned int who)
{
	unsigned int tail = *ring.sq_tail, slot = tail & ring.sq_mask;

	ring.sqe[slot] = (struct io_uring_sqe){
		.opcode = op,
		.fd = fd,
		.addr = (uintptr_t)bytes,
		.len = n,
		.msg_flags = op == IORING_OP_RECV ? MSG_WAITALL : MSG_NOSIGNAL,
		.user_data = who,
	};
	ring.sq_array[slot] = slot;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	ring.waiting++;
}

static void enter(unsigned int submit, unsigned int wait)
{
	while (syscall(SYS_io_uring_enter, ring.fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0,
		       NULL, 0) < 0)
		cr_assert_eq(errno, EINTR, "io_uring_enter: %m");
}

/* Submit what is queued, and nothing else. */
static void submit(void)
{
	enter(ring.waiting, 0);
	ring.waiting = 0;
}

/* Wait for a batch of N that each moved n bytes; whose they are, in their order. */
static void complete(unsigned int n, unsigned int order[N])
{
	unsigned int head = *ring.cq_head;

	enter(0, N);
	cr_assert_eq(__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) - head, N);
	for (unsigned int i = 0; i < N; i++) {
		const struct io_uring_cqe *c = &ring.cqe[(head + i) & ring.cq_mask];

		cr_assert_eq(c->res, (int)n, "moved %d", c->res);
		order[i] = c->user_data;
	}
	__atomic_store_n(ring.cq_head, head + N, __ATOMIC_RELEASE);
}

static void pass_on(const int from[N], const int to[N], const int ends[2][N], size_t bytes)
{
	static char buffer[N][1000];
	unsigned int order[N], sent[N];

	for (unsigned int i = 0; i < N; i++)
		queue(IORING_OP_RECV, from[i], buffer[i], bytes, i);
	submit(); /* nothing is there yet */
	for (int i = N - 1; i >= 0; i--)
		kit_send(ends[0][i], bytes);
	complete(bytes, order);
	for (unsigned int i = 0; i < N; i++)
		queue(IORING_OP_SEND, to[order[i]], buffer[order[i]], bytes, order[i]);
	submit();
	complete(bytes, sent);
	for (int i = 0; i < N; i++)
		kit_take(ends[1][i], bytes);
}

Test(pair, a_relay_on_io_uring_is_told_by_the_order_of_its_batches)
{
	int a[N], b[N], there[2][N], back_again[2][N];
	struct ft_pair_verdict v;

	kit_pairing(KIT_RELAY, NULL);
	open_ring();
	for (int i = 0; i < N; i++) {
		struct kit_pair front = kit_front(), back = kit_back();

		a[i] = front.server;
		b[i] = back.client;
		there[0][i] = back_again[1][i] = front.client;
		there[1][i] = back_again[0][i] = back.server;
	}
	for (int round = 0; round < 3; round++) {
		pass_on(a, b, there, 100);
		pass_on(b, a, back_again, 200);
	}
	for (int i = 0; i < N; i++)
		cr_assert(kit_holds(a[i], b[i], FT_PAIR_FIFO), "tunnel %d", i);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_FIFO);
	cr_assert_eq(v.agreement, 1);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(v.max, 1);
	cr_assert_eq(v.reuse_max, 1);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 3 * N);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, 3 * N);
	kit_expect_no_pair_loss();
}
