// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* See kit.h. The private cgroup is a directory per process; directories of processes that died
 * are removed by the next test, so that a crash leaves nothing for long. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "kit.h"
#include "netns.h"
#include "tcp.h"

#define CGROUP_PREFIX "fantail-test-"
#define SETTLE_MS     10000

static struct ft_probe probe[FT_NSOURCES] = {FT_PROBE_NONE, FT_PROBE_NONE};
static struct ft_snapshot snap[FT_NSOURCES];
static struct ft_netns own;
static unsigned int loaded; /* KIT_* */
static char cgroup[PATH_MAX], cgroup_home[2 * PATH_MAX];

void kit_sleep_ms(unsigned int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

void kit_stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	cr_assert_eq(sched_setaffinity(0, sizeof(here), &here), 0);
}

/* --- namespace and cgroup --- */

/* A FIN that nobody answers with data is acknowledged by a timer, 40 ms later, in whatever task its
 * CPU runs then. A kernel that skips tracing programs while process 1 runs (see README) skips the
 * peer's transitions, once in some hundred times: the audit is there for that, and has tests of its
 * own. Here every segment is acknowledged at once. (IPv6 has no such route; no test over it waits
 * for a timer.) */
static void acknowledge_at_once(void)
{
	static const char *const local[] = {"127.0.0.0/8", "127.0.0.1"};
	char command[128];

	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "ip route replace local %s dev lo table local proto kernel scope host "
			 "src 127.0.0.1 quickack 1",
			 local[i]);
		cr_assert_eq(kit_run(command, NULL, 0), 0, "%s", command);
	}
}

void kit_isolate(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (own.n)
		return;
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "unshare(CLONE_NEWNET): %m");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0, "bring lo up: %m");
	close(fd);
	acknowledge_at_once();
	cr_assert_eq(ft_netns_own(&own), 0);
}

uint32_t kit_netns(void)
{
	return own.inode[0];
}

/* The mount point of cgroup2: "… - cgroup2 …" in mountinfo; the 5th field is the path. */
static void find_cgroup2(char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[1024], path[512] = "";

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %511s", path) == 1)
			break;
	if (f)
		fclose(f);
	cr_assert(path[0], "cgroup2 is not mounted");
	snprintf(ret, size, "%s", path);
}

static void move_to(const char *dir)
{
	char path[2 * PATH_MAX + 16];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "we");
	cr_assert(f && fprintf(f, "%d", getpid()) > 0 && !fclose(f), "%s: %m", path);
}

static void remove_stale_cgroups(const char *root)
{
	DIR *d = opendir(root);
	const struct dirent *e;
	char path[PATH_MAX + sizeof(e->d_name)];

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) ||
		    !kill(atoi(e->d_name + strlen(CGROUP_PREFIX)), 0) || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, e->d_name);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

void kit_enter_cgroup(void)
{
	char root[PATH_MAX - 64], line[PATH_MAX] = "/";
	FILE *f;

	if (cgroup[0])
		return;
	find_cgroup2(root, sizeof(root));
	remove_stale_cgroups(root);
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3))
		;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = 0;
	snprintf(cgroup_home, sizeof(cgroup_home), "%s%s", root, line + 3);
	snprintf(cgroup, sizeof(cgroup), "%s/" CGROUP_PREFIX "%d", root, getpid());
	cr_assert_eq(mkdir(cgroup, 0755), 0, "%s: %m", cgroup);
	move_to(cgroup);
}

/* --- probe --- */

struct ft_probe *kit_probe(enum ft_source source)
{
	return &probe[source];
}

void kit_load(unsigned int doors, const struct kit_options *o)
{
	char why[256] = "";

	kit_isolate();
	if (doors & KIT_SOCKOPS)
		kit_enter_cgroup();
	for (unsigned int i = 0; i < FT_NSOURCES; i++) {
		struct ft_probe_options po = {
			.source = i,
			.cgroup = i == FT_SOURCE_SOCKOPS ? cgroup : NULL,
			.max_flows = o && o->max_flows ? o->max_flows : 262144,
			.netns = o && o->all_netns ? 0 : kit_netns(),
			.discover = o && o->discover,
			.preemptible = o && o->preemptible,
		};

		if (!(doors & 1U << i))
			continue;
		if (i == FT_SOURCE_SOCKOPS)
			po.netns = 0; /* there the cgroup is the filter */
		cr_assert_eq(ft_probe_load(&probe[i], &po, why, sizeof(why)), 0, "%s", why);
		loaded |= 1U << i;
	}
}

void kit_hops(const char *hops)
{
	static struct ft_config c;
	struct ft_buf errors = {0};
	char text[8192];

	cr_assert_lt(snprintf(text, sizeof(text), "hops = ( %s );\n", hops), (int)sizeof(text));
	if (ft_config_parse(text, "hops", &c, &errors))
		cr_assert_fail("%.*s", (int)errors.len, errors.data);
	for (unsigned int i = 0; i < FT_NSOURCES; i++)
		if (loaded & 1U << i)
			cr_assert_eq(ft_probe_set_hops(&probe[i], &c), 0);
}

void kit_start(void)
{
	for (unsigned int i = 0; i < FT_NSOURCES; i++)
		if (loaded & 1U << i)
			cr_assert_eq(ft_probe_start(&probe[i], own.fd, own.n, false), 0);
}

void kit_count(unsigned int doors, const char *hops)
{
	kit_load(doors, NULL);
	kit_hops(hops);
	kit_start();
}

void kit_end(void)
{
	for (unsigned int i = 0; i < FT_NSOURCES; i++)
		ft_probe_close(&probe[i]);
	loaded = 0;
	ft_netns_close(&own);
	if (!cgroup[0])
		return;
	move_to(cgroup_home);
	for (int tries = 0; rmdir(cgroup) && errno == EBUSY && tries < 100; tries++)
		kit_sleep_ms(20); /* children that are on their way out */
	cgroup[0] = 0;
}

const struct ft_snapshot *kit_read(enum ft_source source)
{
	cr_assert_eq(ft_probe_snapshot(&probe[source], &snap[source]), 0);
	return &snap[source];
}

static uint32_t walk_number; /* of the last scan */

void kit_audit_once(uint32_t walked)
{
	cr_assert_eq(
		ft_probe_scan(&probe[FT_SOURCE_TRACEPOINT], own.fd, &walked, 1, true, &walk_number),
		0);
}

struct ft_hop_scan kit_scan(int hop)
{
	kit_audit_once(own.inode[0]);
	return kit_found(hop);
}

void kit_scan_nothing(void)
{
	cr_assert_eq(ft_probe_scan(&probe[FT_SOURCE_TRACEPOINT], NULL, NULL, 0, true, &walk_number),
		     0);
}

struct ft_hop_scan kit_found(int hop)
{
	struct ft_hop_scan found;

	cr_assert_eq(ft_probe_found(&probe[FT_SOURCE_TRACEPOINT], walk_number, hop, &found), 0);
	return found;
}

void kit_audit(const char *path)
{
	struct ft_netns other = {0};
	int fd[2] = {own.fd[0]};
	uint32_t inode[2] = {own.inode[0]};

	if (path) {
		cr_assert_eq(ft_netns_path(path, &other), 0);
		fd[1] = other.fd[0];
		inode[1] = other.inode[0];
	}
	for (int walk = 0; walk < 2; walk++)
		cr_assert_eq(ft_probe_scan(&probe[FT_SOURCE_TRACEPOINT], fd, inode, path ? 2 : 1,
					   true, &walk_number),
			     0);
	ft_netns_close(&other);
}

/* --- flow table --- */

struct find {
	int hop;	/* -1: any */
	uint16_t rport; /* 0: any */
	uint64_t key;
	struct ft_flow flow;
	unsigned int n;
};

static int find_flow(void *ctx, uint64_t key, const struct ft_flow *f)
{
	struct find *w = ctx;

	if (f->state == FT_CLOSE || (w->hop >= 0 && f->hop != w->hop) ||
	    (w->rport && f->rport != w->rport))
		return 0;
	w->key = key;
	w->flow = *f;
	w->n++;
	return 0;
}

unsigned int kit_flows(enum ft_source source, int hop)
{
	struct find w = {.hop = hop};

	cr_assert_eq(ft_probe_flows(&probe[source], find_flow, &w), 0);
	return w.n;
}

bool kit_find_flow(enum ft_source source, int hop, uint16_t rport, uint64_t *ret_key,
		   struct ft_flow *ret)
{
	struct find w = {.hop = hop, .rport = rport};

	cr_assert_eq(ft_probe_flows(&probe[source], find_flow, &w), 0);
	cr_assert_leq(w.n, 1, "%u flows have remote port %u at hop %d", w.n, rport, hop);
	if (ret_key)
		*ret_key = w.key;
	if (ret)
		*ret = w.flow;
	return w.n;
}

/* --- expectations --- */

static unsigned int state_of(const char *name, size_t len)
{
	for (unsigned int i = 0; i < FT_NSTATES; i++)
		if (strlen(ft_state_name(i)) == len && !memcmp(ft_state_name(i), name, len))
			return i;
	cr_assert_fail("no state is called %.*s", (int)len, name);
	return 0;
}

void kit_path(struct kit_hop *e, uint64_t n, const char *states)
{
	int from = -1;

	while (*states) {
		size_t len = strcspn(states, " ");
		int to = state_of(states, len);

		if (from >= 0)
			e->transition[from][to] += n;
		from = to;
		states += len;
		states += strspn(states, " ");
	}
}

static uint64_t lifetimes(const struct ft_hop_stats *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < FT_NLIFETIME; i++)
		sum += s->lifetime[i];
	return sum;
}

static uint64_t active(const struct kit_hop *e)
{
	uint64_t closed = 0;

	for (int i = 0; i < FT_NCLOSED; i++)
		closed += e->closed[i];
	return e->opened + e->preexisting - closed;
}

struct message {
	char text[2048];
	size_t len;
};

static bool same(struct message *m, const char *what, const char *which, uint64_t got,
		 uint64_t expected)
{
	if (got == expected)
		return true;
	m->len += snprintf(m->text + m->len, sizeof(m->text) - m->len,
			   "\n    %s%s: %llu, expected %llu", what, which, (unsigned long long)got,
			   (unsigned long long)expected);
	if (m->len >= sizeof(m->text))
		m->len = sizeof(m->text) - 1;
	return false;
}

static bool agrees(const struct ft_hop_stats *s, const struct kit_hop *e, struct message *m)
{
	bool ok = same(m, "opened", "", s->opened, e->opened);
	uint64_t closed = 0;
	char cell[64];

	ok &= same(m, "preexisting", "", s->preexisting, e->preexisting);
	for (int i = 0; i < FT_NCLOSED; i++) {
		closed += e->closed[i];
		ok &= same(m, "closed ", ft_closed_name(i), s->closed[i], e->closed[i]);
	}
	for (int i = 0; i < FT_NFAILED; i++)
		ok &= same(m, "failed ", ft_failed_name(i), s->failed[i], e->failed[i]);
	for (int i = 0; i < FT_NSTATES * FT_NSTATES; i++) {
		snprintf(cell, sizeof(cell), "%s -> %s", ft_state_name(i / FT_NSTATES),
			 ft_state_name(i % FT_NSTATES));
		ok &= same(m, "", cell, (&s->transition[0][0])[i], (&e->transition[0][0])[i]);
	}
	return ok & same(m, "lifetimes", "", lifetimes(s), closed - e->untimed);
}

/* The doors read the clock some microseconds apart: of thousands of flows a few may lie on
 * either side of a bound. An emulated CPU takes a thousand times longer from one to the other. */
static uint64_t close_calls(uint64_t opened)
{
	return kit_emulated() ? 1 + opened / 10 : opened / 1000;
}

static bool hop_agrees(const char *hop, const struct kit_hop *e, struct message *m)
{
	const struct ft_hop_stats *seen[FT_NSOURCES] = {NULL};
	bool ok = true;

	m->len = 0;
	m->text[0] = 0;
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_snapshot *s;
		unsigned int i = 0;

		if (!(loaded & 1U << door))
			continue;
		s = kit_read(door);
		while (i < s->nhops && strcmp(s->def[i].name, hop))
			i++;
		cr_assert_lt(i, s->nhops, "no hop is called %s", hop);
		seen[door] = &s->stats[i];
		m->len += snprintf(m->text + m->len, sizeof(m->text) - m->len, "\n  at the %s door",
				   ft_source_name(door));
		ok &= agrees(&s->stats[i], e, m);
	}
	for (int i = 0; ok && seen[0] && seen[1] && i < FT_NLIFETIME; i++) {
		uint64_t a = seen[0]->lifetime[i], b = seen[1]->lifetime[i];

		if ((a > b ? a - b : b - a) > close_calls(e->opened))
			ok &= same(m, "lifetime bucket, first door", "", a, b);
	}
	return ok;
}

void kit_expect(const char *hop, const struct kit_hop *e)
{
	static struct message m;
	unsigned int waited = 0;

	while (!hop_agrees(hop, e, &m) && waited < SETTLE_MS) {
		kit_sleep_ms(10);
		waited += 10;
	}
	kit_sleep_ms(10); /* and nothing comes after */
	cr_assert(hop_agrees(hop, e, &m), "hop %s:%s", hop, m.text);
}

void kit_settle(void)
{
	static struct ft_snapshot before[FT_NSOURCES];
	const int enough = kit_emulated() ? 5 : 1;

	for (int tries = 0, quiet = 0; quiet < enough && tries < 50 * enough; tries++) {
		bool same = tries > 0;

		for (unsigned int door = 0; door < FT_NSOURCES; door++) {
			if (!(loaded & 1U << door))
				continue;
			kit_read(door);
			same &= !memcmp(before[door].stats, snap[door].stats,
					sizeof(snap[door].stats));
			before[door] = snap[door];
		}
		quiet = same ? quiet + 1 : 0;
		if (quiet < enough)
			kit_sleep_ms(100);
	}
}

uint64_t kit_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

int kit_lifetime_bucket(uint64_t ns)
{
	int i = 0;

	while (i < FT_NLIFETIME - 1 && ns > ft_lifetime_bounds_ms[i] * 1000000ULL)
		i++;
	return i;
}

void kit_expect_lifetime(unsigned int hop, uint64_t at_least_ns, uint64_t at_most_ns)
{
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_hop_stats *s;
		uint64_t sum;

		if (!(loaded & 1U << door))
			continue;
		s = &kit_read(door)->stats[hop];
		sum = s->lifetime_sum_ns;
		cr_assert(sum + 1000 >= at_least_ns && sum <= at_most_ns + 1000,
			  "door %u, hop %u: %llu ns, and not %llu to %llu", door, hop,
			  (unsigned long long)sum, (unsigned long long)at_least_ns,
			  (unsigned long long)at_most_ns); /* the kernel's stamps are in us */
		for (int i = 0; i < FT_NLIFETIME; i++)
			cr_assert_eq(s->lifetime[i], i == kit_lifetime_bucket(sum),
				     "door %u, hop %u, %llu ns: bucket %d has %llu", door, hop,
				     (unsigned long long)sum, i,
				     (unsigned long long)s->lifetime[i]);
	}
}

void kit_expect_loss(unsigned int allowed)
{
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		if (!(loaded & 1U << door))
			continue;
		kit_read(door);
		for (unsigned int i = 0; i < FT_NLOSS; i++)
			if (!(allowed & 1U << i))
				cr_assert_eq(snap[door].totals.loss[i], 0,
					     "loss %s at the %s door: %llu", ft_loss_name(i),
					     ft_source_name(door),
					     (unsigned long long)snap[door].totals.loss[i]);
	}
}

void kit_expect_all(const struct kit_hop *e, unsigned int n)
{
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		if (!(loaded & 1U << door))
			continue;
		kit_read(door);
		cr_assert_eq(snap[door].nhops, n);
	}
	for (unsigned int i = 0; i < n; i++)
		kit_expect(snap[loaded & KIT_TRACEPOINT ? 0 : 1].def[i].name, &e[i]);
	kit_expect_loss(0);
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		for (unsigned int i = 0; (loaded & 1U << door) && i < n; i++)
			cr_assert_eq(kit_flows(door, i), active(&e[i]),
				     "the %s door's table has not the active flows of hop %u",
				     ft_source_name(door), i);
}

/* --- other programs --- */

int kit_run(const char *command, char *out, size_t size)
{
	FILE *f = popen(command, "re");
	char line[512];

	cr_assert(f, "popen: %m");
	if (out && !fgets(out, size, f))
		out[0] = 0;
	while (fgets(line, sizeof(line), f))
		;
	return pclose(f);
}

const char *kit_conngen(void)
{
	static char beside[PATH_MAX]; /* BUILD/bpftest/tests -> BUILD/lib/conngen */
	const char *path = getenv("FT_CONNGEN");
	ssize_t n;

	if (path)
		return path;
	n = readlink("/proc/self/exe", beside, sizeof(beside) - 32);
	for (int up = 0; n > 0 && up < 2; n--)
		up += beside[n - 1] == '/';
	cr_assert_gt(n, 0);
	snprintf(beside + n, sizeof(beside) - n, "/lib/conngen");
	return beside;
}

static unsigned int storm_divisor(void)
{
	const char *text = getenv("FT_STORM_DIVISOR");
	int divisor = text ? atoi(text) : 1;

	cr_assert_geq(divisor, 1, "FT_STORM_DIVISOR=%s", text);
	return divisor;
}

unsigned int kit_storm(unsigned int n)
{
	return n / storm_divisor();
}

bool kit_emulated(void)
{
	return storm_divisor() > 1;
}
