/* What a sandbox asks of the machine: its programs and its ports. See sandbox.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/cli/sandbox.h"

int sandbox_program(const char *name, char path[PATH_MAX], struct error *err)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return error_set_errno(err, errno, "reading /proc/self/exe");
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    if (sandbox_path(path, self, name, err))
        return -1;
    if (access(path, X_OK))
        return error_set_errno(err, errno, "%s is needed beside atoll: %s", name, path);
    return 0;
}

/* Binds and listens, as a server would; the bound port or 0. */
static int try_port(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, found = 0;
    if (fd < 0)
        return 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        found = ntohs(address.sin_port);
    close(fd);
    return found;
}

int sandbox_free_port(int wanted, int second, int not_this)
{
    if (wanted && wanted != not_this && try_port(wanted))
        return wanted;
    if (second && second != not_this && try_port(second))
        return second;
    int any = try_port(0);
    return any != not_this ? any : try_port(0);
}
