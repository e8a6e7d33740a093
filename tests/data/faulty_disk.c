/* Stands between a program and its disk (LD_PRELOAD): what the file $FAULTY_DISK says happens to whoever waits for
 * data to be on disk. "hold": it waits until the file says something else. "fail": an error of the device. "full": no
 * room. Anything else: nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fault(void) {
    const char *path = getenv("FAULTY_DISK");
    char word[8];
    for (;;) {
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t length = file < 0 ? 0 : read(file, word, sizeof word - 1);
        if (file >= 0)
            close(file);
        word[length > 0 ? length : 0] = 0;
        if (strcmp(word, "hold") != 0)
            break;
        usleep(10000);
    }
    return strcmp(word, "fail") == 0 ? EIO : strcmp(word, "full") == 0 ? ENOSPC : 0;
}

#define STANDS_BEFORE(name)                                     \
    int name(int file) {                                        \
        static int (*real)(int);                                \
        if (!real)                                              \
            real = (int (*)(int))dlsym(RTLD_NEXT, #name);       \
        int error = fault();                                    \
        if (error) {                                            \
            errno = error;                                      \
            return -1;                                          \
        }                                                       \
        return real(file);                                      \
    }

STANDS_BEFORE(fdatasync)
STANDS_BEFORE(fsync)
