/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The demo's processes: client, gateway, queue, nginx, node, mysql. One relay, run six times
 * with another row of stages[]. A request is a line, an answer is a line; a pool gives its
 * requests to its connections in turn and hands answers back in the order of the questions. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"

#define MAX_CONNS 40 /* the queue's 15 places, both sides, and some */
#define MAX_ASKED 32
#define POLL_MS	  100

#define REQUEST_EVERY_MS 500
#define GROW_EVERY_MS	 3000
#define STORY_MS	 20000
#define GATEWAY_MOST	 6
#define NODE_POOL	 2

/* What a stage does with a connection that it accepted. */
enum style {
	ASK,	/* nothing: it is the client */
	PAIR,	/* one connection onwards for each */
	POOL,	/* share some connections onwards */
	ANSWER, /* nothing: it is the end */
};

static const struct stage {
	const char *name; /* of the process, at most 15 characters */
	enum style style;
	uint16_t accept, connect; /* ports; 0 none */
	unsigned int limit;	  /* connections accepted at a time */
} stages[] = {
	/* clang-format off */
	{"demo-mysql",   ANSWER, 3306, 0,    20},
	{"demo-node",    POOL,   3000, 3306, 20},
	{"demo-nginx",   PAIR,   8080, 3000, 20},
	{"demo-queue",   PAIR,   80,   8080, 15},
	{"demo-gateway", POOL,   443,  80,   20},
	{"demo-client",  ASK,    0,    443,  0},
	/* clang-format on */
};
#define NSTAGES (sizeof(stages) / sizeof(*stages))

struct conn {
	int fd; /* -1: free */
	bool onwards;
	int peer; /* PAIR: the other half */
	/* POOL, onwards: the connections whose questions wait for an answer */
	unsigned int head, tail;
	int asked[MAX_ASKED];
};

static pid_t pids[NSTAGES]; /* in the leader */

/* One process's state; every process is a fork with its own copy. */
static const struct stage *stage;
static struct conn conns[MAX_CONNS];
static int listener = -1;
static int64_t now_ms, began_ms, asked_ms; /* began: the first connection accepted */
static unsigned int turn;

static int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned int count(bool onwards)
{
	unsigned int n = 0;

	for (int i = 0; i < MAX_CONNS; i++)
		n += conns[i].fd >= 0 && conns[i].onwards == onwards;
	return n;
}

/* Takes over fd; -1 if there is no room. */
static int add(int fd, bool onwards)
{
	for (int i = 0; i < MAX_CONNS && fd >= 0; i++) {
		if (conns[i].fd >= 0)
			continue;
		conns[i] = (struct conn){.fd = fd, .onwards = onwards, .peer = -1};
		return i;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static void drop(int i)
{
	int peer = conns[i].peer;

	close(conns[i].fd);
	conns[i] = (struct conn){.fd = -1, .peer = -1};
	if (peer >= 0) {
		conns[peer].peer = -1;
		drop(peer);
	}
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int open_onwards(void)
{
	struct sockaddr_in to = loopback(stage->connect);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		fd = -1;
	}
	return add(fd, true);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = loopback(port);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 128))
		return -errno;
	return 0;
}

static void accept_one(void)
{
	int from = add(accept4(listener, NULL, NULL, SOCK_CLOEXEC), false);

	if (from < 0)
		return;
	if (!began_ms)
		began_ms = now_ms;
	if (stage->style != PAIR)
		return;
	conns[from].peer = open_onwards();
	if (conns[from].peer < 0)
		drop(from);
	else
		conns[conns[from].peer].peer = from;
}

static void say(int i, const char *text, size_t len)
{
	if (i >= 0 && conns[i].fd >= 0)
		send(conns[i].fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Give a question to the pool's next connection. */
static void ask_pool(int from)
{
	for (unsigned int tries = 0; tries < MAX_CONNS; tries++) {
		int i = (int)(turn++ % MAX_CONNS);
		struct conn *c = &conns[i];

		if (c->fd < 0 || !c->onwards || c->head - c->tail == MAX_ASKED)
			continue;
		c->asked[c->head++ % MAX_ASKED] = from;
		say(i, "GET\n", 4);
		return;
	}
}

static void on_line(int i)
{
	struct conn *c = &conns[i];

	if (stage->style == ANSWER)
		say(i, "OK\n", 3);
	else if (stage->style == POOL && !c->onwards)
		ask_pool(i);
	else if (stage->style == POOL && c->head != c->tail)
		say(c->asked[c->tail++ % MAX_ASKED], "OK\n", 3);
}

static void on_readable(int i)
{
	char text[512];
	ssize_t n = recv(conns[i].fd, text, sizeof(text), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(i);
		return;
	}
	if (stage->style == PAIR) {
		say(conns[i].peer, text, (size_t)n);
		return;
	}
	for (ssize_t at = 0; at < n; at++)
		if (text[at] == '\n')
			on_line(i);
}

/* How many connections onwards there should be now. */
static unsigned int wanted(unsigned int have)
{
	unsigned int served = count(false), n;

	if (stage->style == ASK)
		return 1;
	if (stage->style != POOL || !served)
		return 0;
	if (stage->connect != 80) /* a pool that grows when needed, and stays */
		return served < have ? have : served < NODE_POOL ? served : NODE_POOL;
	/* the gateway, and the point of it all: its one client never asked for more */
	n = 1 + (unsigned int)((now_ms - began_ms) % STORY_MS / GROW_EVERY_MS);
	return n < GATEWAY_MOST ? n : GATEWAY_MOST;
}

static void adjust_pool(void)
{
	unsigned int have = count(true), want = wanted(have);

	for (; have < want; have++)
		if (open_onwards() < 0)
			return;
	for (int i = MAX_CONNS; i-- && have > want;) {
		if (conns[i].fd < 0 || !conns[i].onwards)
			continue;
		drop(i);
		have--;
	}
}

static void on_time(void)
{
	now_ms = clock_ms();
	if (stage->style != PAIR && stage->connect)
		adjust_pool();
	if (stage->style != ASK || now_ms - asked_ms < REQUEST_EVERY_MS)
		return;
	asked_ms = now_ms;
	for (int i = 0; i < MAX_CONNS; i++)
		say(i, "GET\n", 4);
}

/* The listener is left alone while all places are taken: the rest waits in its backlog. */
static _Noreturn void relay(void)
{
	struct pollfd p[MAX_CONNS + 1];

	for (;;) {
		for (int i = 0; i < MAX_CONNS; i++)
			p[i] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
		p[MAX_CONNS] = (struct pollfd){.fd = count(false) < stage->limit ? listener : -1,
					       .events = POLLIN};
		if (poll(p, MAX_CONNS + 1, POLL_MS) > 0) {
			for (int i = 0; i < MAX_CONNS; i++)
				if (p[i].revents && conns[i].fd == p[i].fd)
					on_readable(i);
			if (p[MAX_CONNS].revents)
				accept_one();
		}
		on_time();
	}
}

static _Noreturn void run(const struct stage *s, int ready, pid_t leader)
{
	sigset_t none;
	int rc = 0;

	prctl(PR_SET_NAME, s->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != leader || close_range(STDERR_FILENO + 1, (unsigned int)ready - 1, 0))
		_exit(1);
	stage = s;
	now_ms = clock_ms();
	for (int i = 0; i < MAX_CONNS; i++)
		conns[i] = (struct conn){.fd = -1, .peer = -1};
	if (s->accept)
		rc = listen_on(s->accept);
	if (write(ready, &rc, sizeof(rc)) != (ssize_t)sizeof(rc) || rc)
		_exit(1);
	close(ready);
	relay();
}

static int start_one(const struct stage *s, pid_t *ret_pid)
{
	pid_t leader = getpid();
	int fds[2], rc = -ECHILD;

	if (pipe(fds))
		return -errno;
	*ret_pid = fork();
	if (!*ret_pid)
		run(s, fds[1], leader);
	if (*ret_pid < 0)
		rc = -errno;
	close(fds[1]);
	if (*ret_pid > 0 && read(fds[0], &rc, sizeof(rc)) != (ssize_t)sizeof(rc))
		rc = -ECHILD;
	close(fds[0]);
	return rc;
}

int ft_demo_chain_start(const char **ret_what)
{
	for (size_t i = 0; i < NSTAGES; i++) {
		int rc = start_one(&stages[i], &pids[i]);

		*ret_what = stages[i].name;
		if (rc)
			return rc;
	}
	return 0;
}

void ft_demo_chain_end(void)
{
	for (size_t i = 0; i < NSTAGES; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}
