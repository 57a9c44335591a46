package oracle

import "testing"

func TestMentions(t *testing.T) {
	d := &Database{Model: &Model{Keywords: []string{"select", "from", "join", "on", "where"}}}
	for _, c := range []struct {
		sql, schema, name string
		want              int
	}{
		{`SELECT id FROM orders`, "app", "orders", 1},
		{`SELECT orders.id FROM Orders JOIN app.orders o ON orders.id = o.id`, "app", "orders", 2},
		{`SELECT id FROM "Hr".orders`, "app", "orders", 0},
		{`SELECT id FROM app."select" WHERE (SELECT 1) = 1`, "app", "select", 1},
		{`SELECT id FROM "Orders"`, "app", "orders", 0},
	} {
		if got := mentions(d.textWords(c.sql), c.schema, c.name); got != c.want {
			t.Errorf("%s names %s %d times, want %d", c.sql, c.name, got, c.want)
		}
	}
}

func TestScans(t *testing.T) {
	plan := `Hash Join
  Output: o.id
  ->  Seq Scan on app.orders o
  ->  Index Scan using orders_pkey on "Hr"."select" s`
	for name, want := range map[string]int{"app.orders": 1, "Hr.select": 1, "Hr.orders": 0} {
		words := planWords(name)
		if got := scans(planWords(plan), words[0], words[2]); got != want {
			t.Errorf("the plan scans %s %d times, want %d", name, got, want)
		}
	}
}
