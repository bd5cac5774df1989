/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real sockets, one step at a time. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kit.h"

static socklen_t address(const char *addr, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (strchr(addr, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		v6->sin6_scope_id = strncmp(addr, "fe80", 4) ? 0 : if_nametoindex("lo");
		cr_assert_eq(inet_pton(AF_INET6, addr, &v6->sin6_addr), 1);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	cr_assert_eq(inet_pton(AF_INET, addr, &v4->sin_addr), 1);
	return sizeof(*v4);
}

static int bound(int type, int protocol, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	int one = 1, fd = socket(ss.ss_family, type | SOCK_CLOEXEC, protocol);

	cr_assert_geq(fd, 0, "socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, len), 0, "bind %s:%u: %m", addr, port);
	return fd;
}

int kit_listen_at(int protocol, const char *addr, uint16_t port, int backlog)
{
	int fd = bound(SOCK_STREAM, protocol, addr, port);

	cr_assert_eq(listen(fd, backlog), 0, "listen: %m");
	return fd;
}

int kit_listen(const char *addr, uint16_t port)
{
	return kit_listen_at(0, addr, port, 4096);
}

static int begin(int type, const char *from, uint16_t from_port, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	int fd, err;

	if (from)
		fd = bound(type, 0, from, from_port);
	else
		fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0, "socket: %m");
	if (!connect(fd, (struct sockaddr *)&ss, len) || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int kit_connect_begin(const char *from, uint16_t from_port, const char *addr, uint16_t port)
{
	return begin(SOCK_STREAM | SOCK_NONBLOCK, from, from_port, addr, port);
}

int kit_connect_from(const char *from, uint16_t from_port, const char *addr, uint16_t port)
{
	return begin(SOCK_STREAM, from, from_port, addr, port);
}

int kit_connect(const char *addr, uint16_t port)
{
	return begin(SOCK_STREAM, NULL, 0, addr, port);
}

int kit_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	cr_assert_geq(fd, 0, "accept: %m");
	return fd;
}

struct kit_pair kit_pair(int listener, const char *addr, uint16_t port)
{
	struct kit_pair p = {.client = kit_connect(addr, port)};

	cr_assert_geq(p.client, 0, "connect %s:%u: %s", addr, port, strerror(-p.client));
	p.server = kit_accept(listener);
	return p;
}

void kit_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
}

void kit_await_end(int fd)
{
	char sink[4096];
	ssize_t n;

	while ((n = read(fd, sink, sizeof(sink))) > 0)
		;
	cr_assert(!n || errno == ECONNRESET, "read: %m");
}

void kit_send(int fd, size_t bytes)
{
	static const char zeros[65536];

	cr_assert_leq(bytes, sizeof(zeros));
	cr_assert_eq(send(fd, zeros, bytes, MSG_NOSIGNAL), (ssize_t)bytes, "send: %m");
}

void kit_await_data(int fd, int bytes)
{
	int there = 0;

	for (int tries = 0; there < bytes && tries < 2000; tries++) {
		if (tries)
			kit_sleep_ms(5);
		cr_assert_eq(ioctl(fd, FIONREAD, &there), 0);
	}
	cr_assert_eq(there, bytes, "%d of %d bytes are there", there, bytes);
}

uint16_t kit_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	return ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
					     : ((struct sockaddr_in6 *)&ss)->sin6_port);
}

void kit_close_client_first(struct kit_pair p)
{
	close(p.client);
	kit_await_end(p.server);
	close(p.server);
}

void kit_close_server_first(struct kit_pair p)
{
	close(p.server);
	kit_await_end(p.client);
	close(p.client);
}
