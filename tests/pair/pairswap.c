// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pairswap ACCEPT CONNECT STATUS SLICES - requests per second of a server under a load that goes on
 * all the time, while pairing's two busy programs are attached, programs that do nothing are in
 * their place, or neither: in slices of 200 ms, in changing order. A slice and its neighbours see
 * the same machine, which runs that begin anew do not. STATUS: unix socket of nginx's stub_status.
 *
 * Prints medians over rounds of one slice each, and the standard errors of the ratios.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "floor.skel.h"
#include "one_fork.h"

#define SETTLE_NS 30000000L
#define SLICE_NS  200000000L

enum { NOTHING, EMPTY, PAIRING, NKINDS };

static struct sockaddr_un status = {.sun_family = AF_UNIX};
static struct ft_floor *floors;
static int link_fd[2] = {-1, -1};

static void nap(long ns)
{
	const struct timespec t = {.tv_nsec = ns};

	nanosleep(&t, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* " 7 7 42 " in the third line: connections accepted, handled, and requests. */
static unsigned long requests(void)
{
	static const char get[] = "GET / HTTP/1.0\r\n\r\n";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[1024], *line;
	unsigned long n;
	ssize_t have = 0, got = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&status, sizeof(status)) ||
	    write(fd, get, sizeof(get) - 1) < 0)
		fork_die("status", -errno);
	while (got > 0 && (size_t)have < sizeof(answer) - 1) {
		got = read(fd, answer + have, sizeof(answer) - 1 - have);
		have += got > 0 ? got : 0;
	}
	close(fd);
	answer[have] = 0;
	line = strstr(answer, "requests");
	if (!line || sscanf(line, "requests %*u %*u %lu", &n) != 1)
		fork_die("status", -EPROTO);
	return n;
}

static void attach(int kind)
{
	const int program[NKINDS][2] = {
		[NOTHING] = {-1, -1},
		[EMPTY] = {bpf_program__fd(floors->progs.floor_read),
			   bpf_program__fd(floors->progs.floor_send)},
		[PAIRING] = {fork_pair.program[FT_PAIR_LINK_READ],
			     fork_pair.program[FT_PAIR_LINK_SEND]},
	};

	for (int i = 0; i < 2; i++) {
		if (link_fd[i] >= 0)
			close(link_fd[i]);
		link_fd[i] = -1;
		if (program[kind][i] < 0)
			continue;
		link_fd[i] = bpf_raw_tracepoint_open(NULL, program[kind][i]);
		if (link_fd[i] < 0)
			fork_die("attach", -errno);
	}
}

static double rate(int kind)
{
	unsigned long n;
	double begin;

	attach(kind);
	nap(SETTLE_NS);
	begin = now();
	n = requests();
	nap(SLICE_NS);
	return (requests() - n) / (now() - begin);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void print_ratio(const char *name, const double (*rates)[NKINDS], int n, int kind, int to)
{
	double *ratio = calloc(n, sizeof(*ratio)), sum = 0, squares = 0;

	if (!ratio)
		fork_die("memory", -ENOMEM);
	for (int i = 0; i < n; i++) {
		ratio[i] = rates[i][kind] / rates[i][to];
		sum += ratio[i];
		squares += ratio[i] * ratio[i];
	}
	printf(", %s %.3f (+- %.3f)", name, median(ratio, n),
	       sqrt((squares - sum * sum / n) / (n - 1) / n));
	free(ratio);
}

/* What fork_start() attached makes way: a link ends with its last descriptor. libbpf closes what
 * is there instead. */
static void detach_first(void)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing < 0 || dup3(nothing, fork_pair.link[FT_PAIR_LINK_READ], O_CLOEXEC) < 0 ||
	    dup3(nothing, fork_pair.link[FT_PAIR_LINK_SEND], O_CLOEXEC) < 0)
		fork_die("detach", -errno);
	close(nothing);
}

static void load_floors(void)
{
	struct bpf_program *prog = NULL;

	floors = ft_floor__open();
	if (!floors)
		fork_die("floor", -errno);
	while ((prog = bpf_object__next_program(floors->obj, prog)))
		bpf_program__set_autoload(prog, prog == floors->progs.floor_read ||
							prog == floors->progs.floor_send);
	if (ft_floor__load(floors))
		fork_die("floor", -errno);
}

int main(int argc, char **argv)
{
	static const int order[6][NKINDS] = {
		{NOTHING, EMPTY, PAIRING}, {PAIRING, EMPTY, NOTHING}, {EMPTY, NOTHING, PAIRING},
		{PAIRING, NOTHING, EMPTY}, {EMPTY, PAIRING, NOTHING}, {NOTHING, PAIRING, EMPTY},
	};
	struct fork_options o = {0};
	double(*rates)[NKINDS], *alone;
	int n = argc == 5 ? atoi(argv[4]) / NKINDS : 0;

	if (n < 2 || strlen(argv[3]) >= sizeof(status.sun_path)) {
		fprintf(stderr, "usage: pairswap ACCEPT CONNECT STATUS SLICES\n");
		return 64;
	}
	strcpy(status.sun_path, argv[3]);
	rates = calloc(n, sizeof(*rates));
	alone = calloc(n, sizeof(*alone));
	if (!rates || !alone)
		return 70;
	fork_start(argv[1], argv[2], &o);
	load_floors();
	detach_first();
	for (int i = 0; i < n; i++)
		for (int k = 0; k < NKINDS; k++)
			rates[i][order[i % 6][k]] = rate(order[i % 6][k]);
	attach(NOTHING);
	for (int i = 0; i < n; i++)
		alone[i] = rates[i][NOTHING];
	printf("%d rounds: %.0f requests/s", n, median(alone, n));
	print_ratio("of these with empty programs", rates, n, EMPTY, NOTHING);
	print_ratio("with pairing", rates, n, PAIRING, NOTHING);
	print_ratio("pairing to empty", rates, n, PAIRING, EMPTY);
	puts("");
	ft_floor__destroy(floors);
	fork_stop();
	free(rates);
	free(alone);
	return 0;
}
