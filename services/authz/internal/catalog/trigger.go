package catalog

// What runs because something else does: triggers, rules, policies, event triggers.

// Trigger is a row of pg_trigger.
type Trigger struct {
	Name     string
	Function OID
	// Type is tgtype: bits for row, before, insert, delete, update, truncate and
	// instead (catalog/pg_trigger.h).
	Type int16
	// Enabled is tgenabled: O, D, R or A.
	Enabled byte
	// Columns are the numbers of the columns of UPDATE OF; empty for any column.
	Columns []int16
	// Condition says that there is a WHEN condition.
	Condition bool
	// Definition is the condition as pg_get_triggerdef prints the whole trigger,
	// when there is one; References are what it was resolved to.
	Definition string `digest:"-"`
	References References
}

// Rule is a row of pg_rewrite.
type Rule struct {
	Name string
	// Event is ev_type: 1 select, 2 update, 3 insert, 4 delete.
	Event byte
	// Instead is is_instead; Enabled is ev_enabled: O, D, R or A.
	Instead bool
	Enabled byte
	// Definition is pg_get_ruledef; References are what it was resolved to.
	Definition string `digest:"-"`
	References References
}

// Policy is a row of pg_policy.
type Policy struct {
	Name string
	// Command is polcmd: r, a, w, d or *.
	Command byte
	// Permissive is polpermissive.
	Permissive bool
	// Roles are the names of the roles it applies to; empty for PUBLIC.
	Roles []string
	// Using and Check are its expressions, empty for none; References are what both were
	// resolved to.
	Using, Check string `digest:"-"`
	References   References
}

// EventTrigger is a row of pg_event_trigger.
type EventTrigger struct {
	OID  OID
	Name string
	// Event is evtevent: ddl_command_start, ddl_command_end, sql_drop, table_rewrite,
	// login.
	Event    string
	Function OID
	// Enabled is evtenabled: O, D, R or A.
	Enabled byte
	// Tags are the command tags it fires for, empty for all.
	Tags []string
}
