// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "distance.h"

Test(distance, it_is_the_number_of_letters_to_change)
{
	cr_expect_eq(ft_distance("", ""), 0);
	cr_expect_eq(ft_distance("hop", "hop"), 0);
	cr_expect_eq(ft_distance("", "hop"), 3);
	cr_expect_eq(ft_distance("hop", ""), 3);
	cr_expect_eq(ft_distance("intervall", "interval"), 1);
	cr_expect_eq(ft_distance("interal", "interval"), 1);
	cr_expect_eq(ft_distance("inderval", "interval"), 1);
	cr_expect_eq(ft_distance("kitten", "sitting"), 3);
}

Test(distance, a_text_without_end_is_far_from_every_word)
{
	char text[FT_DISTANCE_LEN + 1];

	memset(text, 'a', sizeof(text));
	text[FT_DISTANCE_LEN] = '\0';
	cr_expect_eq(ft_distance(text, "a"), UINT_MAX);
	cr_expect_eq(ft_distance("a", text), UINT_MAX);
	text[FT_DISTANCE_LEN - 1] = '\0';
	cr_expect_eq(ft_distance(text, "a"), FT_DISTANCE_LEN - 2);
	cr_expect_eq(ft_distance(text, text), 0);
}
