/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of the ABI's numbers: the spellings that dashboards hold on to, and the bounds. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <string.h>

#include "tcp.h"

typedef const char *name_fn(unsigned int);

/* Every number has its own name, made of letters a label may have; the next one has none. */
static void check_table(name_fn *name, unsigned int n, const char *letters)
{
	for (unsigned int i = 0; i < n; i++) {
		cr_assert_not_null(name(i));
		cr_assert_gt(strlen(name(i)), 0);
		cr_assert_eq(strspn(name(i), letters), strlen(name(i)), "%s", name(i));
		for (unsigned int j = 0; j < i; j++)
			cr_assert_str_neq(name(i), name(j));
	}
	cr_assert_str_eq(name(n), "?");
	cr_assert_str_eq(name((unsigned int)-1), "?");
}

#define LOWER "abcdefghijklmnopqrstuvwxyz_0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

Test(tcp, every_number_has_a_name_and_the_next_one_a_question_mark)
{
	check_table(ft_state_name, FT_NSTATES, UPPER);
	check_table(ft_state_label, FT_NSTATES, LOWER);
	check_table(ft_side_name, FT_NSIDES, LOWER);
	check_table(ft_closed_name, FT_NCLOSED, LOWER);
	check_table(ft_failed_name, FT_NFAILED, LOWER);
	check_table(ft_loss_name, FT_NLOSS, LOWER);
	check_table(ft_source_name, FT_NSOURCES, LOWER);
}

Test(tcp, a_label_is_its_name_in_lower_case)
{
	for (unsigned int i = 0; i < FT_NSTATES; i++) {
		const char *name = ft_state_name(i), *label = ft_state_label(i);

		cr_assert_eq(strlen(name), strlen(label));
		for (size_t k = 0; name[k]; k++)
			cr_assert_eq(tolower((unsigned char)name[k]), label[k], "%s", name);
	}
}

Test(tcp, states_have_the_kernels_numbers)
{
	cr_assert_str_eq(ft_state_name(TCP_ESTABLISHED), "ESTABLISHED");
	cr_assert_str_eq(ft_state_name(TCP_SYN_SENT), "SYN_SENT");
	cr_assert_str_eq(ft_state_name(TCP_SYN_RECV), "SYN_RECV");
	cr_assert_str_eq(ft_state_name(TCP_FIN_WAIT1), "FIN_WAIT1");
	cr_assert_str_eq(ft_state_name(TCP_FIN_WAIT2), "FIN_WAIT2");
	cr_assert_str_eq(ft_state_name(TCP_TIME_WAIT), "TIME_WAIT");
	cr_assert_str_eq(ft_state_name(TCP_CLOSE), "CLOSE");
	cr_assert_str_eq(ft_state_name(TCP_CLOSE_WAIT), "CLOSE_WAIT");
	cr_assert_str_eq(ft_state_name(TCP_LAST_ACK), "LAST_ACK");
	cr_assert_str_eq(ft_state_name(TCP_LISTEN), "LISTEN");
	cr_assert_str_eq(ft_state_name(TCP_CLOSING), "CLOSING");
	cr_assert_str_eq(ft_state_name(0), "UNSEEN");
}

Test(tcp, reasons_are_spelled_as_the_interface_says)
{
	cr_assert_str_eq(ft_side_name(FT_ACCEPT), "accept");
	cr_assert_str_eq(ft_side_name(FT_CONNECT), "connect");
	cr_assert_str_eq(ft_closed_name(FT_CLOSED_LOCAL), "local");
	cr_assert_str_eq(ft_closed_name(FT_CLOSED_REMOTE), "remote");
	cr_assert_str_eq(ft_closed_name(FT_CLOSED_RESET), "reset");
	cr_assert_str_eq(ft_closed_name(FT_CLOSED_OTHER), "other");
	cr_assert_str_eq(ft_failed_name(FT_FAILED_REFUSED), "refused");
	cr_assert_str_eq(ft_failed_name(FT_FAILED_TIMEOUT), "timeout");
	cr_assert_str_eq(ft_failed_name(FT_FAILED_UNREACHABLE), "unreachable");
	cr_assert_str_eq(ft_failed_name(FT_FAILED_OTHER), "other");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_TABLE_FULL), "table_full");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_BUSY), "busy");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_UNMATCHED_CLOSE), "unmatched_close");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_MISSED_TRANSITION), "missed_transition");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_MISSED_OPEN), "missed_open");
	cr_assert_str_eq(ft_loss_name(FT_LOSS_MISSED_CLOSE), "missed_close");
	cr_assert_str_eq(ft_source_name(FT_SOURCE_TRACEPOINT), "tracepoint");
	cr_assert_str_eq(ft_source_name(FT_SOURCE_SOCKOPS), "sockops");
}

Test(tcp, every_loss_is_explained_in_one_sentence)
{
	for (unsigned int i = 0; i < FT_NLOSS; i++) {
		const char *help = ft_loss_help(i);

		cr_assert_gt(strlen(help), 20, "%s", ft_loss_name(i));
		cr_assert_eq(help[strlen(help) - 1], '.', "%s", help);
		cr_assert_null(strchr(help, '\n'));
	}
	cr_assert_str_eq(ft_loss_help(FT_NLOSS), "?");
}

Test(tcp, lifetime_bounds_rise_and_have_both_idle_timeouts)
{
	bool nginx = false, nlb = false;

	for (unsigned int i = 0; i < FT_NLIFETIME - 1; i++) {
		if (i)
			cr_assert_gt(ft_lifetime_bounds_ms[i], ft_lifetime_bounds_ms[i - 1]);
		nginx |= ft_lifetime_bounds_ms[i] == 75000;
		nlb |= ft_lifetime_bounds_ms[i] == 350000;
	}
	cr_assert(nginx);
	cr_assert(nlb);
	cr_assert_eq(ft_lifetime_bounds_ms[FT_NLIFETIME - 2], 600000);
}
