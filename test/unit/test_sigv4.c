/* sources: src/lake/io/sigv4.c src/lake/io/sha256.c src/lake/iceberg/buffer.c */
/*
 * test_sigv4.c
 *		SHA-256, HMAC and Signature Version 4 against the vectors that their
 *		authors published: FIPS 180-4 examples, RFC 4231, the AWS test suite for
 *		Signature Version 4, and the examples of the S3 documentation.
 */
#include "lake/io/sha256.h"
#include "lake/io/sigv4.h"
#include "tap.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *
Hash(const char *text, size_t len, int step)
{
	static char hex[SHA256_HEX];
	uint8		digest[SHA256_BYTES];
	Sha256		sha;

	Sha256Begin(&sha);
	for (size_t i = 0; i < len; i += step)
		Sha256Add(&sha, text + i, len - i < (size_t) step ? len - i : (size_t) step);
	Sha256End(&sha, digest);
	Sha256Hex(digest, hex);
	return hex;
}

static void
TestHashes(void)
{
	static char million[1000000];
	const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8		digest[SHA256_BYTES];
	char		hex[SHA256_HEX];
	char		long_key[131];

	is_str(Hash("", 0, 1), EMPTY_HASH, "hash of nothing");
	is_str(Hash("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "hash of abc");
	is_str(Hash(two_blocks, 56, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "hash of 448 bits");
	memset(million, 'a', sizeof(million));
	for (int step = 1; step < 200; step += 61)
		is_str(Hash(million, sizeof(million), step),
			   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
			   "hash of a million letters in steps of %d", step);

	HmacSha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
	Sha256Hex(digest, hex);
	is_str(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "HMAC, RFC 4231 case 2");
	memset(long_key, 0xaa, sizeof(long_key));
	HmacSha256(long_key, sizeof(long_key), "Test Using Larger Than Block-Size Key - Hash Key First", 54, digest);
	Sha256Hex(digest, hex);
	is_str(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", "HMAC, RFC 4231 case 6");
}

static void
TestTime(void)
{
	char		time[SIGV4_TIME];

	SigV4Time(0, time);
	is_str(time, "19700101T000000Z", "the epoch");
	SigV4Time(1369353600, time);
	is_str(time, "20130524T000000Z", "a day of 2013");
	SigV4Time(951827696, time);
	is_str(time, "20000229T123456Z", "a leap day");
	SigV4Time(1798761599, time);
	is_str(time, "20261231T235959Z", "the last second of a year");
	SigV4Time(4107542400, time);
	is_str(time, "21000301T000000Z", "the day after the February of 2100");
}

/* Is the signature at the end of a header the expected one? */
static void
CheckSignature(const SigV4Request *request, const SigV4Key *key, const char *time,
			   const char *signature, const char *name)
{
	char	   *header = SigV4Authorization(request, key, time);
	char	   *found = strstr(header, "Signature=");

	is_str(found == NULL ? "" : found + 10, signature, "%s", name);
}

/* The AWS test suite: one key, one time. */
static void
TestSuite(void)
{
	static const SigV4Key key = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service"};
	static const char *time = "20150830T123600Z";
	static const SigV4Pair headers[] = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
	static const SigV4Pair params[] = {{"Param2", "value2"}, {"Param1", "value1"}};
	static const SigV4Pair order[] = {{"Param1", "value2"}, {"Param1", "Value1"}};
	SigV4Request request = {"GET", "/", "", 2, headers, EMPTY_HASH};

	is_str(SigV4CanonicalRequest(&request),
		   "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n" EMPTY_HASH,
		   "canonical request of get-vanilla");
	is_str(SigV4Authorization(&request, &key, time),
		   "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
		   "SignedHeaders=host;x-amz-date, "
		   "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "get-vanilla");
	request.method = "POST";
	CheckSignature(&request, &key, time, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "post-vanilla");
	request.method = "GET";
	request.query = SigV4Query(params, 2);
	is_str(request.query, "Param1=value1&Param2=value2", "parameters are sorted");
	CheckSignature(&request, &key, time, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", "get-vanilla-query-order-key-case");
	request.query = SigV4Query(order, 2);
	CheckSignature(&request, &key, time, "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1", "get-vanilla-query-order-key");
}

/* The examples of the S3 documentation. */
static void
TestS3(void)
{
	static const SigV4Key key = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3"};
	static const char *time = "20130524T000000Z";
	static const SigV4Pair get_headers[] = {
		{"x-amz-date", "20130524T000000Z"}, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY_HASH},
		{"host", "examplebucket.s3.amazonaws.com"}};
	static const SigV4Pair put_headers[] = {
		{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"host", "examplebucket.s3.amazonaws.com"},
		{"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
		{"x-amz-date", "20130524T000000Z"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	static const SigV4Pair list_headers[] = {
		{"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY_HASH}, {"x-amz-date", "20130524T000000Z"}};
	static const SigV4Pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
	static const SigV4Pair lifecycle[] = {{"lifecycle", ""}};
	SigV4Request get = {"GET", "/test.txt", "", 4, get_headers, EMPTY_HASH};
	SigV4Request put = {"PUT", "", "", 5, put_headers, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"};
	SigV4Request listing = {"GET", "/", "", 3, list_headers, EMPTY_HASH};

	is_str(Hash("Welcome to Amazon S3.", 21, 21), put.payload_hash, "hash of the documentation's payload");
	CheckSignature(&get, &key, time, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", "GET of a range");
	put.path = SigV4Path("/test$file.text");
	is_str(put.path, "/test%24file.text", "a path is encoded");
	CheckSignature(&put, &key, time, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", "PUT");
	listing.query = SigV4Query(lifecycle, 1);
	CheckSignature(&listing, &key, time, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", "GET of the lifecycle");
	listing.query = SigV4Query(list, 2);
	CheckSignature(&listing, &key, time, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", "listing");
}

static void
TestCanonical(void)
{
	static const SigV4Pair headers[] = {{"x-b", "  a   b \t c  "}, {"host", "h"}, {"x-a", ""}};
	SigV4Pair	odd[] = {{"k\xc3\xa4y", "a b+c/d=e&f~"}};
	SigV4Request request = {"GET", "/", "", 3, headers, "UNSIGNED-PAYLOAD"};

	is_str(SigV4CanonicalRequest(&request), "GET\n/\n\nhost:h\nx-a:\nx-b:a b c\n\nhost;x-a;x-b\nUNSIGNED-PAYLOAD",
		   "blanks in headers");
	is_str(SigV4Query(odd, 1), "k%C3%A4y=a%20b%2Bc%2Fd%3De%26f~", "odd characters of a query");
	is_str(SigV4Query(NULL, 0), "", "no query");
}

int
main(void)
{
	TestHashes();
	TestTime();
	TestSuite();
	TestS3();
	TestCanonical();
	return done_testing();
}
