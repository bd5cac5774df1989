// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * queue - a connection queue, as a service may have in front of it: accepts everything, passes
 * `places` connections on, and holds the rest unread until a place is free.
 *
 *	queue LISTEN_PORT BACKEND_PORT PLACES
 *
 * One thread, poll(), loopback. "ready" on stdout once it listens. It is what the tests
 * hold the scan's `held` and `places` against.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX 8192

struct client {
	int fd, backend; /* backend -1: it waits */
};

static struct client client[MAX];
static int nclients, places;
static uint16_t backend_port;

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(backend_port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void drop(int i)
{
	close(client[i].fd);
	if (client[i].backend >= 0)
		close(client[i].backend);
	/* in order: who waits longest is first */
	memmove(&client[i], &client[i + 1], (size_t)(nclients - i - 1) * sizeof(client[0]));
	nclients--;
}

static void serve_waiting(void)
{
	int busy = 0;

	for (int i = 0; i < nclients; i++)
		busy += client[i].backend >= 0;
	for (int i = 0; i < nclients && busy < places; i++) {
		if (client[i].backend >= 0)
			continue;
		client[i].backend = dial();
		if (client[i].backend >= 0)
			busy++;
	}
}

/* false: one side has ended */
static bool pass(int from, int to)
{
	char buf[65536];
	ssize_t n = read(from, buf, sizeof(buf)), done = 0;

	if (n <= 0)
		return false;
	while (done < n) {
		ssize_t w = write(to, buf + done, (size_t)(n - done));

		if (w <= 0)
			return false;
		done += w;
	}
	return true;
}

static void take(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (nclients == MAX) {
		close(fd);
		return;
	}
	client[nclients++] = (struct client){fd, -1};
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4096)) {
		perror("queue: listen");
		exit(1);
	}
	return fd;
}

static void once(int listener)
{
	static struct pollfd p[2 * MAX + 1];
	int n = nclients;

	p[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (int i = 0; i < n; i++) { /* a waiting one is not looked at: it is held unread */
		int fd = client[i].backend >= 0 ? client[i].fd : -1;

		p[2 * i + 1] = (struct pollfd){.fd = fd, .events = POLLIN};
		p[2 * i + 2] = (struct pollfd){.fd = client[i].backend, .events = POLLIN};
	}
	if (poll(p, (nfds_t)(2 * n + 1), -1) < 0)
		return;
	for (int i = n; i-- > 0;) {
		bool ok = true;

		if (p[2 * i + 1].revents)
			ok = pass(client[i].fd, client[i].backend);
		if (ok && p[2 * i + 2].revents)
			ok = pass(client[i].backend, client[i].fd);
		if (!ok)
			drop(i);
	}
	if (p[0].revents)
		take(listener);
	serve_waiting();
}

int main(int argc, char **argv)
{
	struct rlimit files = {20000, 20000};
	int listener;

	if (argc != 4) {
		fprintf(stderr, "usage: queue LISTEN_PORT BACKEND_PORT PLACES\n");
		return 64;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	backend_port = (uint16_t)atoi(argv[2]);
	places = atoi(argv[3]);
	listener = listen_on((uint16_t)atoi(argv[1]));
	puts("ready");
	fflush(stdout);
	for (;;)
		once(listener);
}
