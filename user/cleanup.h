/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two cleanup attributes. Start fds at -1 and pointers at NULL; to hand the object on,
 * copy it and set the variable back to -1 or NULL. Both keep errno, so that
 * `return -errno;` is right in a function that uses them. */
#ifndef FT_CLEANUP_H
#define FT_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ft_cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void ft_cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

#define _close_ __attribute__((cleanup(ft_cleanup_close)))
#define _free_	__attribute__((cleanup(ft_cleanup_free)))

#endif
