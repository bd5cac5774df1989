// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Walks over all sockets: reading an iterator's file is what runs its program. A walk sees the
 * network namespace in which the file is opened, so this process steps into each. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "netns.h"
#include "owner.h"
#include "probe_internal.h"

int ft_probe_get_control(const struct ft_probe *p, struct ft_control *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(p->map[FT_MAP_CONTROL], &zero, ret) ? -errno : 0;
}

int ft_probe_set_control(const struct ft_probe *p, const struct ft_control *c)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(p->map[FT_MAP_CONTROL], &zero, c, BPF_ANY) ? -errno : 0;
}

struct rows {
	void *row;
	size_t bytes, size;
};

/* Read an iterator's file to its end. rows NULL: the program writes nothing. */
static int read_iterator(int link, struct rows *rows)
{
	_close_ int fd = bpf_iter_create(link);
	char nothing[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (rows && rows->size - rows->bytes < (1 << 20)) {
			size_t size = rows->size ? 2 * rows->size : 4 << 20;
			void *row = realloc(rows->row, size);

			if (!row)
				return -ENOMEM;
			rows->row = row;
			rows->size = size;
		}
		n = rows ? read(fd, (char *)rows->row + rows->bytes, rows->size - rows->bytes)
			 : read(fd, nothing, sizeof(nothing));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue; /* EAGAIN: a million sockets without output; read on */
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (rows)
			rows->bytes += n;
	}
}

/* The number behind `key` in a line that begins with `line`; 1 if there is none. */
static unsigned long stock(const char *path, const char *line, const char *key)
{
	char text[1024] = "", *at;
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 1;
	at = strstr(text, line);
	if (at)
		at = strstr(at, key);
	return at ? strtoul(at + strlen(key), NULL, 10) : 1;
}

/*
 * Whether this network namespace has no TCP socket, TIME_WAIT included. A walk looks at every
 * bucket of a table that all namespaces share (12 ms for half a million), and on a host of
 * containers most have nothing in it. The kernel adds the numbers up over CPUs without a lock, so
 * that sockets that open on one and close on another can hide a third one, once; not thrice.
 */
static bool nothing_here(void)
{
	static const char v4[] = "/proc/thread-self/net/sockstat";
	static const char v6[] = "/proc/thread-self/net/sockstat6";

	for (int i = 0; i < 3; i++)
		if (stock(v4, "TCP:", "inuse ") || stock(v4, "TCP:", "tw ") ||
		    (!access(v6, F_OK) && stock(v6, "TCP6:", "inuse ")))
			return false;
	return true;
}

struct walk {
	int link;
	struct rows *rows;
};

static int walk_here(void *ctx)
{
	const struct walk *w = ctx;

	return nothing_here() ? 0 : read_iterator(w->link, w->rows);
}

static int walk_all(struct walk *w, const int *nsfd, size_t n)
{
	static bool said;
	int err = n ? 0 : walk_here(w);

	for (size_t i = 0; !err && i < n; i++) {
		err = ft_netns_run(nsfd[i], walk_here, w);
		if (err != -EPERM)
			continue;
		if (!said)
			ft_log(FT_LOG_WARN,
			       "cannot enter other network namespaces (needs CAP_SYS_ADMIN): "
			       "flows that were open there before are not known");
		said = true;
		err = 0;
	}
	return err;
}

int ft_probe_walk(const struct ft_probe *p, const int *nsfd, size_t n)
{
	struct walk w = {p->link[FT_LINK_WALK], NULL};

	return w.link < 0 ? 0 : walk_all(&w, nsfd, n);
}

int ft_probe_dump(const struct ft_probe *p, const int *nsfd, size_t n, struct ft_sock_row **ret,
		  size_t *ret_rows)
{
	struct rows rows = {0};
	struct walk w = {p->link[FT_LINK_DUMP], &rows};
	int err;

	if (w.link < 0)
		return -EOPNOTSUPP;
	err = walk_all(&w, nsfd, n);
	if (err) {
		free(rows.row);
		return err;
	}
	*ret = rows.row;
	*ret_rows = rows.bytes / sizeof(struct ft_sock_row);
	return 0;
}

int ft_probe_owners(const struct ft_probe *p, struct ft_owners *ret)
{
	struct rows rows = {0};

	if (p->link[FT_LINK_HOLDERS] < 0 || read_iterator(p->link[FT_LINK_HOLDERS], &rows)) {
		free(rows.row);
		return ft_owners_scan(ret);
	}
	ft_owners_take(rows.row, rows.bytes / sizeof(*ret->row), ret);
	return 0;
}

/* --- the scan --- */

/* Readers look at the other half until the agent names this one. */
static int empty_findings(struct ft_probe *p, uint32_t number)
{
	const struct ft_hop_scan nothing = {0};

	for (uint32_t hop = 0; hop <= FT_MAX_HOPS; hop++) {
		uint32_t slot = FT_SCAN_SLOT(number, hop);

		if (hop >= p->meta.nhops && hop != FT_MAX_HOPS)
			continue;
		if (bpf_map_update_elem(p->map[FT_MAP_SCANS], &slot, &nothing, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int begin_scan(struct ft_probe *p, struct ft_control *control)
{
	int err = ft_probe_get_control(p, control);

	if (!err)
		err = empty_findings(p, control->audit + 1);
	if (err)
		return err;
	control->audit++;
	control->scanning = 1;
	return ft_probe_set_control(p, control);
}

/* Only where the walk has been may ft_sweep conclude from what it did not meet. */
static int scan_namespace(struct ft_probe *p, int nsfd, uint32_t inode, uint32_t number)
{
	struct walk w = {p->link[FT_LINK_WALK], NULL};
	int err = ft_netns_run(nsfd, walk_here, &w);

	if (!err)
		bpf_map_update_elem(p->map[FT_MAP_WALKED], &inode, &number, BPF_ANY);
	return err == -EPERM ? 0 : err;
}

int ft_probe_scan(struct ft_probe *p, const int *nsfd, const uint32_t *inode, size_t n, bool sweep,
		  uint32_t *ret_number)
{
	struct ft_control control;
	int err, end;

	if (p->link[FT_LINK_SWEEP] < 0)
		return -EOPNOTSUPP;
	err = begin_scan(p, &control);
	if (err)
		return err;
	for (size_t i = 0; !err && i < n; i++)
		err = scan_namespace(p, nsfd[i], inode[i], control.audit);
	if (!err && sweep)
		err = read_iterator(p->link[FT_LINK_SWEEP], NULL);
	control.scanning = 0;
	end = ft_probe_set_control(p, &control);
	*ret_number = control.audit;
	return err ? err : end;
}
