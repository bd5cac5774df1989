// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Socket inode -> process. Rows are collected in /proc order and sorted once; a socket that
 * several processes share (a server's workers) goes to the lowest pid. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "owner.h"

static int append(struct ft_owners *o, uint64_t inode, uint32_t pid, const char *comm)
{
	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 256;
		struct ft_owner *row = realloc(o->row, size * sizeof(*row));

		if (!row)
			return -ENOMEM;
		o->row = row;
		o->size = size;
	}
	o->row[o->n] = (struct ft_owner){.inode = inode, .pid = pid};
	memcpy(o->row[o->n++].comm, comm, FT_COMM_LEN);
	return 0;
}

static void read_comm(int proc_fd, char comm[FT_COMM_LEN])
{
	_close_ int fd = openat(proc_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, comm, FT_COMM_LEN - 1);

	if (n > 0 && comm[n - 1] == '\n')
		comm[n - 1] = 0;
}

static int scan_fds(struct ft_owners *o, int proc_fd, uint32_t pid)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	char comm[FT_COMM_LEN] = "";
	int err = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0; /* gone, or not ours to see */
	}
	while (!err && (e = readdir(d))) {
		char target[64];
		unsigned long long inode;
		ssize_t n = readlinkat(fd, e->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = 0;
		if (sscanf(target, "socket:[%llu]", &inode) != 1)
			continue;
		if (!comm[0])
			read_comm(proc_fd, comm);
		err = append(o, inode, pid, comm);
	}
	closedir(d);
	return err;
}

static int by_inode(const void *a, const void *b)
{
	const struct ft_owner *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int ft_owners_scan(struct ft_owners *ret)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	int err = 0;

	*ret = (struct ft_owners){0};
	if (!proc)
		return -errno;
	while (!err && (e = readdir(proc))) {
		_close_ int fd = -1;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		fd = openat(dirfd(proc), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			err = scan_fds(ret, fd, strtoul(e->d_name, NULL, 10));
	}
	closedir(proc);
	if (err)
		ft_owners_close(ret);
	else
		ft_owners_take(ret->row, ret->n, ret);
	return err;
}

void ft_owners_take(struct ft_owner *row, size_t n, struct ft_owners *ret)
{
	for (size_t i = 0; i < n; i++)
		row[i].comm[FT_COMM_LEN - 1] = 0; /* whoever wrote it */
	if (n)
		qsort(row, n, sizeof(*row), by_inode);
	*ret = (struct ft_owners){row, n, n};
}

const struct ft_owner *ft_owners_find(const struct ft_owners *o, uint64_t inode)
{
	size_t lo = 0, hi = o->n;

	while (lo < hi) { /* the first row of the inode: the lowest pid */
		size_t mid = lo + (hi - lo) / 2;

		if (o->row[mid].inode < inode)
			lo = mid + 1;
		else
			hi = mid;
	}
	return inode && lo < o->n && o->row[lo].inode == inode ? &o->row[lo] : NULL;
}

void ft_owners_close(struct ft_owners *o)
{
	free(o->row);
	*o = (struct ft_owners){0};
}
