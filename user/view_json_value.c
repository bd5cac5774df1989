/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "addr.h"
#include "snapshot.h"
#include "view_json_internal.h"

json_t *ft_json_number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *ft_json_real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *ft_json_text(const char *value)
{
	char clean[FT_TEXT_LEN];

	ft_text_utf8(value, sizeof(clean) - 1, clean, sizeof(clean));
	return json_string(clean);
}

json_t *ft_json_name(const char *value)
{
	return value && *value ? ft_json_text(value) : json_null();
}

json_t *ft_json_endpoint(const __u8 addr[16], unsigned int port)
{
	char line[FT_ADDR_TEXT];

	ft_addr_format(addr, port, line);
	return json_string(line);
}

int ft_json_add(json_t *root, struct ft_buf *out)
{
	char *line =
		root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(FT_JSON_DIGITS)) : NULL;

	json_decref(root);
	if (!line)
		return -ENOMEM;
	ft_buf_printf(out, "%s", line);
	free(line);
	return ft_buf_error(out);
}
