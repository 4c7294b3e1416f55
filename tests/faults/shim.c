/* LD_PRELOAD: a program's syncs and clock, as files in the folder $FAULTS say, each while it exists:
 *
 *     sync_slow_ms          fsync and fdatasync take so many milliseconds, as on a worn card
 *     sync_fails            they fail with EIO
 *     sync_lies             they report success and do nothing, as cheap cards do
 *     clock_offset_s        the wall clock is off by so many seconds
 *     clock_unsynchronized  1: the kernel says that nothing keeps the clock (adjtimex); 0: that something does
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int fault(const char *name, long long *value) {
    const char *folder = getenv("FAULTS");
    char path[PATH_MAX];
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    if (value && fscanf(file, "%lld", value) != 1) *value = 0;
    fclose(file);
    return 1;
}

static int synced(int number, int file) {
    long long ms = 0;
    int kept = errno;
    if (fault("sync_slow_ms", &ms)) {
        struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
        nanosleep(&pause, 0);
    }
    if (fault("sync_fails", 0)) return errno = EIO, -1;
    errno = kept;
    return fault("sync_lies", 0) ? 0 : syscall(number, file);
}
int fsync(int file) { return synced(SYS_fsync, file); }
int fdatasync(int file) { return synced(SYS_fdatasync, file); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    long long offset = 0;
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && fault("clock_offset_s", &offset))
        now->tv_sec += offset;
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    return now ? (*now = exact.tv_sec) : exact.tv_sec;
}
int adjtimex(struct timex *status) {
    long long unsynchronized = 1;
    int result = syscall(SYS_adjtimex, status);
    if (fault("clock_unsynchronized", &unsynchronized)) {
        status->maxerror = unsynchronized ? 16000000 : 1000;
        return unsynchronized ? 5 /* TIME_ERROR */ : 0;
    }
    return result;
}
