// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * conngen - make an exact number of TCP connections over loopback, fast.
 *
 * Each pair is two processes on one CPU: "conngen-srv" listens on BASEPORT + pair, and
 * "conngen-cli" connects. What is made is known to the last connection: both ends count, and
 * with -N the kernel's own ActiveOpens and PassiveOpens of the namespace have to agree.
 * The client never runs further ahead of the server than a window that is smaller than the
 * backlog: with an overflowing one, connections exist that only the client has seen.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* FIN, SFIN, RST: who ends the connection and how. */
enum mode { FIN, SFIN, RST, MIXED, HOLD, REFUSE, NMODES };
static const char *const mode_name[NMODES] = {"fin", "sfin", "rst", "mixed", "hold", "refuse"};

#define MAX_PAIRS    64
#define MIXED_BLOCK  8	 /* MIXED: this many of one kind, then of the next */
#define MAX_WINDOW   128 /* also keeps RPS's queue, net.core.netdev_max_backlog, from dropping */
#define SFIN_PENDING 32
#define ADDRESSES    250 /* 127.0.0.1 … 127.0.0.250: 28 000 ephemeral ports for each */
#define STALL_S	     60

static struct {
	unsigned long conns;
	unsigned int pairs;
	unsigned int port;
	const char *addr;
	enum mode mode;
	const char *rps;
	bool own_netns, wait_before, wait_after;
} opt = {.conns = 1000, .pairs = 1, .port = 20000};

/* Shared with the children. The two ends write to their own cache lines. */
struct pair {
	struct {
		_Alignas(64) unsigned long count[NMODES]; /* by way of ending */
		unsigned long total, refused;
	} cli;
	struct {
		_Alignas(64) unsigned long total;
	} srv;
	unsigned long conns;
	unsigned int index;
	int credit; /* eventfd: connections that the server has taken over */
};

static struct pair *pairs;
static unsigned int window, batch;
static int start_gate[2], stop_gate[2]; /* opened by closing the parent's end */
static int notes[2];			/* children write a byte per stage reached */

#define die(...)                                                                                   \
	do {                                                                                       \
		fprintf(stderr, "conngen: " __VA_ARGS__);                                          \
		fputc('\n', stderr);                                                               \
		exit(1);                                                                           \
	} while (0)

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		die("%s: %m", path);
}

/* --- set-up --- */

static void enter_netns(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare(CLONE_NEWNET): %m");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) || close(fd))
		die("bring lo up: %m");
}

/* /sys shows the namespace it was mounted in, so the setting needs a /sys of our own. */
static void steer_packets(const char *mask)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		die("private /sys: %m");
	write_file("/sys/class/net/lo/queues/rx-0/rps_cpus", mask);
}

static void raise_fd_limit(unsigned long need)
{
	struct rlimit lim;

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max < need)
		lim.rlim_max = need;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		die("%lu files for each end: %m; use more pairs (-t)", need);
}

static void size_window(void)
{
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	unsigned int somaxconn;

	if (!f || fscanf(f, "%u", &somaxconn) != 1)
		somaxconn = 128;
	if (f)
		fclose(f);
	window = somaxconn / 2 < MAX_WINDOW ? somaxconn / 2 : MAX_WINDOW;
	if (opt.mode == MIXED)
		window = MIXED_BLOCK;
	if (!window)
		die("net.core.somaxconn is too small");
	batch = opt.mode == MIXED || window < 4 ? window : window / 4;
}

static void pin(unsigned int index)
{
	cpu_set_t allowed, one;
	unsigned int left;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	left = index % (unsigned int)CPU_COUNT(&allowed);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !left--)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* --- what both ends share --- */

static enum mode mode_of(unsigned long i)
{
	return opt.mode == MIXED ? (enum mode)(i / MIXED_BLOCK % 3) : opt.mode;
}

static void wait_gate(const int gate[2])
{
	char byte;

	while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
		;
}

static void note(void)
{
	if (write(notes[1], "", 1) != 1)
		die("note: %m");
}

static int *fd_table(unsigned long n)
{
	int *fds = calloc(n + 1, sizeof(*fds));

	if (!fds)
		die("out of memory");
	return fds;
}

/* The address of connection i; with -a always that one. v4-mapped addresses stay IPv6. */
static socklen_t destination(const struct pair *p, unsigned long i, struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;
	in_port_t port = htons((in_port_t)(opt.port + p->index));

	memset(ss, 0, sizeof(*ss));
	if (opt.addr && inet_pton(AF_INET6, opt.addr, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = port;
	if (!opt.addr)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(i % ADDRESSES));
	else if (inet_pton(AF_INET, opt.addr, &v4->sin_addr) != 1)
		die("-a %s: not an IP address", opt.addr);
	return sizeof(*v4);
}

/* --- server --- */

static int make_listener(const struct pair *p)
{
	struct timeval stall = {.tv_sec = STALL_S};
	struct sockaddr_storage ss;
	socklen_t len = destination(p, 0, &ss);
	int one = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (ss.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_any;
	else
		((struct sockaddr_in *)&ss)->sin_addr.s_addr = INADDR_ANY;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)); /* accepted inherit it */
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) || listen(fd, 4096))
		die("listen on port %u: %m", opt.port + p->index);
	return fd;
}

static int take(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* the client may be waiting */
	if (fd < 0)
		die("accept: %m");
	return fd;
}

static void await_end(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n > 0 || (n < 0 && errno != ECONNRESET))
		die("a connection did not end: %m");
}

static void hold_server(const int *held, unsigned long n)
{
	note();
	wait_gate(stop_gate);
	for (unsigned long i = 0; i < n; i++) {
		await_end(held[i]);
		close(held[i]);
	}
}

static void serve(struct pair *p)
{
	int listener = make_listener(p), *held = opt.mode == HOLD ? fd_table(p->conns) : NULL;
	uint64_t grant = batch;

	note();
	for (unsigned long i = 0; i < p->conns; i++) {
		int fd = take(listener);

		if (held) {
			held[i] = fd;
		} else {
			if (mode_of(i) != SFIN)
				await_end(fd);
			close(fd);
		}
		p->srv.total++;
		if (p->srv.total % batch == 0 && write(p->credit, &grant, sizeof(grant)) < 0)
			die("credit: %m");
	}
	if (held)
		hold_server(held, p->conns);
	free(held);
	close(listener);
}

/* --- client --- */

static int open_one(struct pair *p, unsigned long i)
{
	struct sockaddr_storage ss;
	socklen_t len = destination(p, i, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %m");
	/* EPIPE: it was established, and both FIN and RST of the server came before we woke up. */
	if (!connect(fd, (struct sockaddr *)&ss, len) || errno == EPIPE) {
		p->cli.total++;
		p->cli.count[mode_of(i)]++;
		return fd;
	}
	if (errno != ECONNREFUSED)
		die("connect: %m");
	p->cli.refused++;
	close(fd);
	return -1;
}

static void close_one(int fd, enum mode mode)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (mode == SFIN)
		await_end(fd);
	if (mode == RST && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		die("SO_LINGER: %m");
	close(fd);
}

static void wait_credit(const struct pair *p, uint64_t *credit)
{
	while (!*credit)
		if (read(p->credit, credit, sizeof(*credit)) < 0 && errno != EINTR)
			die("credit: %m");
	--*credit;
}

/* Connections that the server ends are left open for a while: one process switch for many. */
static void run_client(struct pair *p)
{
	int pending[SFIN_PENDING];
	unsigned long head = 0, done = 0;
	uint64_t credit = window;

	for (unsigned long i = 0; i < p->conns; i++) {
		enum mode mode = mode_of(i);
		int fd;

		if (mode != REFUSE)
			wait_credit(p, &credit);
		fd = open_one(p, i);
		if (fd < 0)
			continue;
		if (mode != SFIN) {
			close_one(fd, mode);
			continue;
		}
		if (head - done == SFIN_PENDING)
			close_one(pending[done++ % SFIN_PENDING], SFIN);
		pending[head++ % SFIN_PENDING] = fd;
	}
	while (done < head)
		close_one(pending[done++ % SFIN_PENDING], SFIN);
}

static void hold_client(struct pair *p)
{
	int *held = fd_table(p->conns);
	uint64_t credit = window;

	for (unsigned long i = 0; i < p->conns; i++) {
		wait_credit(p, &credit);
		held[i] = open_one(p, i);
	}
	note();
	wait_gate(stop_gate);
	for (unsigned long i = 0; i < p->conns; i++)
		close(held[i]);
	free(held);
}

/* --- parent --- */

static pid_t spawn(struct pair *p, const char *name, void (*run)(struct pair *), bool gated)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork: %m");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	prctl(PR_SET_NAME, name);
	close(start_gate[1]);
	close(stop_gate[1]);
	pin(p->index);
	if (gated)
		wait_gate(start_gate);
	run(p);
	_exit(0);
}

/* A child that fails takes the others with it: its other end would wait for ever. */
static void reap(const pid_t *pids, unsigned int n)
{
	bool failed = false;
	int status;

	for (unsigned int left = n; left; left--) {
		if (wait(&status) < 0)
			die("wait: %m");
		if (status && !failed) {
			failed = true;
			for (unsigned int i = 0; i < n; i++)
				kill(pids[i], SIGKILL);
		}
	}
	if (failed)
		die("a generator failed");
}

static bool some_child_failed(void)
{
	siginfo_t info = {0};

	return !waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid &&
	       info.si_status;
}

/* The pipe of a child that failed stays open in the others, so look for the failure too. */
static void await_notes(unsigned int n, const pid_t *pids, unsigned int npids)
{
	struct pollfd pfd = {.fd = notes[0], .events = POLLIN};
	char byte;

	while (n) {
		if (poll(&pfd, 1, 100) > 0)
			n -= read(notes[0], &byte, 1) == 1;
		if (n && some_child_failed())
			reap(pids, npids); /* does not return */
	}
}

static unsigned int spawn_all(pid_t *pids)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < opt.pairs; i++) {
		struct pair *p = &pairs[i];

		p->index = i;
		p->conns = opt.conns / opt.pairs + (i < opt.conns % opt.pairs);
		p->credit = eventfd(0, EFD_CLOEXEC);
		if (p->credit < 0)
			die("eventfd: %m");
		if (opt.mode != REFUSE)
			pids[n++] = spawn(p, "conngen-srv", serve, false);
		pids[n++] =
			spawn(p, "conngen-cli", opt.mode == HOLD ? hold_client : run_client, true);
	}
	close(notes[1]);
	return n;
}

/* ActiveOpens and PassiveOpens of our network namespace (/proc/net/snmp, 5th and 6th). */
static void read_opens(unsigned long ret[2])
{
	FILE *f = fopen("/proc/self/net/snmp", "re");
	char line[512];

	ret[0] = ret[1] = 0;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tcp: %*u %*u %*u %*d %lu %lu", &ret[0], &ret[1]) == 2)
			break;
	if (f)
		fclose(f);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	double sum = 0;
	const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};

	for (int i = 0; i < 2; i++) {
		struct rusage u;

		getrusage(whose[i], &u);
		sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
		sum += (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	}
	return sum;
}

/* Prints the JSON line; 0 if every count agrees. */
static int report(double seconds, const unsigned long before[2], const unsigned long after[2])
{
	unsigned long made = 0, accepted = 0, refused = 0, by[NMODES] = {0};
	unsigned long active = after[0] - before[0], passive = after[1] - before[1];
	bool ok;

	for (unsigned int i = 0; i < opt.pairs; i++) {
		made += pairs[i].cli.total;
		refused += pairs[i].cli.refused;
		accepted += pairs[i].srv.total;
		for (int m = 0; m < NMODES; m++)
			by[m] += pairs[i].cli.count[m];
	}
	printf("{\"made\":%lu,\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"refused\":%lu,\"fin\":%lu,"
	       "\"sfin\":%lu,\"rst\":%lu,\"active_opens\":%lu,\"passive_opens\":%lu}\n",
	       made, seconds, cpu_seconds(), refused, by[FIN], by[SFIN], by[RST], active, passive);
	fflush(stdout);
	ok = made == accepted && made + refused == opt.conns &&
	     (opt.mode == REFUSE ? !made : !refused);
	if (opt.own_netns && (active != opt.conns || passive != made))
		ok = false;
	if (!ok)
		fprintf(stderr, "conngen: counts disagree: accepted %lu\n", accepted);
	return !ok;
}

static void await_stdin(bool until_eof)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0 && until_eof)
		;
}

static int generate(void)
{
	unsigned long before[2], after[2];
	pid_t pids[2 * MAX_PAIRS];
	unsigned int n;
	double begin;
	int rc;

	read_opens(before);
	n = spawn_all(pids);
	await_notes(opt.mode == REFUSE ? 0 : opt.pairs, pids, n);
	if (opt.wait_before) {
		puts("ready");
		fflush(stdout);
		await_stdin(false);
	}
	begin = now();
	close(start_gate[1]);
	if (opt.mode == HOLD) {
		await_notes(2 * opt.pairs, pids, n);
		printf("holding %lu\n", opt.conns);
		fflush(stdout);
		await_stdin(true);
	}
	close(stop_gate[1]);
	reap(pids, n);
	read_opens(after);
	rc = report(now() - begin, before, after);
	if (opt.wait_after)
		await_stdin(false);
	return rc;
}

static void usage(FILE *out)
{
	fputs("usage: conngen [-n CONNS] [-t PAIRS] [-p BASEPORT] [-a ADDR] [-m MODE] [-H]\n"
	      "               [-N [-r RPS_MASK]] [-w] [-W]\n"
	      "  -m  fin (client closes first), sfin (server does), rst, mixed (8 of each in\n"
	      "      turn), hold (keep all open until stdin ends), refuse (nobody listens)\n"
	      "  -H  the same as -m hold\n"
	      "  -a  one address, IPv4 or IPv6 (default: 127.0.0.1 to 127.0.0.250 in turn)\n"
	      "  -N  in a network namespace of its own; -r: steer packets there to these CPUs\n"
	      "  -w  print \"ready\" and wait for a byte on stdin before; -W: wait at the end\n",
	      out);
}

static unsigned long number(const char *text, unsigned long min, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < min || n > max)
		die("%s: not a number from %lu to %lu", text, min, max);
	return n;
}

static enum mode parse_mode(const char *text)
{
	for (int m = 0; m < NMODES; m++)
		if (!strcmp(text, mode_name[m]))
			return (enum mode)m;
	die("-m %s: unknown mode", text);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:t:p:a:m:HNr:wWh")) != -1) {
		switch (c) {
		case 'n':
			opt.conns = number(optarg, 0, 1000000000);
			break;
		case 't':
			opt.pairs = (unsigned int)number(optarg, 1, MAX_PAIRS);
			break;
		case 'p':
			opt.port = (unsigned int)number(optarg, 1, 65535 - MAX_PAIRS);
			break;
		case 'a':
			opt.addr = optarg;
			break;
		case 'm':
			opt.mode = parse_mode(optarg);
			break;
		case 'H':
			opt.mode = HOLD;
			break;
		case 'N':
			opt.own_netns = true;
			break;
		case 'r':
			opt.rps = optarg;
			break;
		case 'w':
			opt.wait_before = true;
			break;
		case 'W':
			opt.wait_after = true;
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 64);
		}
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (opt.rps && !opt.own_netns)
		die("-r changes the loopback interface: it needs -N");
	if (opt.own_netns)
		enter_netns();
	if (opt.rps)
		steer_packets(opt.rps);
	if (opt.mode == HOLD)
		raise_fd_limit(opt.conns / opt.pairs + 64);
	size_window();
	pairs = mmap(NULL, sizeof(*pairs) * opt.pairs, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pairs == MAP_FAILED || pipe2(start_gate, O_CLOEXEC) || pipe2(stop_gate, O_CLOEXEC) ||
	    pipe2(notes, O_CLOEXEC))
		die("set up: %m");
	return generate();
}
