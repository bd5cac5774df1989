/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The lock of this host's one agent. SHELL. */
#ifndef FT_LOCK_H
#define FT_LOCK_H

/* In a directory of its own: a hardened unit may write there (RuntimeDirectory=fantail), but not
 * to /run. */
#define FT_LOCK_DIR  "/run/fantail"
#define FT_LOCK_FILE FT_LOCK_DIR "/lock"

/* The pid of the agent that holds the lock; 0 none. */
int ft_lock_holder(void);

/* Take the lock; it is held until it is released, or the process ends. What to release, or -EBUSY
 * with the holder's pid in *ret_pid (0: not an agent of ours), or -errno. */
int ft_lock_take(int *ret_pid);

/* Give it back, and remove its file: a stop leaves nothing behind. */
void ft_lock_release(int lock);

#endif
