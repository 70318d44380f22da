/*
 * decimal.c
 *		Conversion of numeric without a detour over text.
 *
 * The layout of a stored numeric is private to the server's numeric.c, but it
 * is an on-disk format and so does not change: a 16-bit header (short form) or
 * header and weight (long form), then base-10000 digits.
 */
#include "postgres.h"

#include "base/compat.h"
#include "client/decimal.h"
#include "fmgr.h"

#define MAX_PRECISION 38

#define HEADER_SPECIAL 0xC000
#define HEADER_SHORT 0x8000
#define HEADER_NEGATIVE 0x4000
#define LONG_DSCALE_MASK 0x3FFF
#define SHORT_NEGATIVE 0x2000
#define SHORT_DSCALE_SHIFT 7
#define SHORT_DSCALE_MASK 0x1F80
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F

typedef struct NumericParts
{
	bool		finite;
	bool		negative;
	int			dscale;
	int			weight;			/* of the first digit, in powers of 10000 */
	int			ndigits;
	const int16 *digits;
} NumericParts;

typedef unsigned __int128 uint128_t;

static uint128_t
PowerOfTen(int n)
{
	static uint128_t powers[MAX_PRECISION + 1];

	if (powers[0] == 0)
	{
		powers[0] = 1;
		for (int i = 1; i <= MAX_PRECISION; i++)
			powers[i] = powers[i - 1] * 10;
	}
	return powers[n];
}

/*
 * Take a detoasted numeric apart.
 */
static NumericParts
TakeApart(const struct varlena *stored)
{
	NumericParts parts = {.finite = true};
	const uint16 *words = (const uint16 *) VARDATA(stored);
	int			nwords = (VARSIZE(stored) - VARHDRSZ) / sizeof(uint16);
	uint16		header = words[0];

	if ((header & HEADER_SPECIAL) == HEADER_SPECIAL)
	{
		parts.finite = false;
		return parts;
	}
	if (header & HEADER_SHORT)
	{
		parts.negative = (header & SHORT_NEGATIVE) != 0;
		parts.dscale = (header & SHORT_DSCALE_MASK) >> SHORT_DSCALE_SHIFT;
		parts.weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			parts.weight |= ~SHORT_WEIGHT_MASK;
		parts.digits = (const int16 *) (words + 1);
		parts.ndigits = nwords - 1;
	}
	else
	{
		parts.negative = (header & HEADER_NEGATIVE) != 0;
		parts.dscale = header & LONG_DSCALE_MASK;
		parts.weight = (int16) words[1];
		parts.digits = (const int16 *) (words + 2);
		parts.ndigits = nwords - 2;
	}
	return parts;
}

static void
OutOfRange(int precision, int scale)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("numeric value does not fit into decimal(%d, %d)", precision, scale)));
}

/*
 * Multiply and add, without leaving limit.
 */
static bool
Accumulate(uint128_t *acc, uint128_t factor, uint128_t add, uint128_t limit)
{
	if (*acc > (limit - add) / factor)
		return false;
	*acc = *acc * factor + add;
	return true;
}

/*
 * |value| * 10^scale, rounded half away from zero; false if it exceeds limit.
 */
static bool
Unscaled(const NumericParts *parts, int scale, uint128_t limit, uint128_t *result)
{
	uint128_t	acc = 0;
	bool		round_up = false;
	int			exponent = 0;

	for (int i = 0; i < parts->ndigits; i++)
	{
		int			digit = parts->digits[i];

		exponent = 4 * (parts->weight - i) + scale;
		if (exponent >= 0)
		{
			if (!Accumulate(&acc, 10000, digit, limit))
				return false;
		}
		else
		{
			/* Only the leading digits of this group count; the next one rounds. */
			int			keep = 4 + exponent;
			int			cut = keep > 0 ? (int) PowerOfTen(-exponent) : 10000;

			if (keep > 0 && !Accumulate(&acc, PowerOfTen(keep), digit / cut, limit))
				return false;
			round_up = keep >= 0 && digit % cut >= cut / 2;
			break;
		}
	}
	while (parts->ndigits > 0 && exponent-- > 0)
		if (!Accumulate(&acc, 10, 0, limit))
			return false;
	if (round_up && ++acc > limit)
		return false;
	*result = acc;
	return true;
}

bool
DecimalFinite(Datum value)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);
	uint16		header;

	/* A value with a short header is not aligned. */
	memcpy(&header, VARDATA_ANY(stored), sizeof(header));
	return (header & HEADER_SPECIAL) != HEADER_SPECIAL;
}

int128
DecimalFromNumeric(Datum value, int precision, int scale)
{
	struct varlena *stored = PG_DETOAST_DATUM(value);
	NumericParts parts = TakeApart(stored);
	uint128_t	acc;

	if (!parts.finite)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("numeric value NaN or infinity does not fit into decimal(%d, %d)",
						precision, scale),
				 errhint("Use a double precision column, or numeric without precision, for such values.")));
	if (!Unscaled(&parts, scale, PowerOfTen(precision) - 1, &acc))
		OutOfRange(precision, scale);
	if ((Pointer) stored != DatumGetPointer(value))
		pfree(stored);
	return parts.negative ? -(int128) acc : (int128) acc;
}

bool
DecimalShape(Datum value, int *precision, int *scale)
{
	struct varlena *stored = PG_DETOAST_DATUM(value);
	NumericParts parts = TakeApart(stored);
	uint128_t	acc;
	int			digits = 0;

	if (!parts.finite || parts.dscale > MAX_PRECISION ||
		!Unscaled(&parts, parts.dscale, PowerOfTen(MAX_PRECISION) - 1, &acc))
		return false;
	for (; acc > 0; acc /= 10)
		digits++;
	*scale = parts.dscale;
	*precision = Max(Max(digits, parts.dscale), 1);
	return true;
}

/*
 * Build the stored form.  At most 10 digits before and 10 after the point.
 */
Datum
DecimalToNumeric(int128 unscaled, int scale)
{
	bool		negative = unscaled < 0;
	uint128_t	left = negative ? -(uint128_t) unscaled : (uint128_t) unscaled;
	int16		groups[24];		/* least significant first */
	int			ngroups = 0;
	int			nfraction = (scale + 3) / 4;
	int			partial = scale % 4;
	int			lowest = 0;
	int			weight;
	int			ndigits;
	struct varlena *stored;
	uint16	   *words;

	/* The last group after the point may hold fewer than four digits. */
	if (partial > 0)
	{
		int			unit = (int) PowerOfTen(partial);

		groups[ngroups++] = (int16) ((int) (left % unit) * (10000 / unit));
		left /= unit;
	}
	while (left > PG_UINT64_MAX)
	{
		groups[ngroups++] = (int16) (left % 10000);
		left /= 10000;
	}
	for (uint64 small = (uint64) left; small > 0; small /= 10000)
		groups[ngroups++] = (int16) (small % 10000);

	while (ngroups > 0 && groups[ngroups - 1] == 0)
		ngroups--;
	while (lowest < ngroups && groups[lowest] == 0)
		lowest++;
	ndigits = ngroups - lowest;
	weight = ndigits > 0 ? ngroups - 1 - nfraction : 0;

	/* Scale is at most 38 and weight within -10 .. 9: always the short form. */
	stored = palloc(VARHDRSZ + sizeof(uint16) * (1 + ndigits));
	SET_VARSIZE(stored, VARHDRSZ + sizeof(uint16) * (1 + ndigits));
	words = (uint16 *) VARDATA(stored);
	words[0] = HEADER_SHORT | (negative && ndigits > 0 ? SHORT_NEGATIVE : 0) |
		(scale << SHORT_DSCALE_SHIFT) |
		(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
	for (int i = 0; i < ndigits; i++)
		words[1 + i] = (uint16) groups[ngroups - 1 - i];
	return PointerGetDatum(stored);
}

void
DecimalToText(int128 unscaled, int scale, char *buf)
{
	bool		negative = unscaled < 0;
	uint128_t	left = negative ? -(uint128_t) unscaled : (uint128_t) unscaled;
	char		digits[64];
	int			n = 0;

	do
	{
		digits[n++] = '0' + (int) (left % 10);
		left /= 10;
	} while (left > 0 || n <= scale);
	if (negative)
		*buf++ = '-';
	while (n > 0)
	{
		*buf++ = digits[--n];
		if (n == scale && scale > 0)
			*buf++ = '.';
	}
	*buf = '\0';
}
