/* A wall clock that a test can set: preloaded into a program, it adds the offset that a file holds to CLOCK_REALTIME.
 *
 * Programs read clocks without a system call, from code that the kernel maps into each of them (vdso(7)), and not all
 * of them ask the C library. So the code itself is changed, at its entry: it jumps here, and here the kernel is asked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ENTRY "__vdso_clock_gettime"
/* jmp *0(%rip), then the address. */
static const unsigned char JUMP[] = {0xff, 0x25, 0, 0, 0, 0};
#elif defined(__aarch64__)
#define ENTRY "__kernel_clock_gettime"
/* ldr x16, #8; br x16; then the address. */
static const unsigned char JUMP[] = {0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6};
#else
#error "no jump is known for this machine"
#endif

/* Seconds, little-endian, in a file that the test writes to. */
static volatile int64_t *offset;

/* Without the C library's wrapper, which would come back to here, and without errno. */
static long ask(clockid_t clock, struct timespec *time) {
    long result;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_clock_gettime), "D"(clock), "S"(time) : "rcx", "r11", "memory");
#else
    register long x8 __asm__("x8") = SYS_clock_gettime;
    register long x0 __asm__("x0") = clock;
    register long x1 __asm__("x1") = (long)time;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
    result = x0;
#endif
    return result;
}

static int clock_gettime_here(clockid_t clock, struct timespec *time) {
    long result = ask(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *offset;
    return (int)result;
}

static void fail(const char *what) {
    perror(what);
    _exit(99);
}

__attribute__((constructor)) static void take_over(void) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) fail("WALL_CLOCK_OFFSET");
    offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (offset == MAP_FAILED) fail("mmap");
    close(file);

    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    unsigned char *entry = vdso ? dlsym(vdso, ENTRY) : NULL;
    if (!entry) fail("no " ENTRY);
    long page = sysconf(_SC_PAGESIZE);
    unsigned char *first = (unsigned char *)((uintptr_t)entry & ~((uintptr_t)page - 1));
    /* The code may go over the end of its page. */
    if (mprotect(first, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0
        && mprotect(first, page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) fail("mprotect");
    void *here = (void *)clock_gettime_here;
    memcpy(entry, JUMP, sizeof JUMP);
    memcpy(entry + sizeof JUMP, &here, sizeof here);
    __builtin___clear_cache((char *)entry, (char *)entry + sizeof JUMP + sizeof here);
}
