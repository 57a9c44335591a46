package demo

import "fmt"

// Database is the sample database's name, Audience whom tokens are for.
const (
	Database = "shop"
	Audience = "postgres"
)

// User is one of the demo's OAuth clients: a person with scopes.
type User struct {
	// Name is the client's id and the subject of its tokens.
	Name string
	// Scopes are what its tokens carry.
	Scopes []string
	// About says in a few words who it is.
	About string
}

// Users are the demo's users.
func Users() []User {
	return []User{
		{"alice", []string{"orders.read", "customers.names"}, "an analyst: reads orders, and of customers only names"},
		{"bob", []string{"orders.read", "orders.write"}, "a clerk: reads and writes orders"},
		{"carol", []string{"hr.read"}, "from HR: reads employees, nothing else"},
	}
}

// schema is the sample database. The application's login may do anything to any
// table of it: what the users may do is the policy's alone.
const schema = `
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL DEFAULT 'new', total numeric(10,2) NOT NULL);
CREATE TABLE order_items (order_id int NOT NULL REFERENCES orders, line int NOT NULL, product text NOT NULL, quantity int NOT NULL DEFAULT 1, PRIMARY KEY (order_id, line));
CREATE TABLE employees (id int PRIMARY KEY, name text NOT NULL, salary numeric(10,2) NOT NULL);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Grace', 'grace@example.com'), (3, 'Edsger', 'edsger@example.com');
INSERT INTO orders VALUES (1, 1, 'paid', 99.50), (2, 1, 'new', 12.00), (3, 2, 'shipped', 430.00), (4, 3, 'new', 7.25);
INSERT INTO order_items VALUES (1, 1, 'keyboard', 1), (2, 1, 'cable', 3), (3, 1, 'monitor', 1), (4, 1, 'coffee', 1);
INSERT INTO employees VALUES (1, 'Barbara', 91000), (2, 'Niklaus', 88000);
`

// The roles of the sample database.
const (
	appRole     = "shop_app"
	catalogRole = "scopewire_catalog"
)

// roles makes the two logins with their passwords, which are hexadecimal.
func roles(appPassword, catalogPassword string) string {
	return fmt.Sprintf(`
CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s';
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO %[1]s;
CREATE ROLE %[3]s LOGIN PASSWORD '%[4]s' NOINHERIT;
`, appRole, appPassword, catalogRole, catalogPassword)
}

// sampleScopes are what the sample's scopes allow.
const sampleScopes = `  orders.read:
    - actions: [select]
      objects: [public.orders, public.order_items]
  orders.write:
    - actions: [insert, update, delete]
      objects: [public.orders, public.order_items]
  customers.names:
    - actions: [select]
      objects: [public.customers]
      columns: [id, name]
  hr.read:
    - actions: [select]
      objects: [public.employees]
`

// policyFile is the demo's policy.
func policyFile(issuer, issuers string, cfg Config) string {
	logins := cfg.PolicyLogins
	if logins == "" {
		logins = "{default: app}"
	}
	return fmt.Sprintf(`# What each OAuth scope allows. Saved changes are in force within a second.
version: 1
issuers:
  - issuer: %s
    audiences: [%s]
%sscopes:
%slogins:
  %s: %s
%s`, issuer, Audience, issuers, cfg.Scopes, Database, logins, cfg.Policy)
}
