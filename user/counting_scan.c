// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The scan of a session. The order is the point: counters, walk, counters again (so that drift
 * can tell what came and went meanwhile), then the limits, and the number that makes all of it
 * visible last. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "counting_scan.h"
#include "scanned.h"

#define SECOND	    1000000000ULL
#define SHARE	    100	 /* of a core: a hundredth */
#define SWEEP	    12	 /* scans: at least so often the whole table is looked at */
#define FORGET	    12	 /* scans that met no socket towards a destination */
#define OLD	    1024 /* of those, so many are removed at once */
#define NETSTAT_MAX 16384

/* --- namespaces --- */

static int read_text(int dir, const char *path, char *ret, size_t size)
{
	_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd >= 0 && len + 1 < size && (n = read(fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = 0;
	return fd < 0 || n < 0 ? -errno : 0;
}

/* Inside the namespace: what /proc shows is that of the thread which asks. */
static int look_at_space(void *ctx)
{
	_free_ char *netstat = malloc(NETSTAT_MAX), *reserved = malloc(NETSTAT_MAX);
	struct ft_space *s = ctx;
	char range[64];
	__u64 n;

	if (!netstat || !reserved)
		return -ENOMEM;
	if (!read_text(AT_FDCWD, "/proc/thread-self/net/netstat", netstat, NETSTAT_MAX)) {
		if (ft_scanned_netstat(netstat, "ListenOverflows", (uint64_t *)&n))
			s->listen_overflows = n;
		if (ft_scanned_netstat(netstat, "ListenDrops", (uint64_t *)&n))
			s->listen_drops = n;
	}
	if (read_text(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_reserved_ports", reserved,
		      NETSTAT_MAX))
		reserved[0] = 0;
	if (!read_text(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", range, sizeof(range)))
		s->ports = ft_scanned_ports(range, reserved);
	return 0;
}

/* ports: of each namespace, how many a connect() may choose from; 0 where that is not known. */
static void look_at_spaces(struct ft_counting *c, uint32_t number, uint32_t *ports)
{
	for (size_t i = 0; i < c->ns.n; i++) {
		struct ft_space s = {.walk = number};
		int err = ft_netns_run(c->ns.fd[i], look_at_space, &s);

		if (err)
			continue;
		ft_probe_put_space(&c->probe, c->ns.inode[i], &s);
		ports[i] = s.ports;
	}
}

struct old_spaces {
	uint32_t number;
	uint32_t netns[64]; /* not removed while the table is walked */
	unsigned int n;
};

static int note_old_space(void *ctx, uint32_t netns, const struct ft_space *s)
{
	struct old_spaces *old = ctx;

	if (s->walk != old->number && old->n < sizeof(old->netns) / sizeof(old->netns[0]))
		old->netns[old->n++] = netns;
	return 0;
}

/* Namespaces that are gone: where containers come and go, their rows would fill the table. */
static void drop_old_spaces(struct ft_counting *c, uint32_t number)
{
	struct old_spaces old = {.number = number};

	ft_probe_spaces(&c->probe, note_old_space, &old);
	for (unsigned int i = 0; i < old.n; i++)
		ft_probe_drop_space(&c->probe, old.netns[i]);
}

/* --- ports --- */

struct destinations {
	struct ft_counting *c;
	uint32_t number;
	struct ft_hop_limits *limits;
	const uint32_t *ports;	      /* of each namespace */
	struct ft_ports_key old[OLD]; /* not removed while the table is walked */
	unsigned int nold;
};

static uint32_t ports_of(const struct destinations *d, uint32_t netns)
{
	for (size_t i = 0; i < d->c->ns.n; i++)
		if (d->c->ns.inode[i] == netns)
			return d->ports[i];
	return 0;
}

/* The destination of a hop that has the least room stands for the hop. */
static int note_destination(void *ctx, const struct ft_ports_key *key,
			    const struct ft_ports_used *u)
{
	struct destinations *d = ctx;
	struct ft_hop_limits *l;
	uint32_t limit;

	if (d->number - u->walk > FORGET && d->nold < OLD)
		d->old[d->nold++] = *key;
	if (u->walk != d->number || key->hop >= d->c->config.nhops)
		return 0;
	limit = ports_of(d, key->netns);
	l = &d->limits[key->hop];
	if (!limit || (l->ports_limit &&
		       (uint64_t)u->used * l->ports_limit <= (uint64_t)l->ports_used * limit))
		return 0;
	l->ports_used = u->used;
	l->ports_limit = limit;
	l->ports_exhausted_ns = ft_scanned_exhausted_ns(u, limit);
	return 0;
}

static void find_fullest(struct ft_counting *c, uint32_t number, const uint32_t *ports,
			 struct ft_hop_limits *limits)
{
	_free_ struct destinations *d = calloc(1, sizeof(*d));

	if (!d)
		return;
	d->c = c;
	d->number = number;
	d->limits = limits;
	d->ports = ports;
	for (unsigned int i = 0; i < c->config.nhops; i++)
		limits[i].ports_used = limits[i].ports_limit = limits[i].ports_exhausted_ns = 0;
	ft_probe_ports(&c->probe, note_destination, d);
	for (unsigned int i = 0; i < d->nold; i++)
		ft_probe_drop_ports(&c->probe, &d->old[i]);
	/* No connection: none used, of what the first namespace has. */
	for (unsigned int i = 0; i < c->config.nhops; i++)
		if (c->config.hop[i].side == FT_CONNECT && !limits[i].ports_limit)
			limits[i].ports_limit = ports[0];
}

/* --- drift --- */

static void audit(struct ft_counting *c, const struct ft_snapshot *before,
		  const struct ft_snapshot *after, uint32_t number, struct ft_hop_limits *limits)
{
	c->suspicious = false;
	for (uint32_t i = 0; i < before->nhops; i++) {
		int64_t drift_before = limits[i].drift;
		struct ft_hop_scan met;

		if (ft_probe_found(&c->probe, number, i, &met))
			return;
		limits[i].drift = ft_scanned_drift(&before->stats[i], &after->stats[i], &met);
		c->suspicious |= limits[i].drift != 0;
		if (!ft_scanned_overflowed(&after->totals))
			limits[i].drift =
				ft_scanned_repair(drift_before, limits[i].drift, &limits[i]);
	}
}

/* --- the scan --- */

static int publish(struct ft_counting *c, const struct ft_hop_limits *limits, uint32_t number,
		   uint64_t cost_ns)
{
	uint64_t least = c->config.scan_ms * 1000000ULL;
	struct ft_hop_scan all = {0};
	struct ft_scan scan = {
		.mono_ns = ft_clock_ns(CLOCK_MONOTONIC),
		.duration_ns = cost_ns,
		.period_ns = cost_ns * SHARE > least ? cost_ns * SHARE : least,
		.number = number,
	};
	int err = ft_probe_found(&c->probe, number, FT_MAX_HOPS, &all);

	scan.sockets = all.flows;
	c->suspicious |= all.found; /* believed: only a sweep can */
	c->scans++;
	for (uint32_t i = 0; !err && i < c->config.nhops; i++)
		err = ft_probe_put_limits(&c->probe, i, &limits[i]);
	c->scan_due_ns = scan.mono_ns + scan.period_ns;
	return err ? err : ft_probe_put_scan(&c->probe, &scan);
}

/* Sweeping is dear, and finds something only after a scan that met less than is counted. */
static bool wants_sweep(const struct ft_counting *c)
{
	return c->suspicious || c->scans % SWEEP == 0;
}

static int scan_and_audit(struct ft_counting *c, struct ft_snapshot *around)
{
	_free_ uint32_t *ports = calloc(c->ns.n + 1, sizeof(*ports));
	struct ft_hop_limits limits[FT_MAX_HOPS] = {0};
	uint64_t cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint32_t number = 0;
	int err = ports ? ft_probe_snapshot(&c->probe, &around[0]) : -ENOMEM;

	if (!err)
		err = ft_probe_scan(&c->probe, c->ns.fd, c->ns.inode, c->ns.n, wants_sweep(c),
				    &number);
	cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (!err)
		err = ft_probe_snapshot(&c->probe, &around[1]);
	if (err)
		return err;
	memcpy(limits, around[1].limits, sizeof(limits));
	audit(c, &around[0], &around[1], number, limits);
	look_at_spaces(c, number, ports);
	drop_old_spaces(c, number);
	find_fullest(c, number, ports, limits);
	return publish(c, limits, number, cpu);
}

int ft_counting_scan(struct ft_counting *c)
{
	_free_ struct ft_snapshot *around = calloc(2, sizeof(*around));
	int err = around ? scan_and_audit(c, around) : -ENOMEM;

	if (err) /* not at once again */
		c->scan_due_ns = ft_clock_ns(CLOCK_MONOTONIC) + c->config.scan_ms * 1000000ULL;
	return err == -EOPNOTSUPP ? 0 : err;
}

/* --- open files --- */

static uint32_t list_files(int proc_fd)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint32_t n = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* From Linux 6.2 on the directory's size is the number (fs/proc/fd.c): 100 000 names take 50 ms to
 * list. */
static uint32_t count_files(int proc_fd)
{
	struct stat st;

	if (!fstatat(proc_fd, "fd", &st, 0) && st.st_size > 0)
		return (uint32_t)st.st_size;
	return list_files(proc_fd);
}

/* The process of that name with the least room stands for all of them. Its limit is asked of /proc,
 * whose file everybody may read: prlimit() of another user's process takes CAP_SYS_RESOURCE. */
static void note_files(struct ft_hop_limits *l, uint32_t pid, int proc_fd)
{
	char text[2048];
	uint32_t used, most;

	if (read_text(proc_fd, "limits", text, sizeof(text)))
		return;
	used = count_files(proc_fd);
	most = ft_scanned_files(text);
	if (!used || !most ||
	    (l->files_limit && (uint64_t)used * l->files_limit <= (uint64_t)l->files_used * most))
		return;
	l->files_used = used;
	l->files_limit = most;
	l->files_pid = pid;
}

static void note_process(const struct ft_snapshot *s, const char *pid, DIR *proc,
			 struct ft_hop_limits *limits)
{
	_close_ int dir = openat(dirfd(proc), pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_close_ int fd = dir < 0 ? -1 : openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	char comm[FT_COMM_LEN + 1] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, comm, FT_COMM_LEN);

	if (n <= 0)
		return;
	comm[strcspn(comm, "\n")] = 0;
	for (uint32_t i = 0; i < s->nhops; i++)
		if (s->def[i].process[0] && !strcmp(comm, s->def[i].process))
			note_files(&limits[i], (uint32_t)strtoul(pid, NULL, 10), dir);
}

void ft_counting_files(struct ft_counting *c)
{
	struct ft_hop_limits limits[FT_MAX_HOPS] = {0};
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	while (proc && (e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]))
			note_process(&c->snapshot, e->d_name, proc, limits);
	if (proc)
		closedir(proc);
	for (uint32_t i = 0; i < c->snapshot.nhops; i++) {
		struct ft_hop_limits l;

		if (ft_probe_get_limits(&c->probe, i, &l))
			return;
		l.files_used = limits[i].files_used;
		l.files_limit = limits[i].files_limit;
		l.files_pid = limits[i].files_pid;
		ft_probe_put_limits(&c->probe, i, &l);
	}
}
