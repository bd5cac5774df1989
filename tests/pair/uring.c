// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* uring - a tunnel from 127.0.0.1:8080 to 127.0.0.1:3000 on one io_uring: a batch of completed
 * receives becomes a batch of sends. */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 16384

/* One direction: receive into bytes, send all of it, again. */
struct way {
	int from, to;
	int have, done; /* have 0: a receive is under way */
	struct way *back;
	bool ended;
	char bytes[MOST];
};

static struct io_uring ring;

static struct io_uring_sqe *next(void *who)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	io_uring_sqe_set_data(sqe, who);
	return sqe;
}

static void receive(struct way *w)
{
	struct io_uring_sqe *sqe = next(w);

	w->have = w->done = 0;
	io_uring_prep_recv(sqe, w->from, w->bytes, MOST, 0);
	io_uring_sqe_set_data(sqe, w);
}

static void send_rest(struct way *w)
{
	struct io_uring_sqe *sqe = next(w);

	io_uring_prep_send(sqe, w->to, w->bytes + w->done, w->have - w->done, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, w);
}

static void end(struct way *w)
{
	shutdown(w->to, SHUT_WR);
	w->ended = true;
	if (!w->back->ended)
		return;
	close(w->from);
	close(w->to);
	free(w->back);
	free(w);
}

static void step(struct way *w, int result)
{
	if (result <= 0)
		end(w);
	else if (!w->have) {
		w->have = result;
		send_rest(w);
	} else {
		w->done += result;
		if (w->done < w->have)
			send_rest(w);
		else
			receive(w);
	}
}

static void open_tunnel(int a, const struct sockaddr_in *to)
{
	struct way *up = calloc(1, sizeof(*up)), *down = calloc(1, sizeof(*down));
	int b = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(b, (const struct sockaddr *)to, sizeof(*to)))
		perror("connect");
	*up = (struct way){.from = a, .to = b, .back = down};
	*down = (struct way){.from = b, .to = a, .back = up};
	receive(up);
	receive(down);
}

static void await_client(int listener)
{
	struct io_uring_sqe *sqe = next(NULL);

	io_uring_prep_accept(sqe, listener, NULL, NULL, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

int main(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(8080),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   to = at;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	to.sin_port = htons(3000);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1024) ||
	    io_uring_queue_init(1024, &ring, 0)) {
		perror("start");
		return 70;
	}
	await_client(listener);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned int head, n = 0;

		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			struct way *w = io_uring_cqe_get_data(cqe);

			n++;
			if (w) {
				step(w, cqe->res);
				continue;
			}
			if (cqe->res >= 0)
				open_tunnel(cqe->res, &to);
			await_client(listener);
		}
		io_uring_cq_advance(&ring, n);
	}
}
