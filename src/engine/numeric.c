/*
 * numeric.c
 *		Arithmetic of PostgreSQL's type numeric.
 *
 * Numbers are groups of four decimal digits, as PostgreSQL keeps them: how many
 * decimals a quotient shows depends on where its operands' groups lie.
 */
#include "engine/numeric.h"

#define BASE 10000
#define GROUP_DIGITS 4

/* Significant digits that a quotient has at least, and decimals at most. */
#define QUOTIENT_DIGITS 16
#define MAX_SCALE 1000

static const int powers[] = {1, 10, 100, 1000, 10000};

/* ---- form ---- */

static void
Strip(Number *n)
{
	int			leading = 0;

	while (leading < n->ngroups && n->groups[leading] == 0)
		leading++;
	if (leading > 0)
	{
		memmove(n->groups, n->groups + leading, (n->ngroups - leading) * sizeof(int16));
		n->ngroups -= leading;
		n->weight -= leading;
	}
	while (n->ngroups > 0 && n->groups[n->ngroups - 1] == 0)
		n->ngroups--;
	if (n->ngroups == 0)
	{
		n->weight = 0;
		n->negative = false;
	}
}

/* The group worth 10000^weight. */
static int
GroupAt(const Number *n, int weight)
{
	int			i = n->weight - weight;

	return i >= 0 && i < n->ngroups ? n->groups[i] : 0;
}

/* Weight of the group in which a decimal lies, counted from 1. */
static int
ScaleWeight(int scale)
{
	return -((scale + GROUP_DIGITS - 1) / GROUP_DIGITS);
}

bool
NumberParse(const char *text, size_t len, Number *out)
{
	size_t		i = 0;
	size_t		whole;
	size_t		point;

	out->negative = false;
	out->ngroups = 0;
	if (len > 0 && (text[0] == '-' || text[0] == '+'))
		out->negative = text[i++] == '-';
	while (i < len && text[i] == '0')
		i++;
	for (point = i; point < len && text[point] >= '0' && text[point] <= '9';)
		point++;
	whole = point - i;
	if (point < len && text[point] != '.')
		return false;
	out->scale = point < len ? (int) (len - point - 1) : 0;
	if (len == 0 || whole / GROUP_DIGITS + out->scale / GROUP_DIGITS + 2 > NUMERIC_GROUPS)
		return false;
	out->weight = (int) ((whole + GROUP_DIGITS - 1) / GROUP_DIGITS) - 1;

	/* the first group may be short, the last one is filled with zeroes */
	for (int weight = out->weight; weight >= ScaleWeight(out->scale); weight--)
	{
		int			group = 0;

		for (int digit = GROUP_DIGITS - 1; digit >= 0; digit--)
		{
			long		place = (long) weight * GROUP_DIGITS + digit;
			long		at = place >= 0 ? (long) point - 1 - place : (long) point - place;
			char		c = '0';

			if (place >= 0 ? at >= (long) i : at < (long) len)
				c = text[at];
			if (c < '0' || c > '9')
				return false;
			group = group * 10 + (c - '0');
		}
		out->groups[out->ngroups++] = (int16) group;
	}
	Strip(out);
	return true;
}

size_t
NumberPrint(const Number *n, char *out)
{
	char	   *p = out;
	bool		started = false;

	if (n->negative)
		*p++ = '-';
	for (int weight = n->ngroups > 0 ? n->weight : -1; weight >= 0; weight--)
	{
		int			group = GroupAt(n, weight);

		for (int digit = GROUP_DIGITS - 1; digit >= 0; digit--)
		{
			int			d = group / powers[digit] % 10;

			started = started || d != 0;
			if (started)
				*p++ = (char) ('0' + d);
		}
	}
	if (!started)
		*p++ = '0';
	if (n->scale > 0)
		*p++ = '.';
	for (int i = 0; i < n->scale; i++)
	{
		int			group = GroupAt(n, -1 - i / GROUP_DIGITS);

		*p++ = (char) ('0' + group / powers[GROUP_DIGITS - 1 - i % GROUP_DIGITS] % 10);
	}
	return p - out;
}

/* ---- adding ---- */

static int
CompareMagnitude(const Number *a, const Number *b)
{
	int			lowest;

	if (a->ngroups == 0 || b->ngroups == 0)
		return (a->ngroups > 0) - (b->ngroups > 0);
	if (a->weight != b->weight)
		return a->weight < b->weight ? -1 : 1;
	lowest = a->ngroups > b->ngroups ? a->ngroups : b->ngroups;
	for (int i = 0; i < lowest; i++)
	{
		int			x = i < a->ngroups ? a->groups[i] : 0;
		int			y = i < b->ngroups ? b->groups[i] : 0;

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

int
NumberCompare(const Number *a, const Number *b)
{
	int			order;

	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	order = CompareMagnitude(a, b);
	return a->negative ? -order : order;
}

static int
LowestWeight(const Number *n)
{
	return n->weight - n->ngroups + 1;
}

/*
 * |a| + |b|, or |a| - |b| where |a| is not less.
 */
static bool
AddMagnitude(const Number *a, const Number *b, bool subtract, Number *out)
{
	int			top = (a->weight > b->weight ? a->weight : b->weight) + 1;
	int			bottom = LowestWeight(a) < LowestWeight(b) ? LowestWeight(a) : LowestWeight(b);
	int			carry = 0;

	if (top - bottom + 1 > NUMERIC_GROUPS)
		return false;
	out->weight = top;
	out->ngroups = top - bottom + 1;
	for (int weight = bottom; weight <= top; weight++)
	{
		int			sum = GroupAt(a, weight) + (subtract ? -GroupAt(b, weight) : GroupAt(b, weight)) + carry;

		carry = sum >= BASE ? 1 : sum < 0 ? -1 : 0;
		out->groups[top - weight] = (int16) (sum - carry * BASE);
	}
	Strip(out);
	return true;
}

bool
NumberAdd(const Number *a, const Number *b, bool subtract, Number *out)
{
	bool		b_negative = b->negative != subtract;
	bool		swap;
	bool		ok;

	out->scale = a->scale > b->scale ? a->scale : b->scale;
	if (a->negative == b_negative)
	{
		ok = AddMagnitude(a, b, false, out);
		out->negative = a->negative && out->ngroups > 0;
		return ok;
	}
	swap = CompareMagnitude(a, b) < 0;
	ok = AddMagnitude(swap ? b : a, swap ? a : b, true, out);
	out->negative = (swap ? b_negative : a->negative) && out->ngroups > 0;
	return ok;
}

/* ---- multiplying and dividing ---- */

bool
NumberMultiply(const Number *a, const Number *b, Number *out)
{
	int64		sums[NUMERIC_GROUPS + 4] = {0};
	int			n = a->ngroups + b->ngroups;
	int64		carry = 0;

	if (n > NUMERIC_GROUPS || a->scale + b->scale > MAX_SCALE)
		return false;
	for (int i = 0; i < a->ngroups; i++)
		for (int j = 0; j < b->ngroups; j++)
			sums[i + j + 1] += (int64) a->groups[i] * b->groups[j];
	for (int i = n - 1; i >= 0; i--)
	{
		sums[i] += carry;
		carry = sums[i] / BASE;
		out->groups[i] = (int16) (sums[i] % BASE);
	}
	out->ngroups = a->ngroups == 0 || b->ngroups == 0 ? 0 : n;
	out->weight = a->weight + b->weight + 1;
	out->scale = a->scale + b->scale;
	out->negative = a->negative != b->negative;
	Strip(out);
	return true;
}

/*
 * Quotient of the magnitudes, down to the group of weight bottom, cut off there.
 * Schoolbook division: each group of the quotient is estimated from the leading
 * groups of the remainder and the divisor, and set right.
 */
static bool
DivideMagnitude(const Number *a, const Number *b, int bottom, Number *out)
{
	int			top = a->weight - b->weight;
	int			nquotient = top - bottom + 1;
	int			nb = b->ngroups;
	int64		rest[2 * NUMERIC_GROUPS + 8] = {0};
	double		divisor;

	out->ngroups = 0;
	out->weight = top;
	if (a->ngroups == 0 || nquotient <= 0)
	{
		Strip(out);
		return true;
	}
	if (nquotient > NUMERIC_GROUPS || nb + nquotient > 2 * NUMERIC_GROUPS)
		return false;
	for (int i = 0; i < a->ngroups && i < nb + nquotient; i++)
		rest[i + 1] = a->groups[i];
	divisor = b->groups[0] + (nb > 1 ? b->groups[1] / (double) BASE : 0) +
		(nb > 2 ? b->groups[2] / ((double) BASE * BASE) : 0);
	for (int q = 0; q < nquotient; q++)
	{
		double		leading = (double) rest[q] * BASE + rest[q + 1] + rest[q + 2] / (double) BASE +
			rest[q + 3] / ((double) BASE * BASE);
		int64		group = (int64) (leading / divisor);

		for (int i = nb - 1; i >= 0; i--)
			rest[q + 1 + i] -= group * b->groups[i];
		/* carry from the last group on, so that each but the first is in range */
		for (int i = q + nb; i > q; i--)
		{
			int64		carry = rest[i] >= 0 ? rest[i] / BASE : -((-rest[i] + BASE - 1) / BASE);

			rest[i] -= carry * BASE;
			rest[i - 1] += carry;
		}
		while (rest[q] < 0)
		{
			group--;
			for (int i = nb - 1; i >= 0; i--)
			{
				rest[q + 1 + i] += b->groups[i];
				if (rest[q + 1 + i] >= BASE)
				{
					rest[q + 1 + i] -= BASE;
					rest[q + i]++;
				}
			}
		}
		for (;;)
		{
			bool		less = rest[q] == 0;

			for (int i = 0; less && i < nb; i++)
			{
				if (rest[q + 1 + i] == b->groups[i])
				{
					less = i < nb - 1;
					continue;
				}
				less = rest[q + 1 + i] < b->groups[i];
				break;
			}
			if (less)
				break;
			group++;
			for (int i = nb - 1; i >= 0; i--)
			{
				rest[q + 1 + i] -= b->groups[i];
				if (rest[q + 1 + i] < 0)
				{
					rest[q + 1 + i] += BASE;
					rest[q + i]--;
				}
			}
		}
		out->groups[out->ngroups++] = (int16) group;
	}
	Strip(out);
	return true;
}

/*
 * Decimals of a quotient: at least QUOTIENT_DIGITS significant digits, by the
 * weights and first groups of both.
 */
static int
QuotientScale(const Number *a, const Number *b)
{
	int			weight = (a->ngroups > 0 ? a->weight : 0) - b->weight;
	int			scale;

	if ((a->ngroups > 0 ? a->groups[0] : 0) <= b->groups[0])
		weight--;
	scale = QUOTIENT_DIGITS - weight * GROUP_DIGITS;
	if (scale < a->scale)
		scale = a->scale;
	if (scale < b->scale)
		scale = b->scale;
	if (scale < 0)
		scale = 0;
	return scale > MAX_SCALE ? MAX_SCALE : scale;
}

bool
NumberDivide(const Number *a, const Number *b, Number *out)
{
	int			scale = QuotientScale(a, b);

	if (!DivideMagnitude(a, b, ScaleWeight(scale) - 1, out))
		return false;
	out->negative = a->negative != b->negative && out->ngroups > 0;
	return NumberRound(out, scale);
}

/*
 * a - trunc(a / b) * b
 */
bool
NumberModulo(const Number *a, const Number *b, Number *out)
{
	Number		quotient;
	Number		product;
	int			scale = a->scale > b->scale ? a->scale : b->scale;

	if (!DivideMagnitude(a, b, 0, &quotient))
		return false;
	quotient.negative = a->negative != b->negative && quotient.ngroups > 0;
	quotient.scale = 0;
	if (!NumberMultiply(&quotient, b, &product) || !NumberAdd(a, &product, true, out))
		return false;
	out->scale = scale;
	return true;
}

/* ---- rounding ---- */

static int
FloorDiv(int a, int b)
{
	return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/*
 * Cut off what lies below a decimal; returns the first digit that is cut off.
 */
static int
CutOff(Number *n, int scale)
{
	int			place = -scale - 1; /* of the first digit that goes */
	int			weight = FloorDiv(place, GROUP_DIGITS);
	int			digit = place - weight * GROUP_DIGITS;	/* within its group */
	int			first = GroupAt(n, weight) / powers[digit] % 10;
	int			keep = n->weight - weight;	/* groups above it */

	if (n->ngroups == 0 || keep >= n->ngroups)
		return first;
	if (keep < 0)
	{
		n->ngroups = 0;
		return 0;
	}
	n->groups[keep] -= (int16) (n->groups[keep] % powers[digit + 1]);
	n->ngroups = keep + 1;
	return first;
}

void
NumberTruncate(Number *n, int scale)
{
	(void) CutOff(n, scale);
	n->scale = scale < 0 ? 0 : scale;
	Strip(n);
}

bool
NumberRound(Number *n, int scale)
{
	bool		negative = n->negative;
	int			first = CutOff(n, scale);
	int			weight = FloorDiv(-scale, GROUP_DIGITS);
	Number		one = {false, weight, 1, 0, {0}};
	Number		rounded;

	n->scale = scale < 0 ? 0 : scale;
	if (first < 5)
	{
		Strip(n);
		return true;
	}
	one.groups[0] = (int16) powers[-scale - weight * GROUP_DIGITS];
	n->negative = false;
	Strip(n);
	if (!NumberAdd(n, &one, false, &rounded))
		return false;
	rounded.negative = negative && rounded.ngroups > 0;
	rounded.scale = n->scale;
	*n = rounded;
	return true;
}

bool
NumberCeiling(Number *n, bool floor)
{
	Number		whole = *n;
	Number		one = {floor, 0, 1, 0, {1}};
	Number		moved;

	NumberTruncate(&whole, 0);
	if (NumberCompare(&whole, n) == 0 || n->negative != floor)
	{
		*n = whole;
		return true;
	}
	if (!NumberAdd(&whole, &one, false, &moved))
		return false;
	*n = moved;
	n->scale = 0;
	return true;
}

/* ---- keys ---- */

/*
 * Sign, weight, groups: for a negative number all of it inverted, with a byte at
 * the end that no group begins with.
 */
size_t
NumberKey(const Number *n, unsigned char *out)
{
	size_t		len = 0;
	int			weight = n->weight + 0x8000;

	if (n->ngroups == 0)
	{
		out[0] = 0x80;
		return 1;
	}
	out[len++] = 0x81;
	out[len++] = (unsigned char) (weight >> 8);
	out[len++] = (unsigned char) weight;
	for (int i = 0; i < n->ngroups; i++)
	{
		int			group = n->groups[i] + 0x100;	/* its first byte is not zero */

		out[len++] = (unsigned char) (group >> 8);
		out[len++] = (unsigned char) group;
	}
	out[len++] = 0;
	if (n->negative)
		for (size_t i = 0; i < len; i++)
			out[i] = (unsigned char) ~out[i];
	return len;
}
