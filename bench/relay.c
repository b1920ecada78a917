/* The physical limit, more or less: ranged GETs copied straight into Put Block, through one small buffer each.
 * relay SOURCE_PORT SOURCE_PATH SINK_PORT SINK_PATH BYTES BLOCK_BYTES WORKERS
 * No TLS, no signature, no check, no retry; whatever is not as expected ends it. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024 };
static char buffer[BUFFER];

static int dial(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to)) _exit(2);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

static void put(int s, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(s, data, n, 0);
        if (sent <= 0) _exit(3);
        data += sent, n -= sent;
    }
}

/* Reads an answer's head into `buffer`; returns how many bytes of its body came along, moved to the front. */
static size_t head(int s, const char *status) {
    size_t have = 0;
    for (;;) {
        ssize_t got = recv(s, buffer + have, BUFFER - 1 - have, 0);
        if (got <= 0) _exit(4);
        have += got;
        buffer[have] = 0;
        char *end = memmem(buffer, have, "\r\n\r\n", 4);
        if (!end) continue;
        if (!strstr(buffer, status)) _exit(5);
        size_t body = have - (end + 4 - buffer);
        memmove(buffer, end + 4, body);
        return body;
    }
}

static void work(char **a, long long total, long long block, int first, int workers) {
    int source = dial(atoi(a[1])), sink = dial(atoi(a[3]));
    char text[2048];
    for (long long at = first * block; at < total; at += workers * block) {
        long long left = at + block < total ? block : total - at;
        int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=%lld-%lld\r\n\r\n", a[2], at, at + left - 1);
        put(source, text, n);
        n = snprintf(text, sizeof text, "PUT %s?comp=block&blockid=%013lld HTTP/1.1\r\nHost: x\r\nContent-Length: %lld\r\n\r\n", a[4], at, left);
        put(sink, text, n);
        size_t have = head(source, " 206 ");
        for (;;) {
            put(sink, buffer, have);
            left -= have;
            if (!left) break;
            ssize_t got = recv(source, buffer, left < BUFFER ? left : BUFFER, 0);
            if (got <= 0) _exit(6);
            have = got;
        }
        head(sink, " 201 ");
    }
    _exit(0);
}

int main(int count, char **a) {
    if (count != 8) return 1;
    long long total = atoll(a[5]), block = atoll(a[6]);
    int workers = atoi(a[7]), failed = 0, status;
    for (int i = 0; i < workers; i++)
        if (!fork()) work(a, total, block, i, workers);
    while (wait(&status) > 0) failed |= status;
    if (failed) return 1;
    long long blocks = (total + block - 1) / block;
    char text[2048], *body = malloc(blocks * 48 + 64);
    size_t n = sprintf(body, "<BlockList>");
    for (long long i = 0; i < blocks; i++) n += sprintf(body + n, "<Latest>%013lld</Latest>", i * block);
    n += sprintf(body + n, "</BlockList>");
    int sink = dial(atoi(a[3]));
    put(sink, text, snprintf(text, sizeof text, "PUT %s?comp=blocklist HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", a[4], n));
    put(sink, body, n);
    head(sink, " 201 ");
    return 0;
}
