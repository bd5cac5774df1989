/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A file that its readers see whole: node_exporter's textfile. */
#ifndef FT_SINK_H
#define FT_SINK_H

#include <stddef.h>

/*
 * Whether the file may be replaced, and removed again: it is a regular one, or not there. A device,
 * a pipe, a socket and a symbolic link (/dev/stdout) are somebody else's: -EEXIST. -EISDIR.
 */
int ft_sink_may_replace(const char *path);

/*
 * Replace `path` by these bytes, mode 0644 whatever the umask. A reader finds the old file or
 * the new one, never a part. The temporary is ".NAME.tmp" in the same directory (it must not
 * end in .prom: node_exporter reads those); one that was left behind is replaced. One writer
 * per path. 0 or -errno; after a failure `path` is as before and no temporary is left.
 */
int ft_sink_write(const char *path, const char *data, size_t len);

/* Whether the file's directory lets us write (mode W_OK), or is there at all (F_OK), as access():
 * 0 or -errno. The directory's name, for a message, is in ret, cut to `size`. */
int ft_sink_directory(const char *path, int mode, char *ret, size_t size);

/* Remove the file and a temporary left behind. 0, also if there was none, or -errno, as above. */
int ft_sink_remove(const char *path);

#endif
