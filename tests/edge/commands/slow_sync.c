/* LD_PRELOAD: fsync and fdatasync take $SLOW_MS milliseconds, as on a worn card, once the file $SLOW_FLAG exists. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void slowly(void) {
    const char *flag = getenv("SLOW_FLAG"), *text = getenv("SLOW_MS");
    if (!flag || !text || access(flag, F_OK)) return;
    long ms = atol(text);
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&pause, 0);
}
int fsync(int file) { slowly(); return syscall(SYS_fsync, file); }
int fdatasync(int file) { slowly(); return syscall(SYS_fdatasync, file); }
