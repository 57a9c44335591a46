package analyze

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// Which functions of an operator class PostgreSQL asks execute for: that of the equality
// operator, where rows are grouped, made distinct, united, cut into partitions of a
// window or compared with their peers there (ExecBuildGroupingEqual). It asks nobody for
// what sorts, hashes and searches indexes, nor for GREATEST, LEAST, row comparisons and
// DISTINCT of an aggregate with one argument: those functions are trusted on their type
// (holds).

// groups asks for execute of what tells equal values of a type from others.
func (a *analyzer) groups(oid catalog.OID) error {
	if oid == 0 || oid < catalog.FirstNormalOID && !a.ordersByUsers(oid) {
		return nil
	}
	if err := a.spend(len(a.snap.OperatorClasses)); err != nil {
		return err
	}
	found, ok := a.names().Sort(oid)
	if !ok {
		// The server says so.
		return nil
	}
	operator := a.snap.OperatorByOID(found.Equal)
	if operator == nil {
		return nil
	}
	f := a.snap.FunctionByOID(operator.Function)
	if f == nil || f.OID < catalog.FirstNormalOID {
		return nil
	}
	a.held.meetOperator(operator.OID)
	return a.invoke(f, nil)
}

// groupsAll is groups for every column of a list.
func (a *analyzer) groupsAll(columns []output) error {
	for _, c := range columns {
		if err := a.groups(c.typ); err != nil {
			return err
		}
	}
	return nil
}
