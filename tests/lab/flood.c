// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams between two AF_QIPCRTR sockets of this node, at a steady rate: what a capture is flooded with.
 *
 * flood RATE SIZE COUNT: COUNT datagrams of SIZE bytes (20 at least), RATE a second, 0 for as many as go. Each begins with
 * "flood" and its number as a little-endian word at byte 8, and is received before the next is sent. Prints
 *
 *     PORT COUNT SECONDS CPU-SECONDS
 *
 * and keeps the sockets until its standard input ends: closing them sends packets of the kernel's own.
 */
#include <errno.h>
#include <linux/qrtr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef AF_QIPCRTR
#define AF_QIPCRTR 42
#endif

static unsigned char buffer[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int open_socket(struct sockaddr_qrtr *name)
{
	int fd = socket(AF_QIPCRTR, SOCK_DGRAM, 0);
	socklen_t length = sizeof *name;

	if (fd < 0 || getsockname(fd, (struct sockaddr *)name, &length))
		die("socket");
	name->sq_port = 0;
	if (bind(fd, (struct sockaddr *)name, sizeof *name) || getsockname(fd, (struct sockaddr *)name, &length))
		die("bind");
	return fd;
}

int main(int argc, char **argv)
{
	double rate = argc > 3 ? atof(argv[1]) : 0;
	size_t size = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
	uint32_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	struct sockaddr_qrtr first, second;
	double start, processor;
	int one, two;

	if (size < 20 || size > sizeof buffer - 1) {
		fprintf(stderr, "flood RATE SIZE COUNT\n");
		return 2;
	}
	one = open_socket(&first);
	two = open_socket(&second);
	memset(buffer, 0x5a, size);
	memcpy(buffer, "flood\0\0\0", 8);
	start = now(CLOCK_MONOTONIC);
	processor = now(CLOCK_PROCESS_CPUTIME_ID);
	for (uint32_t number = 0; number < count; number++) {
		double wait = rate ? start + number / rate - now(CLOCK_MONOTONIC) : 0;

		if (wait > 0) {
			struct timespec pause = { (time_t)wait, (long)((wait - (time_t)wait) * 1e9) };

			nanosleep(&pause, NULL);
		}
		memcpy(buffer + 8, &number, sizeof number);
		if (sendto(one, buffer, size, 0, (struct sockaddr *)&second, sizeof second) != (ssize_t)size)
			die("sendto");
		if (recv(two, buffer, sizeof buffer, 0) != (ssize_t)size)
			die("recv");
	}
	printf("%u %u %.6f %.6f\n", first.sq_port, count, now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - processor);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
