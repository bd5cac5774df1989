/* SPDX-License-Identifier: GPL-2.0 */
/* Listening sockets: their ports tell accepted flows from made ones, their owners name accept
 * hops. Rare work; nothing here is on the path of a connection. */
#ifndef FT_LISTEN_BPF_H
#define FT_LISTEN_BPF_H

static __always_inline __u64 inode_of(struct sock *sk)
{
	struct socket *socket = sk->sk_socket;
	struct file *file = socket ? socket->file : NULL;
	struct inode *inode = file ? file->f_inode : NULL;

	return inode ? inode->i_ino : 0;
}

static __always_inline void remember_listener(const struct event *ev, struct ft_listener *l)
{
	struct ft_port_key port_key = {};
	struct ft_port port = {};
	struct ft_flow f = {};

	common_tuple(&ev->sk->__sk_common, ev->netns, &f);
	if (!f.lport) /* listen() without bind(): the scan will see the port */
		return;
	l->port = port_key.port = f.lport;
	l->netns = port_key.netns = f.netns;
	l->inode = inode_of(ev->sk);
	l->hop = FT_NO_HOP;
	__builtin_memcpy(l->addr, f.laddr, sizeof(l->addr));
	__builtin_memcpy(port_key.addr, f.laddr, sizeof(port_key.addr));
	__builtin_memcpy(port.comm, l->comm, sizeof(port.comm));
	/* What the scan finds (no comm) must not erase an owner that we know. */
	if (bpf_map_update_elem(&ft_listeners, &ev->key, l, l->pid ? BPF_ANY : BPF_NOEXIST) == -7)
		count_loss(FT_LOSS_LISTENERS_FULL);
	if (bpf_map_update_elem(&ft_ports, &port_key, &port, l->pid ? BPF_ANY : BPF_NOEXIST) == -7)
		count_loss(FT_LOSS_LISTENERS_FULL);
}

static __always_inline void listener_changed(const struct event *ev)
{
	struct ft_listener l = {};

	if (ev->new != FT_LISTEN) {
		bpf_map_delete_elem(&ft_listeners, &ev->key);
		return;
	}
	l.pid = bpf_get_current_pid_tgid() >> 32;
	current_comm(l.comm);
	remember_listener(ev, &l);
}

#endif
