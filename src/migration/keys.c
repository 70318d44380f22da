/*
 * keys.c
 *		Owners of keys before and after a change of the map, and reading keys
 *		from rows.
 *
 * The maps are copies of our own: an entry of the catalog's cache lives only to
 * the next catalog call, and planning needs maps that no router has yet.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "catalog/partition.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "migration/keys.h"
#include "migration/rows.h"
#include "miscadmin.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"

static double
WeightOf(const Router *router, int shard_index)
{
	for (int i = 0; i < router->nshards; i++)
		if (router->shards[i].index == shard_index)
			return router->shards[i].weight;
	return 1;
}

static RouterMap *
BuildMap(const Router *router, const int *members, int nmembers)
{
	double	   *weights = palloc(sizeof(double) * Max(nmembers, 1));
	MapDefinition def = {
		.strategy = router->strategy,
		.hash = router->hash,
		.virtual_nodes = router->virtual_nodes,
		.nmembers = nmembers,
		.members = members,
		.weights = weights
	};

	for (int i = 0; i < nmembers; i++)
		weights[i] = WeightOf(router, members[i]);
	return MapBuild(&def);
}

KeyMoves *
KeyMovesCreate(const Router *router, const int *next, int nnext, int leaving, bool backward)
{
	KeyMoves   *moves = palloc0(sizeof(KeyMoves));

	moves->router = pstrdup(router->name);
	moves->hash = router->hash;
	moves->has_pins = router->has_pins;
	moves->has_next_pins = router->has_next_pins;
	moves->backward = backward;
	moves->leaving = leaving;
	moves->before = BuildMap(router, router->members, router->nmembers);
	moves->after = BuildMap(router, next, nnext);
	moves->last_allocated = 64;
	moves->last_key = palloc(moves->last_allocated);
	moves->last_len = SIZE_MAX;
	return moves;
}

/*
 * The hash is over the UTF-8 bytes, whatever the database's encoding.
 */
static const char *
AsUtf8(const char *key, size_t len, size_t *utf8_len)
{
	const char *utf8;

	*utf8_len = len;
	if (likely(GetDatabaseEncoding() == PG_UTF8))
		return key;
	utf8 = pg_server_to_any(key, len, PG_UTF8);
	if (utf8 != key)
		*utf8_len = strlen(utf8);
	return utf8;
}

static void
Remember(KeyMoves *moves, const char *key, size_t len)
{
	if (len > moves->last_allocated)
	{
		moves->last_allocated = len * 2;
		moves->last_key = repalloc(moves->last_key, moves->last_allocated);
	}
	memcpy(moves->last_key, key, len);
	moves->last_len = len;
}

/*
 * The owners of a key by the router's map and by the next one.
 */
static void
FindOwners(KeyMoves *moves, const char *key, size_t len, const char *utf8, size_t utf8_len,
		   int *now, int *next)
{
	int			pin;
	int			next_pin;
	bool		pinned = moves->has_pins && CatalogPin(moves->router, key, len, &pin);
	bool		stays = pinned && pin != moves->leaving;

	*now = pinned ? pin : MapRoute(moves->before, utf8, utf8_len);
	if (moves->has_next_pins && CatalogNextPin(moves->router, key, len, &next_pin))
	{
		stays = next_pin != PIN_REMOVED;
		pin = next_pin;
	}
	*next = stays ? pin : MapRoute(moves->after, utf8, utf8_len);
}

void
KeyMovesLookup(KeyMoves *moves, const char *key, size_t len,
			   uint64 *position, int *before, int *after)
{
	if (len != moves->last_len || memcmp(key, moves->last_key, len) != 0)
	{
		size_t		utf8_len;
		const char *utf8 = AsUtf8(key, len, &utf8_len);

		moves->last_len = SIZE_MAX;
		moves->last_position = KeyPosition(moves->hash, utf8, utf8_len);
		if (moves->backward)
			FindOwners(moves, key, len, utf8, utf8_len, &moves->last_after, &moves->last_before);
		else
			FindOwners(moves, key, len, utf8, utf8_len, &moves->last_before, &moves->last_after);
		Remember(moves, key, len);
	}
	*position = moves->last_position;
	*before = moves->last_before;
	*after = moves->last_after;
}

uint64
KeyMovesPosition(const KeyMoves *moves, const char *key, size_t len)
{
	size_t		utf8_len;
	const char *utf8 = AsUtf8(key, len, &utf8_len);

	return KeyPosition(moves->hash, utf8, utf8_len);
}

bool
KeyTypeIsText(Oid type)
{
	Oid			base = getBaseType(type);

	return base == TEXTOID || base == VARCHAROID;
}

const char *
KeyDatumText(Oid type, bool is_text, Datum value, size_t *len)
{
	const char *text;

	if (is_text)
	{
		struct varlena *v = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

		*len = VARSIZE_ANY_EXHDR(v);
		return VARDATA_ANY(v);
	}
	if (type == INT8OID || type == INT4OID || type == INT2OID)
	{
		int64		number = type == INT8OID ? DatumGetInt64(value) :
			type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
		char	   *digits = palloc(24);

		*len = pg_lltoa(number, digits);
		return digits;
	}
	text = CatalogKeyText(type, value);
	*len = strlen(text);
	return text;
}

/*
 * Set up the evaluation of a key that is an expression, over the leaf's columns.
 */
static void
PrepareExpression(KeyReader *reader, Relation parent, Relation leaf, Node *expression)
{
	bool		found_whole_row;
	RowMap	   *map = RowMapCreate(RelationGetDescr(parent), RelationGetDescr(leaf));
	AttrMap    *attrs = make_attrmap(map->nparent);

	for (int i = 0; i < map->nparent; i++)
		attrs->attnums[i] = map->leaf_of[i];
	expression = map_variable_attnos(copyObject(expression), 1, 0, attrs,
									 RelationGetForm(leaf)->reltype, &found_whole_row);
	reader->estate = CreateExecutorState();
	reader->slot = MakeSingleTupleTableSlot(RelationGetDescr(leaf), &TTSOpsHeapTuple);
	reader->expression = ExecPrepareExpr((Expr *) expression, reader->estate);
}

KeyReader *
KeyReaderCreate(Relation parent, Relation leaf)
{
	KeyReader  *reader = palloc0(sizeof(KeyReader));
	PartitionKey key = RelationGetPartitionKey(parent);

	if (key == NULL || get_partition_natts(key) != 1)
		elog(ERROR, "\"%s\" is not partitioned by one key", RelationGetRelationName(parent));
	reader->type = get_partition_col_typid(key, 0);
	reader->is_text = KeyTypeIsText(reader->type);
	reader->owner = RelationGetForm(parent)->relowner;
	if (key->partattrs[0] != 0)
	{
		RowMap	   *map = RowMapCreate(RelationGetDescr(parent), RelationGetDescr(leaf));

		reader->attnum = map->leaf_of[key->partattrs[0] - 1];
	}
	else
		PrepareExpression(reader, parent, leaf, linitial(key->partexprs));
	return reader;
}

void
KeyReaderFree(KeyReader *reader)
{
	if (reader->expression != NULL)
	{
		ExecDropSingleTupleTableSlot(reader->slot);
		FreeExecutorState(reader->estate);
	}
	pfree(reader);
}

/*
 * Evaluate a key expression as the table's owner: it may call functions that
 * the owner, and no superuser, has chosen.
 */
static Datum
EvaluateKey(KeyReader *reader, HeapTuple tuple, bool *isnull)
{
	ExprContext *econtext = GetPerTupleExprContext(reader->estate);
	Oid			user;
	int			context;
	Datum		value;

	ResetExprContext(econtext);
	ExecStoreHeapTuple(tuple, reader->slot, false);
	econtext->ecxt_scantuple = reader->slot;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(reader->owner, context | SECURITY_RESTRICTED_OPERATION);
	value = ExecEvalExpr(reader->expression, econtext, isnull);
	SetUserIdAndSecContext(user, context);
	return value;
}

const char *
KeyReaderText(KeyReader *reader, HeapTuple tuple, TupleDesc desc, size_t *len)
{
	bool		isnull;
	Datum		value;

	if (reader->attnum != 0)
		value = heap_getattr(tuple, reader->attnum, desc, &isnull);
	else
		value = EvaluateKey(reader, tuple, &isnull);
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row without a partition key cannot be moved")));
	return KeyDatumText(reader->type, reader->is_text, value, len);
}
