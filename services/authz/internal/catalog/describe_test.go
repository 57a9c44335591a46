package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const described = `{"TempSchema":"pg_temp_3","Relations":[{"OID":20001,"Schema":"pg_temp_3","Name":"t","Kind":114,"Owner":"a",
	"Columns":[{"Number":1,"Name":"id","Type":23,"Modifier":-1}]}],
	"Types":[{"OID":20003,"Schema":"pg_temp_3","Name":"t","Kind":99,"Relation":20001}],
	"Functions":[{"OID":20004,"Schema":"app","Name":"f","Kind":102,"Arguments":[23],"Defaults":1,"DefaultExpressions":["1"],"ArgumentModes":"aQ==","AllArguments":[23]}]}`

func TestDescribe(t *testing.T) {
	a, err := Describe([]byte(described))
	if err != nil {
		t.Fatal(err)
	}
	if a.TempSchema != "pg_temp_3" || a.Relations[0].Columns[0].Modifier != -1 || a.Types[0].Relation != 20001 || string(a.Functions[0].ArgumentModes) != "i" {
		t.Errorf("%+v", a)
	}
	long := strings.Repeat("x", 64)
	for name, edit := range map[string][2]string{
		"an object of the server's":  {`"OID":20001`, `"OID":1259`},
		"no OID":                     {`"OID":20004,`, ``},
		"a schema of the server's":   {`"Schema":"app"`, `"Schema":"pg_catalog"`},
		"no schema":                  {`"Schema":"app",`, ``},
		"no name":                    {`"Name":"id"`, `"Name":""`},
		"a long name":                {`"Name":"f"`, `"Name":"` + long + `"`},
		"a NUL":                      {`"Name":"f"`, `"Name":"f\u0000"`},
		"an unknown field":           {`"Owner":"a"`, `"Boss":"a"`},
		"an unknown kind":            {`"Kind":114`, `"Kind":64`},
		"a TOAST table":              {`"Kind":114`, `"Kind":116`},
		"no kind":                    {`"Kind":114,`, ``},
		"an unknown kind of type":    {`"Kind":99`, `"Kind":1`},
		"a column without type":      {`"Type":23,`, ``},
		"a column without number":    {`"Number":1,`, ``},
		"a number of another kind":   {`"Type":23,`, `"Type":"23",`},
		"a default without its text": {`"DefaultExpressions":["1"],`, ``},
		"modes without types":        {`,"AllArguments":[23]`, ``},
		"no temporary schema":        {`"TempSchema":"pg_temp_3"`, `"TempSchema":"public"`},
		"a drop":                     {`"TempSchema":"pg_temp_3"`, `"Dropped":{"Relations":[20001]}`},
		"two documents":              {`{"TempSchema"`, `{}{"TempSchema"`},
		"bytes that are no UTF-8":    {`"Owner":"a"`, "\"Owner\":\"\xff\""},
		"too many objects":           {`"Types":[`, `"Schemas":[` + strings.TrimSuffix(strings.Repeat(`{"OID":20009,"Name":"s"},`, maxObjects), ",") + `],"Types":[`},
		"too long":                   {`"Owner":"a"`, `"Owner":"` + strings.Repeat("a", MaxDescription) + `"`},
	} {
		if !strings.Contains(described, edit[0]) {
			t.Errorf("%s: nothing to edit", name)
		}
		if _, err := Describe([]byte(strings.Replace(described, edit[0], edit[1], 1))); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// FuzzDescribe: whatever is accepted can be put on top of a catalog, never hides
// what came with the server, and says the same when it is written and read again.
func FuzzDescribe(f *testing.F) {
	f.Add([]byte(described))
	f.Add([]byte(`{"TempSchema":"pg_temp_1"}`))
	f.Add([]byte(`{"Relations":[{"OID":4294967295,"Schema":"a","Name":"b","Kind":83}]}`))
	base := sample()
	base.Index()
	f.Fuzz(func(t *testing.T, document []byte) {
		a, err := Describe(document)
		if err != nil {
			return
		}
		s := Overlay(base, a)
		if s.TypeByName("pg_catalog", "int4") != base.TypeByOID(23) || s.TypeByOID(23) != base.TypeByOID(23) || len(s.OperatorsNamed("+")) != 2 {
			t.Error("an object of the server's is another one")
		}
		for i := range a.Relations {
			if r := s.RelationByOID(a.Relations[i].OID); r == nil || s.RelationByName(r.Schema, r.Name) == nil {
				t.Error("an addition is not found")
			}
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Describe(again); err != nil {
			t.Errorf("not read again: %s", err)
		}
	})
}

// FuzzDescribeSession: whatever is accepted can be laid over a catalog, or is refused;
// it never stands in the place of what came with the server, and nothing that it drops
// or renames is found.
func FuzzDescribeSession(f *testing.F) {
	base := sample()
	base.Index()
	head := `{"Database":"app","ServerVersionNum":150018,"Wrote":true,"Roles":"` + base.RolesDigest() + `",`
	f.Add([]byte(head + `"TempSchema":"pg_temp_3","Dropped":{"Relations":[20001],"Casts":[20007],"Types":[20003]}}`))
	f.Add([]byte(head + described[1:]))
	f.Add([]byte(head + `"Schemas":[{"OID":2200,"Name":"public","ClosedTo":["a"]}],"Operators":[{"OID":30000,"Schema":"public","Name":"+","Left":23,"Right":23,"Result":23,"Function":20004}],
		"Casts":[{"OID":30001,"Source":23,"Target":25,"Function":20004,"Context":105,"Method":102}],"Collations":[{"OID":30002,"Schema":"public","Name":"c"}],
		"OperatorClasses":[{"OID":30003,"Schema":"public","Name":"o","Method":"btree","Input":23,"Family":30004,"Default":true}],"Extensions":[{"OID":30005,"Name":"e","Schema":"public"}]}`))
	f.Add([]byte(`{"Database":"app","ServerVersionNum":150018,"Wrote":true,"Roles":"` + rolesDigest([]Role{{OID: 30006, Name: "made"}}) + `","AllRoles":[{"OID":30006,"Name":"made"}]}`))
	f.Add([]byte(head + `"Hidden":["isolation","parents","system","event triggers"]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		v, err := DescribeSession(document)
		if err != nil {
			return
		}
		add := v.Additions
		s, err := v.Over(base, true)
		if err != nil {
			return
		}
		if len(v.Hidden) != 0 || v.Database != base.Database || v.ServerVersionNum != base.ServerVersionNum || v.Wrote && v.Roles != base.RolesDigest() && v.Roles != rolesDigest(v.AllRoles) {
			t.Error("what cannot be relied on was accepted")
		}
		for _, o := range base.OperatorsNamed("+") {
			if found := s.OperatorByOID(o.OID); o.OID < FirstNormalOID && found != o && found != nil {
				t.Error("an operator of the server's is another one")
			}
		}
		for _, oid := range add.Dropped.Relations {
			if r := s.RelationByOID(oid); r != nil && !slices.ContainsFunc(add.Relations, func(r Relation) bool { return r.OID == oid }) {
				t.Error("a relation that was dropped is found")
			}
		}
		for i := range add.Relations {
			if r := s.RelationByOID(add.Relations[i].OID); r == nil || s.RelationByName(r.Schema, r.Name) == nil {
				t.Error("an addition is not found")
			}
		}
		for r := range s.EachRelation() {
			if s.RelationByOID(r.OID) == nil {
				t.Error("what is listed is not found")
			}
		}
	})
}
