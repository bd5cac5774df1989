/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of the config parser share: the list of errors, the tables of keys, and the
 * passes in the order in which ft_config_parse() runs them. Nobody else includes it. */
#ifndef FT_CONFIG_INTERNAL_H
#define FT_CONFIG_INTERNAL_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* config_errors.c: errors in any order; printed by line, and in order of finding in a line. */
struct ft_errors {
	struct ft_error {
		int line;
		unsigned int seq;
		size_t at; /* offset of its NUL-terminated message in text */
	} * list;
	unsigned int count, size;
	struct ft_buf text;
};

/* A failed allocation is kept in e->text.error. */
void ft_errors_add(struct ft_errors *e, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ft_errors_print(struct ft_errors *e, const char *file, struct ft_buf *out);
void ft_errors_close(struct ft_errors *e);

/* User text as it may stand in a message: one line, printable, at most FT_QUOTE bytes. */
#define FT_QUOTE 72
struct ft_quoted {
	char text[FT_QUOTE];
};
struct ft_quoted ft_config_quote(const char *text);

/* The nearest of `count` names within edit distance 2, or NULL. */
const char *ft_config_nearest(const char *text, const char *const *names, unsigned int count);

/* config_scan.c: what libconfig accepts in silence. True: *ret_text is to be given to it. */
bool ft_config_scan(const char *text, struct ft_buf *ret_text, struct ft_errors *errors);

/* Keys: one row per key. */
struct ft_config_parser {
	struct ft_config *c;
	struct ft_config_hop *hop; /* the one being read */
	struct ft_errors *errors;
};

enum ft_config_type { FT_KEY_STRING, FT_KEY_INT, FT_KEY_BOOL, FT_KEY_LIST, FT_KEY_STRINGS };

struct ft_config_key {
	const char *name;
	enum ft_config_type type;
	void (*set)(struct ft_config_parser *p, config_setting_t *s); /* NULL: only checked */
};

void ft_config_keys(struct ft_config_parser *p, config_setting_t *group,
		    const struct ft_config_key *keys, unsigned int nkeys);
/* "key: message" at the setting's line. */
void ft_config_bad(struct ft_config_parser *p, const config_setting_t *s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The setting's string, copied if it fits; else an error, and -EINVAL. */
int ft_config_copy(struct ft_config_parser *p, config_setting_t *s, char *ret, size_t size);
/* The setting's number, if it is in the range; else an error, and -EINVAL. */
int ft_config_number(struct ft_config_parser *p, config_setting_t *s, unsigned int min,
		     unsigned int max, uint32_t *ret);

/* The setting's duration, if it is between min_ms and an hour; else an error, and -EINVAL. */
int ft_config_duration(struct ft_config_parser *p, config_setting_t *s, unsigned int min_ms,
		       uint32_t *ret_ms);

/* config_hops.c: the list `hops`. */
void ft_config_hops(struct ft_config_parser *p, config_setting_t *list);
/* Whether it has the letters that a name may have; one or more. */
bool ft_config_is_name(const char *text);

/* config_check.c: what only several hops together show. */
void ft_config_check(const struct ft_config *c, struct ft_errors *errors);

/* config_compile.c: one endpoint of a hop -> one rule. -EINVAL: its conditions contradict
 * each other, or need more than the rule's one peer prefix; err says which. */
int ft_config_rule(const struct ft_config_hop *h, const struct ft_endpoint *e, unsigned int hop,
		   struct ft_rule *ret, char *err, size_t err_len);
/* Index of the hop of that name, or -1. */
int ft_config_find(const struct ft_config *c, const char *name);
/* When the hop's rules come: all of rank 0 first, in config order, then rank 1, … */
#define FT_CONFIG_RANKS 4
unsigned int ft_config_rank(const struct ft_config_hop *h);
/* Indices of the hops in force, in the order of their rules; how many they are. */
unsigned int ft_config_order(const struct ft_config *c, unsigned int ret[FT_MAX_HOPS]);

#endif
