/* A USB stick that does what it is told: a FUSE file system over a folder, with faults that files in a folder switch on.
 *
 *     stick LIVE MOUNT FAULTS [PLATTER]
 *
 * LIVE holds what programs see. PLATTER, where given, holds what a power cut leaves: names at once, the bytes of a file
 * as they were when it was last synced. Faults, each while FAULTS/NAME exists:
 *
 *     unplugged     every operation fails with EIO
 *     no_folder_sync   fsync of a folder fails with EINVAL, as some FUSE and network file systems have it
 *     sync_fails    fsync of a file fails with EIO
 *     sync_lies     fsync of a file reports success, and nothing reaches PLATTER
 *     slow_ms       every fsync takes so many milliseconds (the number is in the file)
 *     entries       a folder takes so many entries, and then ENOSPC, as FAT32 has it
 *     no_replace    rename to a name that exists fails with EEXIST
 *
 * It speaks the kernel's protocol itself (linux/fuse.h), so that no library is needed; mounting needs root. Like FAT it
 * has no links, and no names with characters that FAT forbids. One request at a time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST_WRITTEN (128 * 1024)
static const char *live, *faults, *platter, *point;
static char **nodes; /* path of each node below `live`, by number; NULL once it was deleted */
static size_t node_count, node_room;
static int fuse;

/* --- faults -------------------------------------------------------------------------------------------------- */

static int fault(const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", faults, name);
    return access(path, F_OK) == 0;
}

static long number(const char *name, long otherwise) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", faults, name);
    FILE *file = fopen(path, "r");
    if (!file) return otherwise;
    if (fscanf(file, "%ld", &otherwise) != 1) otherwise = 0;
    fclose(file);
    return otherwise;
}

static void take_time(void) {
    long ms = number("slow_ms", 0);
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
    if (ms) nanosleep(&pause, NULL);
}

static int full(const char *path) {
    long most = number("entries", -1), found = 0;
    if (most < 0) return 0;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    DIR *open_folder = opendir(folder);
    if (!open_folder) return 0;
    for (struct dirent *entry; (entry = readdir(open_folder));)
        found += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(open_folder);
    return found >= most;
}

/* --- nodes and paths ----------------------------------------------------------------------------------------- */

static uint64_t node_of(const char *path) {
    for (size_t n = 1; n < node_count; n++)
        if (nodes[n] && !strcmp(nodes[n], path)) return n;
    if (node_count == node_room) nodes = realloc(nodes, (node_room = 2 * node_room + 64) * sizeof *nodes);
    nodes[node_count] = strdup(path);
    return node_count++;
}

static void forget_path(const char *path) {
    for (size_t n = 2; n < node_count; n++)
        if (nodes[n] && !strcmp(nodes[n], path)) free(nodes[n]), nodes[n] = NULL;
}

static void move_paths(const char *from, const char *to) {
    size_t length = strlen(from);
    forget_path(to);
    for (size_t n = 2; n < node_count; n++) {
        if (!nodes[n] || strncmp(nodes[n], from, length) || (nodes[n][length] && nodes[n][length] != '/')) continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", to, nodes[n] + length);
        free(nodes[n]);
        nodes[n] = strdup(path);
    }
}

static const char *in(const char *root, const char *path, char *into) {
    snprintf(into, PATH_MAX, "%s%s", root, path);
    return into;
}

static int child(uint64_t node, const char *name, char *into) {
    if (node >= node_count || !nodes[node]) return -ENOENT;
    snprintf(into, PATH_MAX, "%s/%s", nodes[node], name);
    return strpbrk(name, "<>:\"|?*\\") ? -EINVAL : 0;
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static void answer(uint64_t unique, int error, const void *data, size_t size) {
    struct fuse_out_header head = {sizeof head + (error ? 0 : size), error, unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)data, error ? 0 : size}};
    if (writev(fuse, parts, 2) < 0 && errno != ENOENT) _exit(3); /* ENOENT: whoever asked was killed */
}

static void attributes(const struct stat *found, uint64_t node, struct fuse_attr *into) {
    memset(into, 0, sizeof *into);
    into->ino = node;
    into->size = found->st_size;
    into->blocks = found->st_blocks;
    into->atime = found->st_atim.tv_sec, into->atimensec = found->st_atim.tv_nsec;
    into->mtime = found->st_mtim.tv_sec, into->mtimensec = found->st_mtim.tv_nsec;
    into->ctime = found->st_ctim.tv_sec, into->ctimensec = found->st_ctim.tv_nsec;
    into->mode = (found->st_mode & S_IFMT) | 0777; /* as FAT with umask=000 */
    into->nlink = found->st_nlink;
    into->uid = found->st_uid, into->gid = found->st_gid;
    into->blksize = 4096;
}

static int entry(const char *path, struct fuse_entry_out *into) {
    struct stat found;
    char real[PATH_MAX];
    if (lstat(in(live, path, real), &found)) return -errno;
    memset(into, 0, sizeof *into);
    into->nodeid = node_of(path);
    into->generation = 1;
    attributes(&found, into->nodeid, &into->attr);
    return 0;
}

/* --- the platter --------------------------------------------------------------------------------------------- */

static void to_platter(const char *path, int from) {
    char real[PATH_MAX], data[1 << 16];
    if (!platter || fault("sync_lies")) return;
    int to = open(in(platter, path, real), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    for (off_t at = 0; to >= 0;) {
        ssize_t read_ = pread(from, data, sizeof data, at);
        if (read_ <= 0 || pwrite(to, data, read_, at) != read_) break;
        at += read_;
    }
    if (to >= 0) close(to);
}

static void empty_on_platter(const char *path) {
    char real[PATH_MAX];
    if (!platter) return;
    int made = open(in(platter, path, real), O_WRONLY | O_CREAT, 0644);
    if (made >= 0) close(made);
}

static int both(int (*act)(const char *), const char *path) {
    char real[PATH_MAX];
    if (act(in(live, path, real))) return -errno;
    if (platter) act(in(platter, path, real));
    return 0;
}

static int make_folder(const char *path) { return mkdir(path, 0755); }

/* Flags for the file behind one that is opened: readable too, since it is read when it is synced. */
static int flags_of(int wanted) {
    int flags = wanted & ~(O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_DIRECT);
    return (flags & O_ACCMODE) == O_WRONLY ? (flags & ~O_ACCMODE) | O_RDWR : flags;
}

/* --- requests ------------------------------------------------------------------------------------------------ */

static int rename_(uint64_t node, uint64_t new_node, const char *names) {
    char from[PATH_MAX], to[PATH_MAX], real_from[PATH_MAX], real_to[PATH_MAX];
    int error = child(node, names, from);
    if (!error) error = child(new_node, names + strlen(names) + 1, to);
    if (error) return error;
    in(live, from, real_from), in(live, to, real_to);
    if (fault("no_replace") && access(real_to, F_OK) == 0) return -EEXIST;
    if (access(real_to, F_OK) && full(real_to)) return -ENOSPC;
    if (rename(real_from, real_to)) return -errno;
    if (platter) rename(in(platter, from, real_from), in(platter, to, real_to));
    move_paths(from, to);
    return 0;
}

static void set_attributes(const struct fuse_in_header *head, const struct fuse_setattr_in *wanted) {
    struct fuse_attr_out out = {0};
    struct stat found;
    char real[PATH_MAX];
    int error = 0;
    if (!nodes[head->nodeid] && !(wanted->valid & FATTR_FH)) error = -ENOENT;
    else if (wanted->valid & FATTR_SIZE) {
        if (wanted->valid & FATTR_FH) error = ftruncate(wanted->fh, wanted->size) ? -errno : 0;
        else error = truncate(in(live, nodes[head->nodeid], real), wanted->size) ? -errno : 0;
    } else if (wanted->valid & (FATTR_UID | FATTR_GID)) error = -EPERM;
    if (!error && (wanted->valid & FATTR_FH ? fstat(wanted->fh, &found) : lstat(in(live, nodes[head->nodeid], real), &found)))
        error = -errno;
    if (!error) attributes(&found, head->nodeid, &out.attr);
    answer(head->unique, error, &out, sizeof out);
}

static void list(const struct fuse_in_header *head, const struct fuse_read_in *wanted) {
    static char into[1 << 17];
    DIR *folder = (DIR *)(uintptr_t)wanted->fh;
    size_t used = 0;
    seekdir(folder, wanted->offset);
    for (struct dirent *found; (found = readdir(folder));) {
        size_t length = strlen(found->d_name), size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
        if (used + size > wanted->size || used + size > sizeof into) break;
        struct fuse_dirent *put = (struct fuse_dirent *)(into + used);
        memset(put, 0, size);
        put->ino = found->d_ino, put->off = telldir(folder), put->namelen = length, put->type = found->d_type;
        memcpy(put->name, found->d_name, length);
        used += size;
    }
    answer(head->unique, 0, into, used);
}

static void serve(const struct fuse_in_header *head, const void *body) {
    static char data[MOST_WRITTEN + 4096];
    char path[PATH_MAX], real[PATH_MAX];
    struct stat found;
    int error, file;
    if (head->opcode != FUSE_INIT && head->opcode != FUSE_RELEASE && head->opcode != FUSE_RELEASEDIR &&
        head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET && fault("unplugged")) {
        answer(head->unique, -EIO, NULL, 0);
        return;
    }
    switch (head->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 1 << 17,
                                    .flags = FUSE_BIG_WRITES, .max_write = MOST_WRITTEN, .time_gran = 1};
        answer(head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out out;
        error = child(head->nodeid, body, path);
        answer(head->unique, error ? -ENOENT : entry(path, &out), &out, sizeof out);
        break;
    }
    case FUSE_GETATTR: {
        const struct fuse_getattr_in *wanted = body;
        struct fuse_attr_out out = {0};
        if (wanted->getattr_flags & FUSE_GETATTR_FH) error = fstat(wanted->fh, &found) ? -errno : 0;
        else if (!nodes[head->nodeid]) error = -ENOENT;
        else error = lstat(in(live, nodes[head->nodeid], real), &found) ? -errno : 0;
        if (!error) attributes(&found, head->nodeid, &out.attr);
        answer(head->unique, error, &out, sizeof out);
        break;
    }
    case FUSE_SETATTR: set_attributes(head, body); break;
    case FUSE_MKDIR: {
        struct fuse_entry_out out;
        error = child(head->nodeid, (const char *)body + sizeof(struct fuse_mkdir_in), path);
        if (!error && full(in(live, path, real))) error = -ENOSPC;
        if (!error) error = both(make_folder, path);
        if (!error) error = entry(path, &out);
        answer(head->unique, error, &out, sizeof out);
        break;
    }
    case FUSE_UNLINK:
    case FUSE_RMDIR:
        error = child(head->nodeid, body, path);
        if (!error) error = both(head->opcode == FUSE_RMDIR ? rmdir : unlink, path);
        if (!error) forget_path(path);
        answer(head->unique, error, NULL, 0);
        break;
    case FUSE_RENAME:
        error = rename_(head->nodeid, ((const struct fuse_rename_in *)body)->newdir,
                        (const char *)body + sizeof(struct fuse_rename_in));
        answer(head->unique, error, NULL, 0);
        break;
    case FUSE_RENAME2: {
        const struct fuse_rename2_in *wanted = body;
        error = wanted->flags ? -EINVAL : rename_(head->nodeid, wanted->newdir, (const char *)(wanted + 1));
        answer(head->unique, error, NULL, 0);
        break;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {0};
        int flags = flags_of(((const struct fuse_open_in *)body)->flags);
        file = nodes[head->nodeid] ? open(in(live, nodes[head->nodeid], real), flags) : (errno = ENOENT, -1);
        out.fh = file;
        answer(head->unique, file < 0 ? -errno : 0, &out, sizeof out);
        break;
    }
    case FUSE_CREATE: {
        struct { struct fuse_entry_out entry; struct fuse_open_out open; } out = {0};
        const struct fuse_create_in *wanted = body;
        error = child(head->nodeid, (const char *)(wanted + 1), path);
        if (!error && access(in(live, path, real), F_OK) && full(real)) error = -ENOSPC;
        if (!error) {
            file = open(in(live, path, real), flags_of(wanted->flags) | O_CREAT | (wanted->flags & O_EXCL), 0644);
            error = file < 0 ? -errno : entry(path, &out.entry);
            out.open.fh = file;
            if (!error) empty_on_platter(path);
        }
        answer(head->unique, error, &out, sizeof out);
        break;
    }
    case FUSE_READ: {
        const struct fuse_read_in *wanted = body;
        ssize_t got = pread(wanted->fh, data, wanted->size < sizeof data ? wanted->size : sizeof data, wanted->offset);
        answer(head->unique, got < 0 ? -errno : 0, data, got < 0 ? 0 : got);
        break;
    }
    case FUSE_WRITE: {
        const struct fuse_write_in *wanted = body;
        ssize_t put = pwrite(wanted->fh, wanted + 1, wanted->size, wanted->offset);
        struct fuse_write_out out = {.size = put < 0 ? 0 : put};
        answer(head->unique, put < 0 ? -errno : 0, &out, sizeof out);
        break;
    }
    case FUSE_STATFS: {
        struct statvfs has;
        struct fuse_statfs_out out = {0};
        error = statvfs(live, &has) ? -errno : 0;
        out.st.blocks = has.f_blocks, out.st.bfree = has.f_bfree, out.st.bavail = has.f_bavail;
        out.st.files = has.f_files, out.st.ffree = has.f_ffree;
        out.st.bsize = has.f_bsize, out.st.frsize = has.f_frsize, out.st.namelen = 255;
        answer(head->unique, error, &out, sizeof out);
        break;
    }
    case FUSE_FSYNC: {
        const struct fuse_fsync_in *wanted = body;
        take_time();
        error = fault("sync_fails") ? -EIO : 0;
        if (!error && nodes[head->nodeid]) to_platter(nodes[head->nodeid], wanted->fh);
        answer(head->unique, error, NULL, 0);
        break;
    }
    case FUSE_FSYNCDIR:
        take_time();
        answer(head->unique, fault("no_folder_sync") ? -EINVAL : 0, NULL, 0);
        break;
    case FUSE_OPENDIR: {
        struct fuse_open_out out = {0};
        DIR *folder = nodes[head->nodeid] ? opendir(in(live, nodes[head->nodeid], real)) : (errno = ENOENT, NULL);
        out.fh = (uintptr_t)folder;
        answer(head->unique, folder ? 0 : -errno, &out, sizeof out);
        break;
    }
    case FUSE_READDIR: list(head, body); break;
    case FUSE_RELEASEDIR:
        closedir((DIR *)(uintptr_t)((const struct fuse_release_in *)body)->fh);
        answer(head->unique, 0, NULL, 0);
        break;
    case FUSE_RELEASE:
        close(((const struct fuse_release_in *)body)->fh);
        answer(head->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH: answer(head->unique, 0, NULL, 0); break;
    case FUSE_SYMLINK:
    case FUSE_LINK: answer(head->unique, -EPERM, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* no answer is expected */
    default: answer(head->unique, -ENOSYS, NULL, 0);
    }
}

static void leave(int signal_number) { /* whoever started it has ended: no mount that nobody serves stays */
    (void)signal_number;
    umount2(point, MNT_DETACH);
    _exit(0);
}

int main(int count, char **words) {
    static char buffer[MOST_WRITTEN + 8192];
    char options[128];
    if (count < 4) return 2;
    live = words[1], point = words[2], faults = words[3], platter = count > 4 ? words[4] : NULL;
    node_of("");
    free(nodes[0]), nodes[0] = NULL; /* numbers begin with 1, the root */
    node_of("");
    fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=40755,user_id=%d,group_id=%d,allow_other,default_permissions", fuse,
             getuid(), getgid());
    if (fuse < 0 || mount("stick", words[2], "fuse.stick", MS_NOSUID | MS_NODEV, options)) {
        fprintf(stderr, "%s: %s\n", words[2], strerror(errno));
        return 1;
    }
    signal(SIGTERM, leave);
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    puts("mounted");
    fflush(stdout);
    for (;;) {
        ssize_t size = read(fuse, buffer, sizeof buffer);
        if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
        if (size < (ssize_t)sizeof(struct fuse_in_header)) return 0; /* ENODEV: it was unmounted */
        serve((const struct fuse_in_header *)buffer, buffer + sizeof(struct fuse_in_header));
    }
}
