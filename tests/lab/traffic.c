// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams over AF_QIPCRTR, and a log of them: what a capture in a guest without Python is compared with.
 *
 * traffic LOG [ROUNDS]: two sockets of this node send each other datagrams of many sizes. With /dev/qrtr-tun there,
 * a third end is another node, whose packets cross the wire. For each datagram the log gets five little-endian words
 * (source node and port, destination node and port, size) and the bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/qrtr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef AF_QIPCRTR
#define AF_QIPCRTR 42
#endif

static const uint32_t sizes[] = { 1, 2, 3, 4, 7, 20, 95, 96, 97, 128, 160, 480, 607, 608, 609, 640, 4096, 9631, 9632, 9633, 9664, 20001, 30000, 60000 };
enum { SIZES = sizeof sizes / sizeof *sizes, FAR_NODE = 7, FAR_PORT = 0x4001 };

static unsigned char buffer[65536], answer[65536 + 32];
static FILE *log_file;
static uint32_t state = 2463534242u;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void fill(uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		buffer[i] = state;
	}
}

static void note(struct sockaddr_qrtr from, struct sockaddr_qrtr to, uint32_t size)
{
	uint32_t head[5] = { from.sq_node, from.sq_port, to.sq_node, to.sq_port, size };

	fwrite(head, sizeof head, 1, log_file);
	fwrite(buffer, size, 1, log_file);
}

static struct sockaddr_qrtr name_of(int fd)
{
	struct sockaddr_qrtr name;
	socklen_t length = sizeof name;

	if (getsockname(fd, (struct sockaddr *)&name, &length))
		die("getsockname");
	return name;
}

static int open_socket(void)
{
	int fd = socket(AF_QIPCRTR, SOCK_DGRAM, 0);
	struct sockaddr_qrtr name;
	struct timeval patience = { .tv_sec = 20 };

	if (fd < 0)
		die("socket");
	/* A port is bound by naming none. */
	name = name_of(fd);
	name.sq_port = 0;
	if (bind(fd, (struct sockaddr *)&name, sizeof name))
		die("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void send_to(int fd, struct sockaddr_qrtr to, uint32_t size)
{
	if (sendto(fd, buffer, size, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)size)
		die("sendto");
	note(name_of(fd), to, size);
}

static void expect(int fd, uint32_t size)
{
	if (recv(fd, answer, sizeof answer, 0) != (ssize_t)size || memcmp(answer, buffer, size)) {
		fprintf(stderr, "a datagram of %u bytes did not come through\n", size);
		exit(1);
	}
}

/* Packets of node 7: a header of version 1, as struct qrtr_hdr_v1 of net/qrtr/af_qrtr.c. */
static void far_send(int tun, uint32_t type, struct sockaddr_qrtr to, uint32_t size)
{
	uint32_t head[8] = { 1, type, FAR_NODE, type == QRTR_TYPE_DATA ? FAR_PORT : QRTR_PORT_CTRL, 0, size, to.sq_node, to.sq_port };
	uint32_t padded = (size + 3) & ~3u;

	memcpy(answer, head, sizeof head);
	memcpy(answer + sizeof head, buffer, size);
	memset(answer + sizeof head + size, 0, padded - size);
	if (write(tun, answer, sizeof head + padded) != (ssize_t)(sizeof head + padded))
		die("write to qrtr-tun");
	if (type == QRTR_TYPE_DATA) {
		struct sockaddr_qrtr from = { AF_QIPCRTR, FAR_NODE, FAR_PORT };

		note(from, to, size);
	}
}

/* Linux waits for this after some packets: struct qrtr_ctrl_pkt with the client that can take more. */
static void resume(int tun, const unsigned char *head)
{
	uint32_t packet[13] = { 1, QRTR_TYPE_RESUME_TX, FAR_NODE, FAR_PORT, 0, 20, 0, 0, QRTR_TYPE_RESUME_TX, FAR_NODE, FAR_PORT };

	memcpy(packet + 6, head + 8, 8);
	if (write(tun, packet, sizeof packet) != sizeof packet)
		die("write to qrtr-tun");
}

/* The next data packet that Linux sends to node 7; what the name servers tell each other before it is passed over. */
static void far_expect(int tun, uint32_t size)
{
	for (;;) {
		ssize_t got = read(tun, answer, sizeof answer);
		uint32_t type;

		if (got < 32)
			die("read from qrtr-tun");
		memcpy(&type, answer + 4, sizeof type);
		if (type != QRTR_TYPE_DATA)
			continue;
		if (got < (ssize_t)(32 + size) || memcmp(answer + 32, buffer, size)) {
			fprintf(stderr, "a packet of %u bytes did not come through\n", size);
			exit(1);
		}
		memcpy(&type, answer + 16, sizeof type);
		if (type)
			resume(tun, answer);
		return;
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 1, one, two, tun;
	struct sockaddr_qrtr first, second;

	if (argc < 2 || !(log_file = fopen(argv[1], "wb")))
		die("traffic LOG [ROUNDS]");
	one = open_socket();
	two = open_socket();
	first = name_of(one);
	second = name_of(two);
	tun = open("/dev/qrtr-tun", O_RDWR);
	if (tun >= 0) {
		uint32_t hello[5] = { QRTR_TYPE_HELLO };
		struct sockaddr_qrtr everyone = { AF_QIPCRTR, first.sq_node, QRTR_PORT_CTRL };

		memcpy(buffer, hello, sizeof hello);
		far_send(tun, QRTR_TYPE_HELLO, everyone, sizeof hello);
	}
	for (int round = 0; round < rounds; round++) {
		/* A round is a burst that the kernel's buffers hold; the next waits until they can have been read. */
		if (round)
			usleep(500000);
		for (int i = 0; i < SIZES; i++) {
			fill(sizes[i]);
			send_to(one, second, sizes[i]);
			expect(two, sizes[i]);
			fill(sizes[i]);
			send_to(two, first, sizes[i]);
			expect(one, sizes[i]);
			if (tun >= 0) {
				struct sockaddr_qrtr far = { AF_QIPCRTR, FAR_NODE, FAR_PORT };

				fill(sizes[i]);
				far_send(tun, QRTR_TYPE_DATA, second, sizes[i]);
				expect(two, sizes[i]);
				fill(sizes[i]);
				send_to(one, far, sizes[i]);
				far_expect(tun, sizes[i]);
			}
		}
	}
	if (fclose(log_file))
		die(argv[1]);
	return 0;
}
