/* SPDX-License-Identifier: GPL-2.0 */
/* What makes a pair of evidence. Numbers only, so that a unit test can hold it against
 * ft_pair_holds() in user/pair.c. */
#ifndef FT_PAIR_RULES_BPF_H
#define FT_PAIR_RULES_BPF_H

static __always_inline bool both_ways(__u32 pattern, __u32 fw, __u32 rev)
{
	return (pattern & fw) && (pattern & rev);
}

/* Rules by which the pattern makes a pair, one bit each: seen both ways. A way back that was
 * alone stands in for the rule's own. Keep in step with ft_pair_holds() in user/pair.c; a test
 * compares them. Global, as all that branches much: the verifier looks at it once and not on every
 * path to it. */
__noinline __u32 rules_of(__u32 pattern)
{
	const __u32 alone = FT_PAIR_REV_ALONE;
	__u32 sure = both_ways(pattern, FT_PAIR_FW_ANY, alone);

	return (sure | both_ways(pattern, FT_PAIR_FW_LAST, FT_PAIR_REV_LAST)) << FT_PAIR_LAST |
	       (sure | both_ways(pattern, FT_PAIR_FW_LATCH, FT_PAIR_REV_LAST)) << FT_PAIR_LATCH |
	       (sure | both_ways(pattern, FT_PAIR_FW_FIFO, FT_PAIR_REV_FIFO)) << FT_PAIR_FIFO |
	       (!!(pattern & alone) | both_ways(pattern, FT_PAIR_FW_ANY, FT_PAIR_REV_LAST))
		       << FT_PAIR_BACK;
}

#endif
