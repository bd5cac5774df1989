/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON values of what the views say: what is not known is null. All return NULL when out of memory,
 * which json_pack() passes on. PURE. */
#ifndef FT_VIEW_JSON_INTERNAL_H
#define FT_VIEW_JSON_INTERNAL_H

#include <jansson.h>

#include "buf.h"
#include "fantail.h"

#define FT_JSON_DIGITS 10 /* of a number with a fraction */

/* Integers are signed in every reader that matters: what does not fit is saturated. */
json_t *ft_json_number(uint64_t value);
json_t *ft_json_real(double value); /* NAN, infinity: null */
/* A name from outside, as UTF-8; ft_json_name: null if it is NULL or empty. */
json_t *ft_json_text(const char *value);
json_t *ft_json_name(const char *value);
json_t *ft_json_endpoint(const __u8 addr[16], unsigned int port);

/* Add the object, in one line without its end, and let go of it. 0 or -ENOMEM, also for NULL. */
int ft_json_add(json_t *root, struct ft_buf *out);

#endif
