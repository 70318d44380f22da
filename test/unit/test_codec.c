/* sources: src/lake/iceberg/codec.c src/lake/iceberg/buffer.c ; libs: -lz -lzstd -lsnappy */
/*
 * test_codec.c
 *		What the libraries pack is unpacked, and no damage to it does worse than an
 *		error.
 */
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "lake/iceberg/codec.h"
#include "tap.h"

#define LEN 100000

static char text[LEN];
static char packed[LEN * 2];

static bool
Fails(AvroCodec codec, size_t len)
{
	size_t		unpacked;

	return CATCH_FAIL(CodecUnpack(codec, packed, len, &unpacked));
}

static void
Check(AvroCodec codec, const char *name, size_t len)
{
	size_t		unpacked;
	const char *out = CodecUnpack(codec, packed, len, &unpacked);

	is_int(unpacked, LEN, "%s: size", name);
	ok(memcmp(out, text, LEN) == 0, "%s: content", name);
	for (size_t cut = 0; cut < len; cut += 1 + len / 50)
		if (!Fails(codec, cut))
			ok(false, "%s: cut off at %zu is not noticed", name, cut);
	for (size_t at = 0; at < len; at += 1 + len / 200)
	{
		packed[at] ^= 0x11;
		/* not every codec has a checksum */
		(void) Fails(codec, len);
		packed[at] ^= 0x11;
	}
	ok(true, "%s: damage is survived", name);
}

static void
CheckSnappy(void)
{
	size_t		len = sizeof(packed);
	unsigned long check = crc32(0, (const Bytef *) text, LEN);
	size_t		unpacked;

	snappy_compress(text, LEN, packed, &len);
	for (int i = 0; i < 4; i++)
		packed[len + i] = (char) (check >> (24 - 8 * i));
	Check(CODEC_SNAPPY, "snappy", len + 4);
	packed[len] ^= 1;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, CodecUnpack(CODEC_SNAPPY, packed, len + 4, &unpacked));
	/* 4 GB announced in a few bytes */
	EXPECT_FAIL_KIND(FAIL_CORRUPT, CodecUnpack(CODEC_SNAPPY, "\xff\xff\xff\xff\x0f....", 9, &unpacked));
}

/* A frame that does not say how long its content is, as streams are. */
static size_t
PackUnsized(void)
{
	ZSTD_CCtx  *context = ZSTD_createCCtx();
	ZSTD_inBuffer in = {text, LEN, 0};
	ZSTD_outBuffer out = {packed, sizeof(packed), 0};

	while (ZSTD_compressStream2(context, &out, &in, in.pos < LEN ? ZSTD_e_flush : ZSTD_e_end) != 0 ||
		   in.pos < LEN)
		continue;
	while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0)
		continue;
	ZSTD_freeCCtx(context);
	return out.pos;
}

static size_t
Deflate(void)
{
	z_stream	stream = {0};

	deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	stream.next_in = (Bytef *) text;
	stream.avail_in = LEN;
	stream.next_out = (Bytef *) packed;
	stream.avail_out = sizeof(packed);
	deflate(&stream, Z_FINISH);
	deflateEnd(&stream);
	return stream.total_out;
}

int
main(void)
{
	for (int i = 0; i < LEN; i++)
		text[i] = (char) ('a' + (i * i / 7) % 23);
	Check(CODEC_DEFLATE, "deflate", Deflate());
	CheckSnappy();
	Check(CODEC_ZSTANDARD, "zstandard", ZSTD_compress(packed, sizeof(packed), text, LEN, 3));
	Check(CODEC_ZSTANDARD, "zstandard of unknown size", PackUnsized());
	is_int(CodecByName(NULL), CODEC_NULL, "no codec");
	EXPECT_FAIL_KIND(FAIL_UNSUPPORTED, CodecByName("xz"));
	return done_testing();
}
