/*
 * acl.c
 *		Privileges, copied exactly.
 *
 * GRANT cannot reproduce who granted what to whom; the access-control list
 * itself can be copied, since the new table has the same owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "table/parts.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A list in the catalogs: of a relation (attnum 0) or of a column. */
typedef struct AclPlace
{
	Oid			relid;
	AttrNumber	attnum;
	Oid			catalog;
	AttrNumber	column;
} AclPlace;

static AclPlace
PlaceOfTable(Oid relid)
{
	return (AclPlace) {relid, 0, RelationRelationId, Anum_pg_class_relacl};
}

static AclPlace
PlaceOfColumn(Oid relid, AttrNumber attnum)
{
	return (AclPlace) {relid, attnum, AttributeRelationId, Anum_pg_attribute_attacl};
}

static void
ReadClass(Oid relid, Oid *owner, AttrNumber *natts)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (owner != NULL)
		*owner = form->relowner;
	if (natts != NULL)
		*natts = form->relnatts;
	ReleaseSysCache(tuple);
}

static HeapTuple
CopyPlace(AclPlace place)
{
	HeapTuple	tuple;

	if (place.attnum == 0)
		tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(place.relid));
	else
		tuple = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(place.relid),
									Int16GetDatum(place.attnum));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for column %d of relation %u", place.attnum, place.relid);
	return tuple;
}

/*
 * The list at a place, NULL for the default one.
 */
static Acl *
ReadAcl(AclPlace place)
{
	HeapTuple	tuple = CopyPlace(place);
	Relation	catalog = table_open(place.catalog, AccessShareLock);
	bool		isnull;
	Datum		acl = heap_getattr(tuple, place.column, RelationGetDescr(catalog), &isnull);

	table_close(catalog, AccessShareLock);
	return isnull ? NULL : DatumGetAclPCopy(acl);
}

static int
Members(Acl *acl, Oid **members)
{
	*members = NULL;
	return acl == NULL ? 0 : aclmembers(acl, members);
}

static void
WriteAcl(AclPlace place, Acl *acl)
{
	Relation	catalog = table_open(place.catalog, RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(catalog);
	HeapTuple	tuple = CopyPlace(place);
	Acl		   *before = ReadAcl(place);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc0(desc->natts * sizeof(bool));
	bool	   *replace = palloc0(desc->natts * sizeof(bool));
	Oid		   *old_members;
	Oid		   *new_members;
	Oid			owner;
	int			nold = Members(before, &old_members);
	int			nnew = Members(acl, &new_members);

	values[place.column - 1] = PointerGetDatum(acl);
	nulls[place.column - 1] = acl == NULL;
	replace[place.column - 1] = true;
	tuple = heap_modify_tuple(tuple, desc, values, nulls, replace);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	ReadClass(place.relid, &owner, NULL);
	updateAclDependencies(RelationRelationId, place.relid, place.attnum,
						  owner,
						  nold, old_members, nnew, new_members);
	table_close(catalog, RowExclusiveLock);
}

/*
 * Give a table and its columns the privileges of another table with columns of
 * the same names and the same owner.
 */
void
AclCopyTable(Oid from, Oid to)
{
	AttrNumber	natts;

	ReadClass(from, NULL, &natts);
	WriteAcl(PlaceOfTable(to), ReadAcl(PlaceOfTable(from)));
	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
	{
		char	   *name = get_attname(from, attnum, true);
		Acl		   *acl;

		if (name == NULL)
			continue;			/* dropped */
		acl = ReadAcl(PlaceOfColumn(from, attnum));
		if (acl != NULL)
			WriteAcl(PlaceOfColumn(to, get_attnum(to, name)), acl);
	}
}

/*
 * Take away what default privileges granted: a leaf is reached by its parent.
 */
void
AclReset(Oid relid)
{
	AclPlace	place = PlaceOfTable(relid);

	if (ReadAcl(place) != NULL)
		WriteAcl(place, NULL);
}
