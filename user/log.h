/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages to people, on stderr: "fantail: warning: …". SHELL code only; not for threads or
 * signal handlers. Control bytes in a message are printed as '?', so that a process name
 * cannot drive the terminal; a text of several lines becomes several messages. */
#ifndef FT_LOG_H
#define FT_LOG_H

#include <stdarg.h>

/* ERROR, WARN and INFO are always printed, DEBUG at -v, what libbpf says at -vv. */
enum ft_log_level { FT_LOG_ERROR, FT_LOG_WARN, FT_LOG_INFO, FT_LOG_DEBUG, FT_LOG_NLEVELS };

/* No final newline needed. Lines are cut at 512 bytes. errno is kept. When stderr is the
 * journal ($JOURNAL_STREAM names it) each line starts with its priority, "<3>" to "<7>". */
void ft_log(enum ft_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A thing that is tried again and again: "cannot WHAT: reason" as a warning, once while it fails in
 * the same way. err: -errno of this attempt, or 0; *last: of the one before. */
void ft_log_failing(int *last, int err, const char *what);

void ft_log_set_verbosity(int verbosity); /* 0, 1 (-v) or 2 (-vv); default 0 */

/* While held, the last 64 lines wait in memory; release prints them, and how many older
 * ones were lost. Neither nests; ft_term_open() holds and ft_term_close() releases. */
void ft_log_hold(void);
void ft_log_release(void);

/* For libbpf_set_print(): the level is enum libbpf_print_level (0 warn, 1 info, 2 debug).
 * Prints at -vv; always keeps the last 4 KiB of what is above debug. Returns 0. */
int ft_log_libbpf(int level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* The text kept, from the beginning of a line where possible; "" if none. It stays valid
 * until libbpf speaks again. ft_log_libbpf_forget() empties it, before the next attempt. */
const char *ft_log_libbpf_tail(void);
void ft_log_libbpf_forget(void);

#endif
