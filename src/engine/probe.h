/*
 * probe.h - static probes (USDT) for bpftrace, perf and systemtap: a no-op, and a note with its address. None if
 * <sys/sdt.h> was missing at build time.
 *
 *   sample (address, size)      a block has been sampled
 *   refill (class, size)        a magazine was empty
 *   purge (address, bytes)      memory is purged
 *   fault (address)             a program has misused the heap
 */
#pragma once

#if defined(__has_include) && __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PROBE_1(name, a) DTRACE_PROBE1(mems, name, a)
#define PROBE_2(name, a, b) DTRACE_PROBE2(mems, name, a, b)
#else
#define PROBE_1(name, a) ((void)(a))
#define PROBE_2(name, a, b) ((void)(a), (void)(b))
#endif
