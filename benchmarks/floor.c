/*
 * The kernel's floor: the least work that any server of this kind can do.
 *
 * One source in, the same bytes out to every listener by non-blocking send() once per flush interval, from one ring,
 * with one listener head. No stats, no limits, no formats, no ICY, no time-outs: what is left is the cost of the
 * system calls and of TCP itself. It is a yardstick for benchmarks and nothing else.
 *
 * Usage: floor FLUSH_MS BURST_BYTES     prints its port (127.0.0.1) as the first line of standard output.
 *
 * Invariant: positions are absolute offsets; a listener never falls more than the ring's size behind (else closed).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING (1 << 20)
#define MAX_LISTENERS 20000
#define MAX_HEAD 4096
#define MAX_FD 65536

struct listener { int fd; uint64_t position; };
struct pending { int used; char data[MAX_HEAD]; };

static char ring[RING];
static uint64_t head_offset;
static uint64_t burst;
static struct listener listeners[MAX_LISTENERS];
static int listener_count;
static struct pending *pending_of[MAX_FD];
static int source_fd = -1;
static int epoll_fd;

static const char LISTENER_HEAD[] =
    "HTTP/1.0 200 OK\r\nServer: floor\r\nConnection: Close\r\nDate: Sat, 22 Nov 2025 07:00:05 GMT\r\n"
    "Content-Type: audio/mpeg\r\nCache-Control: no-cache, no-store\r\nExpires: Mon, 26 Jul 1997 05:00:00 GMT\r\n"
    "Pragma: no-cache\r\nAccess-Control-Allow-Origin: *\r\nicy-br:128\r\n"
    "ice-audio-info: bitrate=128;channels=2;samplerate=44100\r\nicy-name:Benchmark\r\nicy-pub:0\r\n\r\n";
static const char SOURCE_REPLY[] = "HTTP/1.0 200 OK\r\n\r\n";

static void die(const char *what) { perror(what); exit(1); }

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void append(const char *data, size_t size)
{
    while (size > 0) {
        size_t at = head_offset % RING, room = RING - at, part = size < room ? size : room;
        memcpy(ring + at, data, part);
        head_offset += part; data += part; size -= part;
    }
}

/* Sends all that the listener lacks; 0 when it is to be closed. A partial write just moves the position. */
static int push(struct listener *it)
{
    if (head_offset - it->position > RING) return 0;
    while (it->position < head_offset) {
        size_t at = it->position % RING, room = RING - at, want = head_offset - it->position;
        size_t part = want < room ? want : room;
        ssize_t sent = send(it->fd, ring + at, part, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        it->position += (uint64_t)sent;
        if ((size_t)sent < part) break;
    }
    return 1;
}

static void push_all(void)
{
    for (int i = 0; i < listener_count;) {
        if (push(&listeners[i])) { i++; continue; }
        close(listeners[i].fd);
        listeners[i] = listeners[--listener_count];
    }
}

static void forget(int fd) { free(pending_of[fd]); pending_of[fd] = NULL; }

static void drop(int fd)
{
    if (fd == source_fd) source_fd = -1;
    forget(fd);
    close(fd);
}

static void become_source(int fd, const char *rest, size_t size)
{
    if (send(fd, SOURCE_REPLY, sizeof SOURCE_REPLY - 1, MSG_NOSIGNAL) < 0) { drop(fd); return; }
    source_fd = fd;
    append(rest, size);
    forget(fd);
}

static void become_listener(int fd)
{
    forget(fd);
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    if (listener_count == MAX_LISTENERS || send(fd, LISTENER_HEAD, sizeof LISTENER_HEAD - 1, MSG_NOSIGNAL) < 0) {
        close(fd);
        return;
    }
    struct listener *it = &listeners[listener_count];
    it->fd = fd;
    it->position = head_offset > burst ? head_offset - burst : 0;
    if (push(it)) listener_count++; else close(fd);
}

static void read_head(int fd)
{
    struct pending *it = pending_of[fd];
    ssize_t got = recv(fd, it->data + it->used, (size_t)(MAX_HEAD - 1 - it->used), MSG_DONTWAIT);
    if (got <= 0) { if (got == 0 || errno != EAGAIN) drop(fd); return; }
    it->used += (int)got;
    it->data[it->used] = 0;
    char *end = memmem(it->data, (size_t)it->used, "\r\n\r\n", 4);
    if (end == NULL) { if (it->used >= MAX_HEAD - 1) drop(fd); return; }
    end += 4;
    if (strncmp(it->data, "SOURCE ", 7) == 0) become_source(fd, end, (size_t)(it->data + it->used - end));
    else if (strncmp(it->data, "GET ", 4) == 0) become_listener(fd);
    else drop(fd);
}

static void read_source(void)
{
    static char data[65536];
    ssize_t got = recv(source_fd, data, sizeof data, MSG_DONTWAIT);
    if (got > 0) append(data, (size_t)got);
    else if (got == 0 || errno != EAGAIN) drop(source_fd);
}

static void accept_all(int server)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= MAX_FD) { close(fd); continue; }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pending_of[fd] = calloc(1, sizeof(struct pending));
        if (pending_of[fd] == NULL) die("calloc");
        watch(fd);
    }
}

static int open_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) die("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void turn(int server, int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, timeout_ms);
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == server) accept_all(server);
        else if (fd == source_fd) read_source();
        else if (pending_of[fd] != NULL) read_head(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) { fprintf(stderr, "usage: floor FLUSH_MS BURST_BYTES\n"); return 2; }
    int64_t flush_ns = (int64_t)(atof(argv[1]) * 1e6);
    burst = strtoull(argv[2], NULL, 10);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int server = open_server();
    watch(server);
    for (int64_t due = now_ns() + flush_ns;;) {
        int64_t left = due - now_ns();
        if (left > 0) { turn(server, (int)((left + 999999) / 1000000)); continue; }
        push_all();
        due += flush_ns;
        if (due < now_ns()) due = now_ns() + flush_ns;
        turn(server, 0);
    }
}
