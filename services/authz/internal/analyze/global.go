package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Objects of no schema are admin's, and are bound all the same: what is not there gets
// PostgreSQL's own error, told to whom all that is asked for is granted.

// globalWords are what PostgreSQL calls the kinds in its errors (get_language_oid of
// proclang.c, get_foreign_server_oid and its kin of foreign.c, get_publication_oid of
// lsyscache.c).
func globalWords() map[catalog.GlobalKind]string {
	return map[catalog.GlobalKind]string{catalog.KindLanguage: "language", catalog.KindWrapper: "foreign-data wrapper",
		catalog.KindServer: "server", catalog.KindPublication: "publication"}
}

// global finds an object of no schema.
func (a *analyzer) global(kind catalog.GlobalKind, name string) (*catalog.Global, error) {
	if err := a.spend(len(a.snap.Globals)); err != nil {
		return nil, err
	}
	if found := a.snap.Global(kind, name); found != nil {
		return found, nil
	}
	return nil, missingGlobal(globalWords()[kind], name)
}

// language finds a language. Code in one that is not trusted, or is not there, is an
// administrator's.
func (a *analyzer) language(name string) (*catalog.Global, error) {
	found, err := a.global(catalog.KindLanguage, name)
	if err != nil || !found.Trusted {
		a.ask(access.Admin, a.database())
	}
	return found, err
}

// missingGlobal is the error about an object of no schema that is not there.
func missingGlobal(words, name string) error {
	return hide(stateUndefinedObject, words+" \""+name+"\" does not exist", 0)
}

// globalThere reports whether an object is there that DROP, COMMENT and their kin name.
// Of types that the snapshot does not list it takes every name.
func (a *analyzer) globalThere(typ pg_query.ObjectType, name string) (there bool, err error) {
	if err := a.spend(len(a.snap.Globals) + len(a.snap.EventTriggers) + len(a.snap.Extensions)); err != nil {
		return false, err
	}
	switch typ {
	case pg_query.ObjectType_OBJECT_LANGUAGE:
		return a.snap.Global(catalog.KindLanguage, name) != nil, nil
	case pg_query.ObjectType_OBJECT_FDW:
		return a.snap.Global(catalog.KindWrapper, name) != nil, nil
	case pg_query.ObjectType_OBJECT_FOREIGN_SERVER:
		return a.snap.Global(catalog.KindServer, name) != nil, nil
	case pg_query.ObjectType_OBJECT_PUBLICATION:
		return a.snap.Global(catalog.KindPublication, name) != nil, nil
	case pg_query.ObjectType_OBJECT_EVENT_TRIGGER:
		return a.eventTriggerThere(name), nil
	case pg_query.ObjectType_OBJECT_EXTENSION:
		return a.snap.ExtensionByName(name) != nil, nil
	default:
		return true, nil
	}
}

func (a *analyzer) eventTriggerThere(name string) bool {
	return slices.ContainsFunc(a.snap.EventTriggers, func(t catalog.EventTrigger) bool { return t.Name == name })
}

// bindsGlobal binds the name of an object of no schema, where it has a name of one part.
func (a *analyzer) bindsGlobal(k objectKind, object *pg_query.Node, missingOK bool) error {
	name := object.GetString_()
	if name == nil || missingOK {
		return nil
	}
	there, err := a.globalThere(k.kind, name.Sval)
	if err != nil || there {
		return err
	}
	return missingGlobal(k.words, name.Sval)
}

// onGlobal makes a judgement of a statement of administration about something of no schema
// that it names. there says whether it is there, words what it is called where it is not.
func onGlobal[T any](command, words string, get func(*pg_query.Node) T, there func(*analyzer, T) (name string, there bool)) judgement {
	return changing(command, access.EffectDDL, get, func(a *analyzer, stmt T) error {
		a.ask(access.Admin, a.database())
		if err := a.spend(len(a.snap.Globals) + len(a.snap.EventTriggers) + len(a.snap.Extensions)); err != nil {
			return err
		}
		if name, there := there(a, stmt); !there {
			return missingGlobal(words, name)
		}
		return nil
	})
}

// globalKinds need admin on the session's database, and that what they name is there.
func globalKinds() []kind {
	const accesses, effects = "`admin` on the database; what it names is bound", "`ddl`"
	is := func(a *analyzer, kind catalog.GlobalKind, name string) (string, bool) {
		return name, a.snap.Global(kind, name) != nil
	}
	return []kind{
		{node: "AlterExtensionStmt", command: "ALTER EXTENSION UPDATE", accesses: accesses, effects: effects,
			judge: onGlobal("alter extension", "extension", (*pg_query.Node).GetAlterExtensionStmt, func(a *analyzer, s *pg_query.AlterExtensionStmt) (string, bool) {
				return s.Extname, a.snap.ExtensionByName(s.Extname) != nil
			})},
		{node: "CreateForeignServerStmt", command: "CREATE SERVER", accesses: accesses, effects: effects,
			judge: onGlobal("create server", "foreign-data wrapper", (*pg_query.Node).GetCreateForeignServerStmt, func(a *analyzer, s *pg_query.CreateForeignServerStmt) (string, bool) {
				return is(a, catalog.KindWrapper, s.Fdwname)
			})},
		{node: "AlterForeignServerStmt", command: "ALTER SERVER", accesses: accesses, effects: effects,
			judge: onGlobal("alter server", "server", (*pg_query.Node).GetAlterForeignServerStmt, func(a *analyzer, s *pg_query.AlterForeignServerStmt) (string, bool) {
				return is(a, catalog.KindServer, s.Servername)
			})},
		{node: "CreateUserMappingStmt", command: "CREATE USER MAPPING", accesses: accesses, effects: effects,
			judge: onGlobal("create user mapping", "server", (*pg_query.Node).GetCreateUserMappingStmt, func(a *analyzer, s *pg_query.CreateUserMappingStmt) (string, bool) {
				return is(a, catalog.KindServer, s.Servername)
			})},
		{node: "AlterUserMappingStmt", command: "ALTER USER MAPPING", accesses: accesses, effects: effects,
			judge: onGlobal("alter user mapping", "server", (*pg_query.Node).GetAlterUserMappingStmt, func(a *analyzer, s *pg_query.AlterUserMappingStmt) (string, bool) {
				return is(a, catalog.KindServer, s.Servername)
			})},
		{node: "DropUserMappingStmt", command: "DROP USER MAPPING", accesses: accesses, effects: effects,
			judge: onGlobal("drop user mapping", "server", (*pg_query.Node).GetDropUserMappingStmt, func(a *analyzer, s *pg_query.DropUserMappingStmt) (string, bool) {
				name, there := is(a, catalog.KindServer, s.Servername)
				return name, there || s.MissingOk
			})},
		{node: "AlterEventTrigStmt", command: "ALTER EVENT TRIGGER", accesses: accesses, effects: effects,
			judge: onGlobal("alter event trigger", "event trigger", (*pg_query.Node).GetAlterEventTrigStmt, func(a *analyzer, s *pg_query.AlterEventTrigStmt) (string, bool) {
				return s.Trigname, a.eventTriggerThere(s.Trigname)
			})},
	}
}
