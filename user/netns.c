// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Network namespaces: found through /proc/PID/ns/net (which process lives where) and
 * /run/netns (named ones, which may hold no process). Socket iterators show only the
 * namespace of the process that opens them, so a walk over the host steps into each. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "netns.h"

static bool has(const struct ft_netns *ns, uint32_t inode)
{
	for (size_t i = 0; i < ns->n; i++)
		if (ns->inode[i] == inode)
			return true;
	return false;
}

static int append(struct ft_netns *ns, int fd, uint32_t inode)
{
	int *fds = realloc(ns->fd, (ns->n + 1) * sizeof(*fds));
	uint32_t *inodes;

	if (!fds)
		return -ENOMEM;
	ns->fd = fds;
	inodes = realloc(ns->inode, (ns->n + 1) * sizeof(*inodes));
	if (!inodes)
		return -ENOMEM;
	ns->inode = inodes;
	ns->fd[ns->n] = fd;
	ns->inode[ns->n++] = inode;
	return 0;
}

/* What counts is what was opened: a process may have moved, or ended, since it was looked at. And
 * of a namespace that was made in another mount namespace, /run/netns has just an empty file. */
static int add(struct ft_netns *ns, const char *path)
{
	_close_ int fd = -1;
	struct stat st;
	int err;

	if (stat(path, &st))
		return -errno;
	if (has(ns, (uint32_t)st.st_ino)) /* most processes: not opened at all */
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	if (has(ns, (uint32_t)st.st_ino))
		return 0;
	err = append(ns, fd, (uint32_t)st.st_ino);
	if (!err)
		fd = -1;
	return err;
}

/* Add DIR/<entry><suffix> for every entry; processes that vanish meanwhile do not matter. */
static int add_all(struct ft_netns *ns, const char *dir, const char *suffix, int digits_only)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[320];
	int err = 0;

	if (!d)
		return 0;
	while (err != -ENOMEM && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    (digits_only && (e->d_name[0] < '0' || e->d_name[0] > '9')))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", dir, e->d_name, suffix);
		err = add(ns, path);
	}
	closedir(d);
	return err == -ENOMEM ? err : 0;
}

int ft_netns_own(struct ft_netns *ret)
{
	*ret = (struct ft_netns){0};
	return add(ret, "/proc/self/ns/net");
}

int ft_netns_path(const char *path, struct ft_netns *ret)
{
	*ret = (struct ft_netns){0};
	return add(ret, path);
}

const char *ft_netns_error(int err)
{
	return err == -EINVAL ? "it is not a network namespace" : strerror(-err);
}

int ft_netns_all(struct ft_netns *ret)
{
	int err = ft_netns_own(ret);

	if (!err)
		err = add_all(ret, "/proc", "/ns/net", 1);
	if (!err)
		err = add_all(ret, "/run/netns", "", 0);
	if (err)
		ft_netns_close(ret);
	return err;
}

void ft_netns_close(struct ft_netns *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		close(ns->fd[i]);
	free(ns->fd);
	free(ns->inode);
	*ns = (struct ft_netns){0};
}

int ft_netns_run(int fd, int (*fn)(void *ctx), void *ctx)
{
	_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct stat here, there;
	int result;

	if (home < 0 || fstat(home, &here) || fstat(fd, &there))
		return -errno;
	if (here.st_ino == there.st_ino && here.st_dev == there.st_dev)
		return fn(ctx); /* takes no capability */
	if (setns(fd, CLONE_NEWNET))
		return -errno;
	result = fn(ctx);
	/* Going home cannot fail: the namespace is held open by `home`. */
	if (setns(home, CLONE_NEWNET))
		abort();
	return result;
}
