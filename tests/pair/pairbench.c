// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pairbench [SECONDS] - a relay in one process: client, proxy (8080 to 3000) and backend are
 * sockets of this one thread, so that its CPU time is the cost and nothing waits. Prints the CPU
 * nanoseconds of one exchange (the proxy's part is 2 receives and 2 sends; so many again are the
 * client's and the backend's), the least of many rounds.
 * pairbench stats - runs and mean nanoseconds of the pairing programs under bpf_stats.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXCHANGES 2000

static unsigned long clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

static void pair_of(int port, int *ret_client, int *ret_server)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	*ret_client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 8) ||
	    connect(*ret_client, (struct sockaddr *)&at, sizeof(at))) {
		perror("pairbench");
		exit(70);
	}
	*ret_server = accept(listener, NULL, NULL);
	setsockopt(*ret_client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(*ret_server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

static void move(int from, int to)
{
	char bytes[64] = "";

	if (send(from, bytes, sizeof(bytes), 0) < 0 || recv(to, bytes, sizeof(bytes), 0) <= 0)
		exit(70);
}

static void print_stats(void)
{
	unsigned int id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info i = {0};
		unsigned int len = sizeof(i);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &i, &len) ||
		    strncmp(i.name, "ft_pair_", 8) || !i.run_cnt)
			continue;
		printf("%-16s %9llu runs %5.0f ns\n", i.name, i.run_cnt,
		       (double)i.run_time_ns / i.run_cnt);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	unsigned long seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2, least = -1UL;
	unsigned long end = clock_ns(CLOCK_MONOTONIC) + seconds * 1000000000UL;
	int client, a, b, server;

	if (argc > 1 && !strcmp(argv[1], "stats")) {
		print_stats();
		return 0;
	}
	pair_of(8080, &client, &a);
	pair_of(3000, &b, &server);
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		unsigned long cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

		for (int i = 0; i < EXCHANGES; i++) {
			move(client, a);
			move(b, server);
			move(server, b);
			move(a, client);
		}
		cpu = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / EXCHANGES;
		least = cpu < least ? cpu : least;
	}
	printf("%lu\n", least);
	return 0;
}
