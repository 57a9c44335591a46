package catalog

// Expression is an expression that a catalog table holds, as the server prints it.
type Expression struct {
	Text       string `digest:"-"`
	References References
}

// References are what a stored text was resolved to when it was stored: what its row
// depends on (recordDependencyOnExpr of dependency.c). Printed, a call holds the name
// and not the function; bound again, it may find one that somebody has made since.
//
// Each list is ascending and without duplicates. What is pinned (OIDs below
// FirstUnpinnedOID) has no rows in pg_depend, and is in none of them. What a name alone
// decides is not held: types and collations have no overloads, and are printed with the
// name that they have.
type References struct {
	// Recorded says that they were read. Without, as for what a statement of the same
	// message has made, a text means what it means today.
	Recorded bool
	// Relations are those read or written, named by a literal, and those whose row type
	// a column is taken from. The relation that the text belongs to may be among them.
	Relations []OID
	Functions []OID
	Operators []OID
}

// Unreadable stands in a snapshot for a text that could not be read, since
// somebody had a relation locked that must be locked to print it. It is no SQL, so
// that nobody takes it for a text without code; nothing can be decided by it.
const Unreadable = "\x01 unreadable \x01"
