// SPDX-License-Identifier: GPL-2.0-or-later
// How long libqmi takes to parse messages and print them: `printable FILE ROUNDS` prints nanoseconds, one line a round.
// FILE: frames one after the other, each a 32-bit length in host order and a QMUX frame.
// The prototypes are written here because the library's package comes without headers.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { uint8_t *data; unsigned len; } GByteArray;
GByteArray *g_byte_array_new(void);
GByteArray *g_byte_array_append(GByteArray *, const uint8_t *, unsigned);
void g_byte_array_unref(GByteArray *);
void g_free(void *);
GByteArray *qmi_message_new_from_raw(GByteArray *, void **error);
char *qmi_message_get_printable_full(GByteArray *, void *context, const char *line_prefix);
void qmi_utils_set_show_personal_info(int);

static size_t total;

static void print_all(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		uint32_t len;
		memcpy(&len, at, sizeof(len));
		at += sizeof(len);
		GByteArray *raw = g_byte_array_append(g_byte_array_new(), at, len);
		GByteArray *message = qmi_message_new_from_raw(raw, NULL);
		if (!message) {
			fprintf(stderr, "libqmi refuses the frame at %p\n", (const void *)at);
			exit(1);
		}
		char *text = qmi_message_get_printable_full(message, NULL, "");
		total += strlen(text);
		g_free(text);
		g_byte_array_unref(message);
		g_byte_array_unref(raw);
		at += len;
	}
}

int main(int argc, char **argv)
{
	FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
	if (!file) {
		fprintf(stderr, "usage: printable FILE ROUNDS\n");
		return 2;
	}
	fseek(file, 0, SEEK_END);
	size_t size = ftell(file);
	rewind(file);
	uint8_t *frames = malloc(size);
	if (fread(frames, 1, size, file) != size)
		return 1;
	qmi_utils_set_show_personal_info(1);
	for (int round = atoi(argv[2]); round > 0; round--) {
		struct timespec from, to;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		print_all(frames, frames + size);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
		fflush(stdout);
	}
	fprintf(stderr, "%zu characters\n", total);
	return 0;
}
