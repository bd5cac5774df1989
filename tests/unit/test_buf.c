/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The growable buffer: growth, reuse, and that an error sticks. Failures are made by hand,
 * because no allocation of a test's size fails. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "buf.h"

Test(buf, an_empty_buffer_has_empty_text)
{
	struct ft_buf b = {0};

	cr_assert_str_eq(ft_buf_text(&b), "");
	cr_assert_eq(ft_buf_error(&b), 0);
	ft_buf_close(&b);
}

Test(buf, printf_appends)
{
	struct ft_buf b = {0};

	ft_buf_printf(&b, "%s=%d", "a", 1);
	ft_buf_printf(&b, ",%c", 'z');
	cr_assert_str_eq(ft_buf_text(&b), "a=1,z");
	cr_assert_eq(b.len, 5);
	ft_buf_close(&b);
}

Test(buf, grows_byte_by_byte_past_every_size)
{
	struct ft_buf b = {0};

	for (int i = 0; i < 5000; i++) {
		ft_buf_add(&b, &"0123456789"[i % 10], 1);
		cr_assert_lt(b.len, b.size, "no room for the NUL at %d", i);
		cr_assert_eq(b.data[b.len], '\0');
	}
	cr_assert_eq(b.len, 5000);
	for (int i = 0; i < 5000; i++)
		cr_assert_eq(b.data[i], '0' + i % 10);
	ft_buf_close(&b);
}

Test(buf, one_addition_may_be_larger_than_twice_the_buffer)
{
	struct ft_buf b = {0};

	ft_buf_add(&b, "x", 1);
	ft_buf_printf(&b, "%*d", 100000, 7);
	cr_assert_eq(b.len, 100001);
	cr_assert_str_eq(b.data + 99999, " 7");
	ft_buf_close(&b);
}

Test(buf, exact_fit_leaves_room_for_the_nul)
{
	/* 256 is the first size: 255 fit, 256 need the next one */
	for (int len = 254; len < 259; len++) {
		struct ft_buf b = {0};

		ft_buf_printf(&b, "%*s", len, "");
		cr_assert_eq(b.len, (size_t)len);
		cr_assert_gt(b.size, b.len);
		cr_assert_eq(strlen(ft_buf_text(&b)), (size_t)len);
		ft_buf_close(&b);
	}
}

Test(buf, add_keeps_nul_bytes_and_accepts_nothing)
{
	struct ft_buf b = {0};

	ft_buf_add(&b, NULL, 0);
	ft_buf_add(&b, "a\0b", 3);
	cr_assert_eq(b.len, 3);
	cr_assert_arr_eq(b.data, "a\0b", 4);
	ft_buf_close(&b);
}

Test(buf, reset_forgets_the_text_and_keeps_the_memory)
{
	struct ft_buf b = {0};
	char *before;

	ft_buf_printf(&b, "%*d", 1000, 1);
	before = b.data;
	ft_buf_reset(&b);
	cr_assert_str_eq(ft_buf_text(&b), "");
	ft_buf_printf(&b, "again");
	cr_assert_eq(b.data, before);
	cr_assert_str_eq(ft_buf_text(&b), "again");
	ft_buf_close(&b);
}

Test(buf, an_error_sticks_and_additions_do_nothing)
{
	struct ft_buf b = {0};

	ft_buf_printf(&b, "kept");
	b.error = -ENOMEM;
	ft_buf_printf(&b, "lost");
	ft_buf_add(&b, "lost", 4);
	cr_assert_eq(ft_buf_error(&b), -ENOMEM);
	cr_assert_str_eq(ft_buf_text(&b), "kept");
	ft_buf_reset(&b);
	ft_buf_printf(&b, "fresh");
	cr_assert_eq(ft_buf_error(&b), 0);
	cr_assert_str_eq(ft_buf_text(&b), "fresh");
	ft_buf_close(&b);
}

Test(buf, an_impossible_size_is_an_error_and_no_overflow)
{
	struct ft_buf b = {0};

	ft_buf_add(&b, "kept", 4);
	ft_buf_add(&b, "x", (size_t)-1 - 2);
	cr_assert_eq(ft_buf_error(&b), -ENOMEM);
	cr_assert_str_eq(ft_buf_text(&b), "kept");
	ft_buf_close(&b);
}

Test(buf, close_is_null_safe_and_repeatable)
{
	struct ft_buf b = {0};

	ft_buf_close(NULL);
	ft_buf_printf(&b, "x");
	ft_buf_close(&b);
	ft_buf_close(&b);
	cr_assert_str_eq(ft_buf_text(&b), "");
	ft_buf_printf(&b, "y");
	cr_assert_str_eq(ft_buf_text(&b), "y");
	ft_buf_close(&b);
}
