// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* See fake_maps.h. The prototypes are libbpf's. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_maps.h"
#include "fake_rows.h"

#define FIRST_FD     100000 /* closing one of those does nothing */
#define FD_OF_A_LINK (FIRST_FD + 1000)
#define MAX_ENTRIES  340 /* the history has 320 rows */
#define MORE	     16	 /* than an array should have */

int fuzz_access(const char *path, int mode);
int fuzz_lstat(const char *path, struct stat *ret);

struct fake_map {
	const struct fake_shape *was; /* how it was made */
	uint32_t type, key_size, value_size, max_entries;
	uint32_t n;
	uint8_t *key, *value; /* n rows; a per-CPU value is as long as all CPUs' */
	bool absent;
};

static struct fake_map map[FAKE_NMAPS];
static unsigned int cpus;
static struct {
	uint16_t at, calls; /* the call that fails; 0 none */
	int error;
} failure;
static uint8_t batch_size;

static bool percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH;
}

static bool array(const struct fake_map *m)
{
	return m->was->type == BPF_MAP_TYPE_ARRAY || m->was->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static size_t row_size(const struct fake_map *m)
{
	size_t size = (m->was->value_size + 7U) & ~7U;

	return percpu(m->was->type) ? size * cpus : size;
}

/* That there is room for. */
static uint32_t most_rows(const struct fake_map *m)
{
	uint32_t n = m->was->max_entries + (array(m) ? MORE : 0);

	return n < MAX_ENTRIES ? n : MAX_ENTRIES;
}

static uint8_t *value_at(const struct fake_map *m, uint32_t row)
{
	return m->value + row * row_size(m);
}

/* --- contents --- */

static void fill_row(struct fake_map *m, uint32_t row, enum fake_fill fill)
{
	size_t size = row_size(m);
	uint64_t noise = row * 0x9e3779b97f4a7c15ULL + m->was->value_size;

	memset(value_at(m, row), fill == FAKE_ONES ? 0xff : 0, size);
	memset(m->key + (size_t)row * m->was->key_size, 0, m->was->key_size);
	memcpy(m->key + (size_t)row * m->was->key_size, &row, sizeof(row));
	for (size_t at = 0; fill == FAKE_NOISE && at < size; at += sizeof(noise)) {
		noise = noise * 6364136223846793005ULL + 1442695040888963407ULL;
		memcpy(value_at(m, row) + at, &noise, sizeof(noise));
	}
	if (fill == FAKE_WORKING || m->was->always)
		fake_row(m - map, row, m->key + (size_t)row * m->was->key_size, value_at(m, row));
}

static void make_map(struct fake_map *m, const struct fake_shape *shape, enum fake_fill fill)
{
	uint32_t rows;

	*m = (struct fake_map){
		.key = m->key, /* memory is kept from one input to the next */
		.value = m->value,
		.was = shape,
		.type = shape->type,
		.key_size = shape->key_size,
		.value_size = shape->value_size,
		.max_entries = shape->max_entries,
		.n = shape->rows,
	};
	rows = most_rows(m);
	if (!m->key) {
		m->key = malloc((size_t)rows * shape->key_size);
		m->value = malloc(rows * (shape->value_size + 7UL) *
				  (percpu(shape->type) ? FAKE_MAX_CPUS : 1));
	}
	if (!m->key || !m->value)
		abort();
	for (uint32_t row = 0; row < rows; row++)
		fill_row(m, row, fill);
}

/* One change: 12 bytes of input. */
static void change(struct fuzz_in *in)
{
	struct fake_map *m = &map[fuzz_number(in, 1) % FAKE_NMAPS];
	uint32_t row = fuzz_number(in, 1), word = fuzz_number(in, 1);
	uint8_t what = fuzz_number(in, 1);
	uint64_t value = fuzz_number(in, 8);
	size_t size = row_size(m);
	uint32_t rows = most_rows(m);

	row %= rows;
	switch (what & 7) {
	case 0: /* a word of a row: the commonest */
	case 1:
	case 2:
		memcpy(value_at(m, row) + word * 8UL % size, &value, 8);
		break;
	case 3: /* a byte of it */
		value_at(m, row)[(word | (what >> 3) << 8) % size] = (uint8_t)value;
		break;
	case 4: /* all of it */
		for (size_t at = 0; at < size; at += 8)
			memcpy(value_at(m, row) + at, &value, 8);
		break;
	case 5: /* its key */
		memcpy(m->key + (size_t)row * m->was->key_size + word % (m->was->key_size - 3),
		       &value, 4);
		break;
	case 6: /* how many there are */
		m->n = value % (rows + 1);
		m->absent = what == 0xfe;
		break;
	default: /* its shape */
		*(&m->type + word % 4) = (uint32_t)(value % (word % 4 == 3 ? UINT32_MAX : 65536));
	}
}

void fake_maps(struct fuzz_in *in)
{
	enum fake_fill fill = fuzz_number(in, 1) % FAKE_NFILLS;
	static const int errors[] = {ENOENT, EPERM, ENOMEM, E2BIG, EBUSY, ENOSPC, EINVAL, EAGAIN};

	cpus = fuzz_number(in, 1) % FAKE_MAX_CPUS + 1;
	batch_size = fuzz_number(in, 1);
	failure.error = errors[fuzz_number(in, 1) & 7];
	failure.at = fuzz_number(in, 2);
	failure.calls = 0;
	for (int i = 0; i < FAKE_NMAPS; i++)
		make_map(&map[i], &fake_shapes[i], fill);
	while (in->left >= 12)
		change(in);
}

int fake_map_fd(const char *name)
{
	for (int i = 0; i < FAKE_NMAPS; i++)
		if (!strcmp(fake_shapes[i].name, name) && !map[i].absent)
			return FIRST_FD + i;
	return -1;
}

int fake_map_own(const char *name)
{
	struct fake_map *m = map;

	while (strcmp(m->was->name, name))
		m++;
	m->type = m->was->type;
	m->key_size = m->was->key_size;
	m->value_size = m->was->value_size;
	m->absent = false;
	return FIRST_FD + (int)(m - map);
}

unsigned int fake_cpus(void)
{
	return cpus;
}

/* --- the calls --- */

static int fail(int error)
{
	errno = error;
	return -error;
}

static bool fails(void)
{
	return failure.at && ++failure.calls == failure.at;
}

static struct fake_map *map_of(int fd)
{
	return fd >= FIRST_FD && fd < FIRST_FD + FAKE_NMAPS ? &map[fd - FIRST_FD] : NULL;
}

static int find(const struct fake_map *m, const void *key)
{
	uint32_t index;

	memcpy(&index, key, sizeof(index));
	if (array(m))
		return index < m->n ? (int)index : -1;
	for (uint32_t row = 0; row < m->n; row++)
		if (!memcmp(m->key + (size_t)row * m->was->key_size, key, m->was->key_size))
			return (int)row;
	return -1;
}

/* As many bytes as the shape says. */
static void copy_value(const struct fake_map *m, uint32_t row, void *ret)
{
	size_t have = row_size(m), size = m->value_size;

	if (percpu(m->type))
		size = ((size + 7) & ~(size_t)7) * cpus;
	memset(ret, 0x5a, size);
	memcpy(ret, value_at(m, row), size < have ? size : have);
}

static void copy_key(const struct fake_map *m, uint32_t row, void *ret)
{
	size_t have = m->was->key_size, size = m->key_size;

	memset(ret, 0x5a, size);
	memcpy(ret, m->key + row * have, size < have ? size : have);
}

int libbpf_num_possible_cpus(void)
{
	return (int)cpus;
}

int bpf_obj_get(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	int fd = fake_map_fd(name);

	if (fails())
		return fail(failure.error);
	if (!strncmp(name, "link_", 5))
		return FD_OF_A_LINK + name[5];
	return fd < 0 ? fail(ENOENT) : fd;
}

int bpf_obj_pin(int fd, const char *path)
{
	(void)fd;
	(void)path;
	return fail(EPERM);
}

int fuzz_access(const char *path, int mode)
{
	const char *name = strrchr(path, '/') + 1;

	(void)mode;
	return strncmp(name, "link_", 5) && fake_map_fd(name) < 0 ? -1 : 0;
}

/* A directory of ours alone. */
int fuzz_lstat(const char *path, struct stat *ret)
{
	(void)path;
	*ret = (struct stat){.st_mode = S_IFDIR | 0700};
	return 0;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *info_len)
{
	const struct fake_map *m = map_of(fd);
	struct bpf_map_info *ret = info;

	if (!m || fails())
		return fail(failure.error);
	FUZZ_CHECK(*info_len == sizeof(*ret), "%u bytes", *info_len);
	memset(ret, 0, sizeof(*ret));
	ret->type = m->type;
	ret->key_size = m->key_size;
	ret->value_size = m->value_size;
	ret->max_entries = m->max_entries;
	return 0;
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	const struct fake_map *m = map_of(fd);
	int row = m ? find(m, key) : -1;

	if (!m || fails())
		return fail(m ? failure.error : EBADF);
	if (row < 0)
		return fail(ENOENT);
	copy_value(m, (uint32_t)row, value);
	return 0;
}

/* The kernel remembers its place in in_batch, and says ENOENT with the last entries. */
int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values,
			 __u32 *count, const struct bpf_map_batch_opts *opts)
{
	const struct fake_map *m = map_of(fd);
	uint32_t from = 0, n;

	(void)opts;
	if (!m || fails())
		return fail(m ? failure.error : EBADF);
	if (in_batch)
		memcpy(&from, in_batch, sizeof(from));
	n = m->n > from ? m->n - from : 0;
	if (batch_size && n > batch_size)
		n = batch_size;
	if (n > *count)
		n = *count;
	for (uint32_t i = 0; i < n; i++) {
		copy_key(m, from + i, (char *)keys + (size_t)i * m->key_size);
		copy_value(m, from + i, (char *)values + (size_t)i * m->value_size);
	}
	*count = n;
	from += n;
	memcpy(out_batch, &from, sizeof(from));
	return from < m->n ? 0 : fail(ENOENT);
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	struct fake_map *m = map_of(fd);
	int row = m ? find(m, key) : -1;

	(void)flags;
	if (!m || fails())
		return fail(m ? failure.error : EBADF);
	if (row < 0 && (array(m) || m->n >= MAX_ENTRIES || m->n >= m->was->max_entries))
		return fail(E2BIG);
	if (row < 0) {
		row = (int)m->n++;
		memcpy(m->key + (size_t)row * m->was->key_size, key, m->was->key_size);
	}
	if (!percpu(m->was->type))
		memcpy(value_at(m, (uint32_t)row), value, m->was->value_size);
	return 0;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	struct fake_map *m = map_of(fd);
	int row = m ? find(m, key) : -1;

	if (!m || fails())
		return fail(m ? failure.error : EBADF);
	if (row < 0 || array(m))
		return fail(ENOENT);
	m->n--;
	memcpy(m->key + (size_t)row * m->was->key_size, m->key + (size_t)m->n * m->was->key_size,
	       m->was->key_size);
	memcpy(value_at(m, (uint32_t)row), value_at(m, m->n), row_size(m));
	return 0;
}

/* Two walks write: they give the rows of "dump" and "holders"; a file may end within one. */
int bpf_iter_create(int link_fd)
{
	const struct fake_map *m =
		map_of(fake_map_fd(link_fd == FD_OF_A_LINK + 'd' ? "dump" : "holders"));
	int fd;

	if (fails())
		return fail(failure.error);
	fd = memfd_create("dump", MFD_CLOEXEC);
	if (fd < 0)
		abort();
	if (m && (link_fd == FD_OF_A_LINK + 'd' || link_fd == FD_OF_A_LINK + 'h') && m->n) {
		size_t size = m->n * row_size(m) - (batch_size & 1 ? 7 : 0);

		if (write(fd, m->value, size) != (ssize_t)size)
			abort();
		lseek(fd, 0, SEEK_SET);
	}
	return fd;
}
