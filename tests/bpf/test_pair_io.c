/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ways to read and write, and what looks like either and moves no byte. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kit_pair.h"

static struct kit_pair front, back, other;

/* One client with a server behind it, and a client that nothing is done for. */
static void relay(void)
{
	front = kit_front();
	back = kit_back();
	other = kit_front();
}

static void splice_over(int from, int to, size_t bytes)
{
	int pipe_fd[2];
	size_t there = 0;

	cr_assert_eq(pipe(pipe_fd), 0);
	while (there < bytes) {
		ssize_t n = splice(from, NULL, pipe_fd[1], NULL, bytes - there, 0);

		cr_assert_gt(n, 0, "splice from the socket: %m");
		cr_assert_eq(splice(pipe_fd[0], NULL, to, NULL, n, 0), n, "splice to it: %m");
		there += n;
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void a_relay_that_splices_is_paired_and_its_bytes_are_exact(void)
{
	relay();
	for (int i = 0; i < 5; i++) {
		kit_send(front.client, 1000);
		splice_over(front.server, back.client, 1000);
		kit_take(back.server, 1000);
		kit_send(back.server, 30000);
		splice_over(back.client, front.server, 30000);
		kit_take(front.client, 30000);
	}
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->read_bytes, 5000);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->written_bytes, 150000);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->read_bytes, 150000);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->written_bytes, 5000);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 5);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, 5);
}

static int file_of(size_t bytes)
{
	int fd = memfd_create("answer", 0);

	cr_assert(fd >= 0 && !ftruncate(fd, bytes));
	return fd;
}

static void a_file_that_is_sent_to_a_client_is_a_write_and_no_pair(void)
{
	relay();
	kit_in(front, 100);
	cr_assert_eq(sendfile(front.server, file_of(10000), NULL, 10000), 10000);
	kit_take(front.client, 10000);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->written_bytes, 10000);
	kit_expect_edges(0);
	kit_in(front, 100); /* after what was sent: a second exchange */
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 2);
}

/* nginx does so with answers that are too large for its buffers. */
static void an_answer_that_is_passed_on_by_way_of_a_file_is_paired(void)
{
	relay();
	kit_in(front, 100);
	kit_forth(back, 100);
	kit_back_in(back, 10000);
	cr_assert_eq(sendfile(front.server, file_of(10000), NULL, 10000), 10000);
	kit_take(front.client, 10000);
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
}

static void vectors_and_messages_are_reads_and_writes(void)
{
	char bytes[2][50];
	struct iovec v[2] = {{bytes[0], 50}, {bytes[1], 50}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

	relay();
	kit_send(front.client, 100);
	cr_assert_eq(readv(front.server, v, 2), 100);
	cr_assert_eq(writev(back.client, v, 2), 100);
	kit_take(back.server, 100);
	kit_send(back.server, 100);
	cr_assert_eq(recvmsg(back.client, &m, 0), 100);
	cr_assert_eq(sendmsg(front.server, &m, 0), 100);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	kit_expect_edges(1);
}

/* --- what moves no byte --- */

static void what_is_only_peeked_at_was_not_read(void)
{
	char byte[100];

	relay();
	kit_send(other.client, 100);
	cr_assert_eq(recv(other.server, byte, 100, MSG_PEEK | MSG_WAITALL), 100);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_THREADS), 0);
	kit_in(front, 100);
	cr_assert_eq(recv(other.server, byte, 100, MSG_PEEK), 100);
	kit_forth(back, 100);
	kit_back_in(back, 200);
	cr_assert_eq(recv(other.server, byte, 100, MSG_PEEK), 100);
	kit_answer(front, 200);
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 1); /* of the one that was read */
}

static void a_read_that_finds_nothing_is_none(void)
{
	char byte;

	relay();
	kit_in(other, 1); /* it is known, and was passed on to nobody */
	kit_in(front, 100);
	for (int i = 0; i < 3; i++)
		cr_assert(recv(other.server, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	kit_forth(back, 100);
	kit_expect_evidence(front.server, back.client, FT_PAIR_FW_LAST | FT_PAIR_FW_LATCH);
	kit_expect_evidence(other.server, back.client, FT_PAIR_FW_FIFO); /* the older one */
	cr_assert_eq(kit_pair_flow(KIT_IN, other.server)->read_bytes, 1);
}

static void the_end_of_a_connection_is_no_byte_and_no_read(void)
{
	int pipe_fd[2];
	char byte;

	cr_assert_eq(pipe(pipe_fd), 0);

	relay();
	kit_in(other, 100);
	kit_answer(other, 100);
	kit_in(front, 100);
	shutdown(other.client, SHUT_WR);
	for (int i = 0; i < 2; i++) /* the one passes the kernel's hook, the other does not */
		cr_assert_eq(splice(other.server, NULL, pipe_fd[1], NULL, 1, 0), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(recv(other.server, &byte, 1, 0), 0);
	kit_forth(back, 100);
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_FORTH);
	cr_assert_eq(kit_pair_flow(KIT_IN, other.server)->read_bytes, 100);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 2); /* one of each */
}

static void the_last_bytes_and_the_end_in_one_read_are_exact(void)
{
	char sink[200];

	relay();
	kit_send(front.client, 100);
	shutdown(front.client, SHUT_WR);
	kit_settle(); /* the FIN is there, too */
	cr_assert_eq(recv(front.server, sink, 60, MSG_WAITALL), 60);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->read_bytes, 60);
	cr_assert_eq(recv(front.server, sink, sizeof(sink), MSG_WAITALL), 40);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->read_bytes, 100);
	kit_forth(back, 100);
	kit_back_in(back, 200);
	kit_answer(front, 200); /* half-closed, it still gets its answer */
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->written_bytes, 200);
}

static void a_write_that_finds_no_room_is_none(void)
{
	static char bytes[65536];
	size_t written = 0;
	ssize_t n;

	relay();
	kit_in(front, 100);
	while ((n = send(back.client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		written += n;
	cr_assert_eq(errno, EAGAIN);
	kit_in(other, 100);
	for (int i = 0; i < 3; i++) /* for this one nothing can be written */
		cr_assert(send(back.client, bytes, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_FORTH);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->written_bytes, written);
}

static void a_write_to_a_peer_that_is_gone_is_none(void)
{
	relay();
	kit_in(front, 100);
	kit_reset(back.server);
	kit_settle();
	cr_assert(send(back.client, "x", 1, MSG_NOSIGNAL) < 0);
	kit_expect_edges(0);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->sends, 0);
}

static void a_client_whose_bytes_nobody_reads_has_no_pair_and_no_exchange(void)
{
	relay();
	kit_send(other.client, 1000);
	kit_exchange(front, back);
	kit_expect_edges(1);
	cr_assert_null(kit_pair_flow(KIT_IN, other.server));
	cr_assert_eq(kit_judge(KIT_OUT).flows, 1);
	kit_reset(other.client);
	kit_settle();
	cr_assert_eq(kit_pair_stats(KIT_IN)->closed, 0);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 1);
}

/* The relay has passed on the client's end; the server's answer and its own end come together, and
 * the kernel is done with the connection before the relay has read it. */
static void an_answer_that_is_read_after_both_ends_have_closed_is_paired(void)
{
	relay();
	kit_in(front, 100);
	kit_forth(back, 100);
	shutdown(front.client, SHUT_WR);
	kit_await_end(front.server);
	shutdown(back.client, SHUT_WR);
	kit_await_end(back.server);
	kit_send(back.server, 200);
	close(back.server);
	kit_settle();
	kit_take(back.client, 200);
	kit_answer(front, 200);
	kit_expect_edges(1);
	cr_assert_eq(ft_pair_pattern(&kit_pairs()->edge[0].edge), KIT_ALL);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 1); /* the client's */
	close(back.client);
	close(front.server);
	kit_settle();
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->closed, 1);
	cr_assert_eq(kit_judge(KIT_OUT).mean, 1);
	cr_assert_eq(kit_judge(KIT_OUT).reuse_partners, 1);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 0);
	kit_expect_no_pair_loss();
}

/* And its bytes are exact, which is how tunnels of thread pools are paired. */
static void a_tunnel_that_was_closed_half_by_half_is_signed(void)
{
	size_t n;

	relay();
	kit_sign(KIT_OUT);
	kit_in(front, 100);
	kit_forth(back, 100);
	shutdown(front.client, SHUT_WR);
	kit_await_end(front.server);
	shutdown(back.client, SHUT_WR);
	kit_await_end(back.server);
	kit_send(back.server, 200);
	close(back.server);
	kit_settle();
	splice_over(back.client, front.server, 200);
	close(back.client);
	kit_take(front.client, 200);
	close(front.server);
	kit_await_end(front.client);
	close(front.client);
	kit_settle();
	kit_judge(KIT_OUT);
	kit_signed(&n);
	cr_assert_eq(n, 1);
	kit_expect_no_pair_loss();
}

static void a_flow_that_is_reset_ends_though_there_are_bytes_to_read(void)
{
	relay();
	kit_exchange(front, back);
	kit_send(front.client, 100);
	kit_send(back.server, 200);
	kit_await_data(front.server, 100);
	kit_await_data(back.client, 200);
	close(back.client); /* something is unread: a reset */
	kit_reset(front.client);
	kit_settle();
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 0);
	cr_assert_eq(kit_pair_stats(KIT_IN)->closed, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->closed, 1);
	kit_expect_ended(KIT_OUT, KIT_ALL, 1);
	kit_expect_no_pair_loss();
}

static void a_flow_whose_last_bytes_are_never_read_is_removed_and_counted_as_loss(void)
{
	relay();
	kit_exchange(front, back);
	shutdown(back.client, SHUT_WR);
	kit_send(back.server, 200);
	close(back.server);
	kit_settle();
	kit_await_data(back.client, 200);
	close(back.client);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 2);
	kit_pairs_sweep(); /* it may be just closing */
	kit_expect_no_pair_loss();
	kit_pairs_sweep();
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 1); /* the client's */
	kit_expect_pair_loss(FT_PAIR_LOSS_MISSED_CLOSE, 1);
}

Test(pair, reads_and_writes)
{
	static const struct kit_case cases[] = {
		KIT_CASE(a_relay_that_splices_is_paired_and_its_bytes_are_exact),
		KIT_CASE(a_file_that_is_sent_to_a_client_is_a_write_and_no_pair),
		KIT_CASE(an_answer_that_is_passed_on_by_way_of_a_file_is_paired),
		KIT_CASE(vectors_and_messages_are_reads_and_writes),
		KIT_CASE(what_is_only_peeked_at_was_not_read),
		KIT_CASE(a_read_that_finds_nothing_is_none),
		KIT_CASE(the_end_of_a_connection_is_no_byte_and_no_read),
		KIT_CASE(the_last_bytes_and_the_end_in_one_read_are_exact),
		KIT_CASE(a_write_that_finds_no_room_is_none),
		KIT_CASE(a_write_to_a_peer_that_is_gone_is_none),
		KIT_CASE(a_client_whose_bytes_nobody_reads_has_no_pair_and_no_exchange),
		KIT_CASE(an_answer_that_is_read_after_both_ends_have_closed_is_paired),
		KIT_CASE(a_tunnel_that_was_closed_half_by_half_is_signed),
		KIT_CASE(a_flow_that_is_reset_ends_though_there_are_bytes_to_read),
		KIT_CASE(a_flow_whose_last_bytes_are_never_read_is_removed_and_counted_as_loss),
	};

	kit_pairing_cases(cases, sizeof(cases) / sizeof(cases[0]));
}
