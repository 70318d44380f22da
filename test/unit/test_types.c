/* sources: src/wire/types.c */
/*
 * test_types.c
 *		Names of value types: what is written is read back the same, and what
 *		is no type of ours is refused.
 */
#include "tap.h"

#include "wire/types.h"

static void
round_trip(LakeType type, const char *iceberg, const char *engine)
{
	char		buf[32];
	LakeType	back;

	is_str(LakeTypeIcebergName(type, buf, sizeof(buf)), iceberg, "Iceberg's name of %s", iceberg);
	is_str(LakeTypeEngineName(type, buf, sizeof(buf)), engine, "engine's name of %s", iceberg);
	ok(LakeTypeFromIcebergName(iceberg, &back), "%s is known", iceberg);
	is_int(back.kind, type.kind, "%s is read back", iceberg);
	is_int(back.precision, type.precision, "%s: precision", iceberg);
	is_int(back.scale, type.scale, "%s: scale", iceberg);
}

int
main(void)
{
	static const char *const unknown[] = {"", "decimal", "decimal(0, 0)", "decimal(39, 2)",
		"decimal(5, 6)", "decimal(5,", "decimal(5, 2) ", "int8", "INT", "struct<a: int>", "long ",
	"timestamp_ns"};
	LakeType	type;

	round_trip((LakeType) {LAKE_BOOLEAN, 0, 0}, "boolean", "BOOLEAN");
	round_trip((LakeType) {LAKE_INT, 0, 0}, "int", "INTEGER");
	round_trip((LakeType) {LAKE_LONG, 0, 0}, "long", "BIGINT");
	round_trip((LakeType) {LAKE_FLOAT, 0, 0}, "float", "FLOAT");
	round_trip((LakeType) {LAKE_DOUBLE, 0, 0}, "double", "DOUBLE");
	round_trip((LakeType) {LAKE_DECIMAL, 12, 2}, "decimal(12, 2)", "DECIMAL(12,2)");
	round_trip((LakeType) {LAKE_DECIMAL, 38, 38}, "decimal(38, 38)", "DECIMAL(38,38)");
	round_trip((LakeType) {LAKE_DATE, 0, 0}, "date", "DATE");
	round_trip((LakeType) {LAKE_TIME, 0, 0}, "time", "TIME");
	round_trip((LakeType) {LAKE_TIMESTAMP, 0, 0}, "timestamp", "TIMESTAMP");
	round_trip((LakeType) {LAKE_TIMESTAMPTZ, 0, 0}, "timestamptz", "TIMESTAMPTZ");
	round_trip((LakeType) {LAKE_STRING, 0, 0}, "string", "VARCHAR");
	round_trip((LakeType) {LAKE_BINARY, 0, 0}, "binary", "BLOB");
	round_trip((LakeType) {LAKE_UUID, 0, 0}, "uuid", "UUID");
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		ok(!LakeTypeFromIcebergName(unknown[i], &type), "\"%s\" is not a type that we hold",
		   unknown[i]);
	return done_testing();
}
