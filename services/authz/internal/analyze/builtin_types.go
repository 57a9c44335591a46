package analyze

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// builtinType is a scalar, range or multirange type of pg_catalog whose input,
// output, comparison and casts run only built-in code over built-in data. No
// type is here whose input looks names up (the reg* types, aclitem) or that is a
// pseudo-type.
type builtinType struct {
	name       string
	oid, array catalog.OID
	// noCast keeps the type from being named in a statement, while columns of it may
	// be read: its input does more than read a value.
	noCast bool
}

// builtinTypes are the same in PostgreSQL 14 to 18 (pg_type.dat).
func builtinTypes() []builtinType {
	return []builtinType{
		{name: "bool", oid: 16, array: 1000},
		{name: "bytea", oid: 17, array: 1001},
		{name: "char", oid: 18, array: 1002},
		{name: "name", oid: 19, array: 1003},
		{name: "int8", oid: 20, array: 1016},
		{name: "int2", oid: 21, array: 1005},
		{name: "int4", oid: 23, array: 1007},
		{name: "text", oid: 25, array: 1009},
		{name: "oid", oid: 26, array: 1028},
		{name: "tid", oid: 27, array: 1010},
		{name: "xid", oid: 28, array: 1011},
		{name: "cid", oid: 29, array: 1012},
		{name: "json", oid: 114, array: 199},
		{name: "xml", oid: 142, array: 143, noCast: true},
		{name: "point", oid: 600, array: 1017},
		{name: "lseg", oid: 601, array: 1018},
		{name: "path", oid: 602, array: 1019},
		{name: "box", oid: 603, array: 1020},
		{name: "polygon", oid: 604, array: 1027},
		{name: "line", oid: 628, array: 629},
		{name: "cidr", oid: 650, array: 651},
		{name: "float4", oid: 700, array: 1021},
		{name: "float8", oid: 701, array: 1022},
		{name: "circle", oid: 718, array: 719},
		{name: "macaddr8", oid: 774, array: 775},
		{name: "money", oid: 790, array: 791},
		{name: "macaddr", oid: 829, array: 1040},
		{name: "inet", oid: 869, array: 1041},
		{name: "bpchar", oid: 1042, array: 1014},
		{name: "varchar", oid: 1043, array: 1015},
		{name: "date", oid: 1082, array: 1182},
		{name: "time", oid: 1083, array: 1183},
		{name: "timestamp", oid: 1114, array: 1115},
		{name: "timestamptz", oid: 1184, array: 1185},
		{name: "interval", oid: 1186, array: 1187},
		{name: "timetz", oid: 1266, array: 1270},
		{name: "bit", oid: 1560, array: 1561},
		{name: "varbit", oid: 1562, array: 1563},
		{name: "numeric", oid: 1700, array: 1231},
		{name: "uuid", oid: 2950, array: 2951},
		{name: "pg_lsn", oid: 3220, array: 3221},
		{name: "tsvector", oid: 3614, array: 3643},
		{name: "tsquery", oid: 3615, array: 3645},
		{name: "jsonb", oid: 3802, array: 3807},
		{name: "int4range", oid: 3904, array: 3905},
		{name: "numrange", oid: 3906, array: 3907},
		{name: "tsrange", oid: 3908, array: 3909},
		{name: "tstzrange", oid: 3910, array: 3911},
		{name: "daterange", oid: 3912, array: 3913},
		{name: "int8range", oid: 3926, array: 3927},
		{name: "jsonpath", oid: 4072, array: 4073},
		{name: "int4multirange", oid: 4451, array: 6150},
		{name: "nummultirange", oid: 4532, array: 6151},
		{name: "tsmultirange", oid: 4533, array: 6152},
		{name: "tstzmultirange", oid: 4534, array: 6153},
		{name: "datemultirange", oid: 4535, array: 6155},
		{name: "int8multirange", oid: 4536, array: 6157},
		{name: "pg_snapshot", oid: 5038, array: 5039},
		{name: "xid8", oid: 5069, array: 271},
	}
}

// typeTable finds built-in types.
type typeTable struct {
	byName map[string]builtinType
	byOID  map[catalog.OID]builtinType
}

func newTypeTable() typeTable {
	table := typeTable{byName: map[string]builtinType{}, byOID: map[catalog.OID]builtinType{}}
	for _, t := range builtinTypes() {
		table.byName[t.name] = t
		table.byOID[t.oid] = t
		// The array, under the name pg_type gives it.
		array := builtinType{name: "_" + t.name, oid: t.array, noCast: t.noCast}
		table.byName[array.name] = array
		table.byOID[array.oid] = array
	}
	return table
}
