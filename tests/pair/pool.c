// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* pool - a tunnel from 127.0.0.1:8080 to 127.0.0.1:3000 whose threads tell nothing: one thread
 * reads, eight others write. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRITERS 8
#define MOST	65536

/* One end of a tunnel. A tunnel's pieces are written by one thread, in order. */
struct end {
	int fd;
	bool ended;
	struct end *other;
};
struct piece {
	struct piece *next;
	struct end *to;
	size_t n; /* 0: the end */
	char bytes[];
};
static struct queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct piece *first, **last;
} queues[WRITERS];

static void put(struct end *to, const char *bytes, size_t n)
{
	uintptr_t tunnel = (uintptr_t)(to < to->other ? to : to->other);
	struct queue *q = &queues[tunnel / 64 % WRITERS];
	struct piece *p = malloc(sizeof(*p) + n);

	*p = (struct piece){.to = to, .n = n};
	memcpy(p->bytes, bytes, n);
	pthread_mutex_lock(&q->lock);
	*q->last = p;
	q->last = &p->next;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
}

static void pass_on(const struct piece *p)
{
	size_t done = 0;

	while (done < p->n) {
		ssize_t n = send(p->to->fd, p->bytes + done, p->n - done, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += n;
	}
	if (p->n)
		return;
	shutdown(p->to->fd, SHUT_WR);
	p->to->ended = true;
	if (!p->to->other->ended)
		return;
	close(p->to->fd);
	close(p->to->other->fd); /* the ends are not freed: a late event may still name them */
}

static void *write_all(void *arg)
{
	struct queue *q = arg;

	for (;;) {
		struct piece *p;

		pthread_mutex_lock(&q->lock);
		while (!q->first)
			pthread_cond_wait(&q->more, &q->lock);
		p = q->first;
		q->first = p->next;
		if (!q->first)
			q->last = &q->first;
		pthread_mutex_unlock(&q->lock);
		pass_on(p);
		free(p);
	}
	return NULL;
}

static void watch(int ep, struct end *end)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = end};

	epoll_ctl(ep, EPOLL_CTL_ADD, end->fd, &ev);
}

static void open_tunnel(int ep, int listener, const struct sockaddr_in *to)
{
	struct end *a = aligned_alloc(64, 64), *b = aligned_alloc(64, 64);

	*a = (struct end){.fd = accept(listener, NULL, NULL), .other = b};
	*b = (struct end){.fd = socket(AF_INET, SOCK_STREAM, 0), .other = a};
	if (connect(b->fd, (const struct sockaddr *)to, sizeof(*to)))
		perror("connect");
	watch(ep, a);
	watch(ep, b);
}

static void read_one(int ep, struct end *from)
{
	static char bytes[MOST];
	ssize_t n = read(from->fd, bytes, sizeof(bytes));

	if (n <= 0)
		epoll_ctl(ep, EPOLL_CTL_DEL, from->fd, NULL);
	put(from->other, bytes, n > 0 ? n : 0);
}

int main(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(8080),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   to = at;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, ep = epoll_create1(0);
	struct end self = {.fd = listener};

	to.sin_port = htons(3000);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1024)) {
		perror("listen");
		return 70;
	}
	for (int i = 0; i < WRITERS; i++) {
		struct queue *q = &queues[i];
		pthread_t thread;

		pthread_mutex_init(&q->lock, NULL);
		pthread_cond_init(&q->more, NULL);
		q->last = &q->first;
		pthread_create(&thread, NULL, write_all, q);
	}
	watch(ep, &self);
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &self)
				open_tunnel(ep, listener, &to);
			else
				read_one(ep, ev[i].data.ptr);
		}
	}
}
