/* SPDX-License-Identifier: GPL-2.0 */
/* Who runs now. Meaningful in process context only: connect() and listen(). */
#ifndef FT_OWNER_BPF_H
#define FT_OWNER_BPF_H

/* The kernel's own connections (NFS, SMB, Ceph) are made by whichever of its workers is free, and
 * each has its own name: kworker/u8:3. One name for all, or each would be a hop of its own. */
static __always_inline void join_workers(char comm[FT_COMM_LEN])
{
	static const char worker[] = "kworker/";
	__u64 *name = (__u64 *)comm, prefix;

	__builtin_memcpy(&prefix, worker, sizeof(prefix));
	if (name[0] != prefix)
		return;
	comm[7] = 0;
	name[1] = 0;
}

/* The process, not its thread; needs bpf_get_current_task_btf (tracing programs >= 5.11). */
static __always_inline void leader_comm(char comm[FT_COMM_LEN])
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;
	__u64 *to = (__u64 *)comm;

	to[0] = *(__u64 *)&leader->comm[0];
	to[1] = *(__u64 *)&leader->comm[8];
}

#endif
