/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What only happens when packets are late or lost. The wire is a tun device that sends back
 * what it gets with the two addresses exchanged: 10.9.0.2 is 10.9.0.1 seen from the other
 * end, and exchanging them leaves every checksum right. A packet moves when the test says
 * so, which makes crossing FINs and silence exact instead of likely.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "kit.h"

#define HERE  "10.9.0.1"
#define THERE "10.9.0.2"
#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001-8002\"; }"

static const struct kit_hop nothing;
static int wire;

static void open_wire(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "wire"};

	kit_isolate();
	kit_enter_cgroup(); /* before any socket: a listener's children are of its cgroup */
	wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (wire < 0)
		kit_skip("/dev/net/tun: %s", strerror(errno));
	cr_assert_eq(ioctl(wire, TUNSETIFF, &ifr), 0, "TUNSETIFF: %m");
	cr_assert_eq(kit_run("ip addr add " HERE "/24 dev wire && ip link set wire up", NULL, 0),
		     0);
}

static void open_and_count(void)
{
	open_wire();
	kit_count(KIT_BOTH, HOPS);
}

TestSuite(wire, .init = open_and_count, .fini = kit_end, .timeout = 120);
TestSuite(wire_before, .init = open_wire, .fini = kit_end, .timeout = 120);

/* The next IPv4 packet, at most wait_ms from now; its length, or 0. */
static size_t take(void *packet, size_t size, int wait_ms)
{
	struct pollfd p = {.fd = wire, .events = POLLIN};
	ssize_t n;

	while (poll(&p, 1, wait_ms) > 0) {
		n = read(wire, packet, size);
		if (n >= (ssize_t)sizeof(struct iphdr) && ((struct iphdr *)packet)->version == 4)
			return n;
	}
	return 0;
}

/* Carry packets over until the wire is quiet. */
static void carry(void)
{
	char packet[2048];
	size_t n;

	while ((n = take(packet, sizeof(packet), 20))) {
		struct iphdr *ip = (struct iphdr *)packet;
		__be32 from = ip->saddr;

		ip->saddr = ip->daddr;
		ip->daddr = from;
		cr_assert_eq(write(wire, packet, n), (ssize_t)n);
	}
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *w = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += w[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

/* A router's answer to the next packet: type 3 with this code. */
static void answer_unreachable(uint8_t code)
{
	struct {
		struct iphdr ip;
		struct icmphdr icmp;
		char about[sizeof(struct iphdr) + 8];
	} answer = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_ICMP}};
	char packet[2048];

	cr_assert_gt(take(packet, sizeof(packet), 1000), sizeof(answer.about), "no packet came");
	memcpy(answer.about, packet, sizeof(answer.about));
	answer.icmp.type = ICMP_DEST_UNREACH;
	answer.icmp.code = code;
	answer.icmp.checksum = checksum(&answer.icmp, sizeof(answer.icmp) + sizeof(answer.about));
	answer.ip.tot_len = htons(sizeof(answer));
	answer.ip.saddr = inet_addr("10.9.0.254");
	answer.ip.daddr = inet_addr(HERE);
	answer.ip.check = checksum(&answer.ip, sizeof(answer.ip));
	cr_assert_eq(write(wire, &answer, sizeof(answer)), (ssize_t)sizeof(answer));
}

/* Both ends of one connection over the wire. */
static struct kit_pair connected(void)
{
	int listener = kit_listen(HERE, 8001);
	struct kit_pair p = {.client = kit_connect_begin(NULL, 0, THERE, 8001)};

	carry();
	p.server = kit_accept(listener);
	return p;
}

static void set(int fd, int option, int value)
{
	cr_assert_eq(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)), 0, "%m");
}

static int error_of(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	return err;
}

/* A timer fires in whatever task its CPU runs. A kernel that skips tracing programs while process 1
 * runs (see README) skips them then, too: so the timer's CPU is kept busy with this, and gives way
 * to nobody. */
static void own_this_cpu(void)
{
	const struct sched_param first = {.sched_priority = 1};

	kit_stay_here();
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first); /* if that is allowed */
}

/* Until then, or until the socket has an event; how many it has. */
static int spin(int fd, short events, unsigned int ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t end = ft_clock_ns(CLOCK_MONOTONIC) + ms * 1000000ULL;
	int n = 0;

	while (!n && ft_clock_ns(CLOCK_MONOTONIC) < end)
		n = poll(&p, 1, 0);
	return n;
}

Test(wire, a_syn_without_an_answer_times_out)
{
	struct kit_hop e[2] = {nothing, {0}};
	int fd;

	own_this_cpu();
	fd = kit_connect_begin(NULL, 0, THERE, 8001);
	cr_assert_geq(fd, 0);
	set(fd, TCP_SYNCNT, 1);
	kit_path(&e[1], 1, "CLOSE SYN_SENT");
	kit_expect("out", &e[1]);
	cr_assert_eq(spin(fd, POLLOUT, 10000), 1); /* SYN, again after 1 s, given up 2 s later */
	cr_assert_eq(error_of(fd), ETIMEDOUT);
	e[1].failed[FT_FAILED_TIMEOUT] = 1;
	kit_path(&e[1], 1, "SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

static void expect_unreachable(uint8_t code, int err, enum ft_failed reason)
{
	struct kit_hop e[2] = {nothing, nothing};
	struct pollfd p = {.events = POLLOUT};

	e[1].failed[reason] = 1;
	p.fd = kit_connect_begin(NULL, 0, THERE, 8001);
	cr_assert_geq(p.fd, 0);
	answer_unreachable(code);
	cr_assert_eq(poll(&p, 1, 5000), 1);
	cr_assert_eq(error_of(p.fd), err);
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

Test(wire, a_routers_host_unreachable_is_unreachable)
{
	expect_unreachable(ICMP_HOST_UNREACH, EHOSTUNREACH, FT_FAILED_UNREACHABLE);
}

Test(wire, a_routers_net_unreachable_is_unreachable)
{
	expect_unreachable(ICMP_NET_UNREACH, ENETUNREACH, FT_FAILED_UNREACHABLE);
}

Test(wire, an_isolated_host_is_unreachable)
{
	expect_unreachable(ICMP_HOST_ISOLATED, ENONET, FT_FAILED_UNREACHABLE);
}

Test(wire, an_unknown_host_is_unreachable)
{
	expect_unreachable(ICMP_HOST_UNKNOWN, EHOSTDOWN, FT_FAILED_UNREACHABLE);
}

Test(wire, a_firewalls_port_unreachable_is_refused)
{
	expect_unreachable(ICMP_PORT_UNREACH, ECONNREFUSED, FT_FAILED_REFUSED);
}

Test(wire, a_connect_that_its_process_gives_up_is_failed_for_another_reason)
{
	struct kit_hop e[2] = {nothing, {.failed[FT_FAILED_OTHER] = 1}};

	close(kit_connect_begin(NULL, 0, THERE, 8001));
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
	carry(); /* the SYN arrives, its answer finds nobody: still nothing is opened */
	kit_expect_all(e, 2);
}

Test(wire, a_connect_under_way_is_neither_active_nor_failed)
{
	struct kit_hop out = {0};
	struct ft_flow f;
	int fd = kit_connect_begin(NULL, 0, THERE, 8001);

	kit_path(&out, 1, "CLOSE SYN_SENT");
	kit_expect("in", &nothing);
	kit_expect("out", &out);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_hop_stats *s = &kit_read(door)->stats[1];

		cr_assert_eq(ft_hop_in_state(s, FT_SYN_SENT), 1);
		cr_assert_eq(ft_hop_active(s), 0);
		cr_assert(kit_find_flow(door, 1, 8001, NULL, &f));
		cr_assert_eq(f.state, FT_SYN_SENT);
		cr_assert_eq(f.flags & FT_FLOW_OPEN, 0);
	}
	close(fd);
}

Test(wire, a_handshake_that_is_not_finished_is_no_accepted_flow)
{
	struct kit_hop e[2] = {nothing, {.failed[FT_FAILED_OTHER] = 1}};
	char packet[2048];
	struct iphdr *ip = (struct iphdr *)packet;
	size_t n;
	int fd;

	kit_listen(HERE, 8001);
	fd = kit_connect_begin(NULL, 0, THERE, 8001);
	n = take(packet, sizeof(packet), 1000); /* the SYN is carried, the SYN-ACK is not */
	ip->saddr = inet_addr(THERE);
	ip->daddr = inet_addr(HERE);
	cr_assert_eq(write(wire, packet, n), (ssize_t)n);
	kit_sleep_ms(50); /* a request socket now: the tracepoint never sees those */
	close(fd);
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

Test(wire, fins_that_cross_close_both_ends_locally)
{
	struct kit_hop e[2] = {{.opened = 1, .closed[FT_CLOSED_LOCAL] = 1},
			       {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1}};
	struct kit_pair p = connected();

	close(p.client);
	close(p.server); /* its FIN leaves before the other one has arrived */
	kit_path(&e[0], 1, KIT_ACCEPTED "FIN_WAIT1");
	kit_path(&e[1], 1, KIT_CONNECTED "FIN_WAIT1");
	kit_expect("in", &(struct kit_hop){.opened = 1,
					   .transition[FT_LISTEN][FT_SYN_RECV] = 1,
					   .transition[FT_SYN_RECV][FT_ESTABLISHED] = 1,
					   .transition[FT_ESTABLISHED][FT_FIN_WAIT1] = 1});
	carry();
	kit_path(&e[0], 1, "FIN_WAIT1 CLOSING CLOSE");
	kit_path(&e[1], 1, "FIN_WAIT1 CLOSING CLOSE");
	kit_expect_all(e, 2);
}

Test(wire, a_simultaneous_open_is_two_connecting_flows)
{
	/* both ends connect, neither accepts */
	struct kit_hop e[2] = {nothing, {.opened = 2}};
	int a = kit_connect_begin(HERE, 8001, THERE, 8002);
	int b = kit_connect_begin(HERE, 8002, THERE, 8001);

	cr_assert_geq(a, 0);
	cr_assert_geq(b, 0);
	carry();
	kit_path(&e[1], 2, "CLOSE SYN_SENT SYN_RECV ESTABLISHED");
	kit_expect_all(e, 2);

	kit_reset(a);
	carry();
	kit_path(&e[1], 2, "ESTABLISHED CLOSE");
	e[1].closed[FT_CLOSED_RESET] = 2;
	kit_expect_all(e, 2);
	close(b);
}

/* The next packet arrives, and whatever answers it does not. */
static void carry_one(void)
{
	char packet[2048];
	struct iphdr *ip = (struct iphdr *)packet;
	size_t n = take(packet, sizeof(packet), 1000);
	__be32 from = ip->saddr;

	cr_assert_gt(n, 0, "no packet came");
	ip->saddr = ip->daddr;
	ip->daddr = from;
	cr_assert_eq(write(wire, packet, n), (ssize_t)n);
}

Test(wire, a_simultaneous_open_that_takes_long_is_no_missed_close)
{
	struct kit_hop e[2] = {nothing, {.opened = 2}};

	cr_assert_geq(kit_connect_begin(HERE, 8001, THERE, 8002), 0);
	cr_assert_geq(kit_connect_begin(HERE, 8002, THERE, 8001), 0);
	carry_one();
	carry_one(); /* both have the other's SYN, and neither an answer */
	kit_audit(NULL);
	kit_path(&e[1], 2, "CLOSE SYN_SENT SYN_RECV");
	carry();
	kit_path(&e[1], 2, "SYN_RECV ESTABLISHED");
	kit_expect_all(e, 2);
}

Test(wire, a_flow_whose_peer_is_silent_ends_for_another_reason)
{
	struct kit_hop e[2] = {{.opened = 1}, {.opened = 1, .closed[FT_CLOSED_OTHER] = 1}};
	struct kit_pair p;

	own_this_cpu();
	p = connected();
	set(p.client, TCP_USER_TIMEOUT, 300);
	kit_send(p.client, 100); /* nobody carries it */
	cr_assert_eq(spin(p.client, 0, 10000), 1);
	cr_assert_eq(error_of(p.client), ETIMEDOUT);
	kit_path(&e[0], 1, KIT_ACCEPTED);
	kit_path(&e[1], 1, KIT_CONNECTED "CLOSE");
	kit_expect_all(e, 2);
}

Test(wire, a_fin_that_nobody_answers_is_a_local_close_when_it_times_out)
{
	struct kit_hop e[2] = {{.opened = 1}, {.opened = 1}};
	struct kit_pair p;

	own_this_cpu();
	p = connected();
	set(p.client, TCP_USER_TIMEOUT, 300);
	close(p.client);
	kit_path(&e[0], 1, KIT_ACCEPTED);
	kit_path(&e[1], 1, KIT_CONNECTED "FIN_WAIT1");
	kit_expect("out", &e[1]); /* an orphan is active until it is CLOSE */
	spin(-1, 0, 1500);
	e[1].closed[FT_CLOSED_LOCAL] = 1;
	kit_path(&e[1], 1, "FIN_WAIT1 CLOSE");
	kit_expect_all(e, 2);
}

/* The request comes with the SYN, and is answered before the handshake is over. */
Test(wire, a_server_that_answers_a_fast_open_at_once_and_closes_has_a_flow)
{
	struct kit_hop e[2] = {{.opened = 1, .closed[FT_CLOSED_LOCAL] = 1},
			       {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8001)};
	int listener, client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int server;
	char request[8];

	/* both ends, and without a cookie */
	cr_assert_eq(kit_run("echo 0x607 >/proc/sys/net/ipv4/tcp_fastopen", NULL, 0), 0);
	listener = kit_listen(HERE, 8001);
	set(listener, TCP_FASTOPEN, 5);
	to.sin_addr.s_addr = inet_addr(THERE);
	cr_assert_eq(sendto(client, "request", 7, MSG_FASTOPEN, (void *)&to, sizeof(to)), 7, "%m");
	carry_one();
	server = kit_accept(listener);
	cr_assert_eq(read(server, request, sizeof(request)), 7);
	close(server);
	kit_path(&e[0], 1, "LISTEN SYN_RECV FIN_WAIT1");
	kit_expect("in", &(struct kit_hop){.opened = 1,
					   .transition[FT_LISTEN][FT_SYN_RECV] = 1,
					   .transition[FT_SYN_RECV][FT_FIN_WAIT1] = 1});
	carry();
	close(client);
	carry();
	kit_path(&e[0], 1, "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&e[1], 1, KIT_CONNECTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_expect_all(e, 2);
}

/* --- what was under way when counting began --- */

Test(wire_before, a_connect_under_way_at_the_start_opens_later)
{
	/* its first state was not seen: UNSEEN -> SYN_SENT, at one door when the walk finds it,
	 * at the other when it is established */
	struct kit_hop e[2] = {{.opened = 1}, {.opened = 1}};
	struct kit_pair p;
	int listener = kit_listen(HERE, 8001);

	p.client = kit_connect_begin(NULL, 0, THERE, 8001);
	kit_count(KIT_BOTH, HOPS);
	carry();
	p.server = kit_accept(listener);
	kit_path(&e[0], 1, KIT_ACCEPTED);
	kit_path(&e[1], 1, "UNSEEN SYN_SENT ESTABLISHED");
	kit_expect_all(e, 2);

	kit_reset(p.client);
	carry();
	e[0].closed[FT_CLOSED_RESET] = e[1].closed[FT_CLOSED_RESET] = 1;
	kit_path(&e[0], 1, "ESTABLISHED CLOSE");
	kit_path(&e[1], 1, "ESTABLISHED CLOSE");
	kit_expect_all(e, 2);
}

Test(wire_before, a_handshake_under_way_at_the_start_is_opened_not_preexisting)
{
	struct kit_hop e = {.opened = 1};
	char packet[2048];
	struct iphdr *ip = (struct iphdr *)packet;
	size_t n;

	kit_listen(HERE, 8001);
	kit_connect_begin(NULL, 0, THERE, 8001);
	n = take(packet, sizeof(packet), 1000);
	ip->saddr = inet_addr(THERE);
	ip->daddr = inet_addr(HERE);
	cr_assert_eq(write(wire, packet, n), (ssize_t)n); /* the listener has a request now */
	kit_count(KIT_BOTH, HOPS);
	carry();
	kit_path(&e, 1, KIT_ACCEPTED);
	kit_expect("in", &e);
}

Test(wire_before, a_connect_under_way_at_the_start_may_fail)
{
	struct kit_hop out = {.failed[FT_FAILED_OTHER] = 1};
	int fd = kit_connect_begin(NULL, 0, THERE, 8001);

	kit_count(KIT_TRACEPOINT, HOPS); /* the other door never hears of it */
	close(fd);
	kit_path(&out, 1, "UNSEEN SYN_SENT CLOSE");
	kit_expect("out", &out);
}
