package catalog

import (
	"encoding/json"
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
