/* The limit: what a program can do that gives the app's guarantee and nothing else. Ranged GETs of whole blocks, their
 * SHA-256 in order, Put Block of each, Put Block List; over TLS where an authority is named. Prints the SHA-256.
 * limit SOURCE_PORT SOURCE_PATH SINK_PORT SINK_PATH BYTES BLOCK_BYTES WORKERS sha256|none [AUTHORITY.pem]
 * No signature, no CRC, no ledger, no retry; whatever is not as expected ends it. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    int socket;
    SSL *tls;
} Stream;

static char **argument;
static long long total, block, next, hashed;
static SSL_CTX *context;
static EVP_MD_CTX *digest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;

static void need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "limit: %s\n", what);
    _exit(2);
}

static Stream dial(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    Stream s = {socket(AF_INET, SOCK_STREAM, 0), NULL};
    need(s.socket >= 0 && !connect(s.socket, (struct sockaddr *)&to, sizeof to), "connect");
    setsockopt(s.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context) {
        s.tls = SSL_new(context);
        SSL_set_fd(s.tls, s.socket);
        need(SSL_connect(s.tls) == 1, "TLS handshake");
    }
    return s;
}

static void put(Stream s, const char *data, size_t left) {
    while (left) {
        ssize_t sent = s.tls ? SSL_write(s.tls, data, left) : send(s.socket, data, left, 0);
        need(sent > 0, "send");
        data += sent, left -= sent;
    }
}

static size_t get(Stream s, char *to, size_t most) {
    ssize_t got = s.tls ? SSL_read(s.tls, to, most) : recv(s.socket, to, most, 0);
    need(got > 0, "receive");
    return got;
}

/* Reads an answer's head; what came of its body is moved to the front of `to`, and its length returned. */
static size_t head(Stream s, const char *status, char *to, size_t room) {
    for (size_t have = 0;;) {
        have += get(s, to + have, room - 1 - have);
        to[have] = 0;
        char *end = strstr(to, "\r\n\r\n");
        if (!end) continue;
        need(!strncmp(to + 8, status, 5), "another status");
        size_t body = have - (end + 4 - to);
        memmove(to, end + 4, body);
        return body;
    }
}

static void hash(long long at, const char *data, long long length) {
    pthread_mutex_lock(&lock);
    while (hashed != at) pthread_cond_wait(&turn, &lock);
    pthread_mutex_unlock(&lock);
    EVP_DigestUpdate(digest, data, length);
    pthread_mutex_lock(&lock);
    hashed = at + length;
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
}

static void *work(void *unused) {
    Stream source = dial(atoi(argument[1])), sink = dial(atoi(argument[3]));
    char text[2048], *data = malloc(block + 65536);
    for (;;) {
        long long at = __sync_fetch_and_add(&next, block);
        if (at >= total) return unused;
        long long length = at + block < total ? block : total - at;
        put(source, text, snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=%lld-%lld\r\n\r\n", argument[2], at, at + length - 1));
        for (long long have = head(source, " 206 ", data, 65536); have < length;) have += get(source, data + have, length - have);
        if (digest) hash(at, data, length);
        put(sink, text, snprintf(text, sizeof text, "PUT %s?comp=block&blockid=%013lld HTTP/1.1\r\nHost: x\r\nContent-Length: %lld\r\n\r\n", argument[4], at, length));
        put(sink, data, length);
        head(sink, " 201 ", text, sizeof text);
    }
}

static void commit(void) {
    long long blocks = (total + block - 1) / block;
    char text[2048], *body = malloc(blocks * 48 + 64);
    size_t n = sprintf(body, "<BlockList>");
    for (long long i = 0; i < blocks; i++) n += sprintf(body + n, "<Latest>%013lld</Latest>", i * block);
    n += sprintf(body + n, "</BlockList>");
    Stream sink = dial(atoi(argument[3]));
    put(sink, text, snprintf(text, sizeof text, "PUT %s?comp=blocklist HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", argument[4], n));
    put(sink, body, n);
    head(sink, " 201 ", text, sizeof text);
}

int main(int count, char **given) {
    need(count == 9 || count == 10, "arguments");
    argument = given, total = atoll(given[5]), block = atoll(given[6]);
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(given[8], "sha256")) EVP_DigestInit_ex(digest = EVP_MD_CTX_new(), EVP_sha256(), NULL);
    if (count == 10) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, 128 * 1024);
        need(SSL_CTX_load_verify_locations(context, given[9], NULL), "authority");
    }
    int workers = atoi(given[7]);
    pthread_t threads[64];
    need(workers > 0 && workers <= 64, "workers");
    for (int i = 0; i < workers; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < workers; i++) pthread_join(threads[i], NULL);
    commit();
    unsigned char found[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (digest) EVP_DigestFinal_ex(digest, found, &length);
    for (unsigned i = 0; i < length; i++) printf("%02x", found[i]);
    return 0;
}
