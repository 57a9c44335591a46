package stmt

// PREPARE and Parse give names in one namespace, DECLARE and Bind in another. What
// statements of SQL do to names the session is told by whoever read them, and tells the
// tracker when they have completed. Nothing may be in flight then.

// Define makes a name stand for what a statement of SQL has given it. A portal that
// stays outlives the transaction (WITH HOLD).
func (t *Tracker[P]) Define(space Space, name string, value P, weight int, stays bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := named(space, name)
	t.drop(k)
	t.confirmed[k] = entry[P]{value: value, exists: true, weight: weight, sql: true, stays: stays}
	t.weight += weight
	delete(t.overlay, k)
}

// Forget drops a name that a statement of SQL has dropped.
func (t *Tracker[P]) Forget(space Space, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(named(space, name))
}

// ForgetAll drops all names of a space that SQL can drop: the unnamed statement is none
// of them (DropAllPreparedStatements, prepare.c).
func (t *Tracker[P]) ForgetAll(space Space) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.keys() {
		if k.space == space && (k.name != "" || space == Portals) {
			t.forget(k)
		}
	}
}

// EndCursors drops the cursors that statements of SQL have made and that end with their
// transaction.
func (t *Tracker[P]) EndCursors() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, e := range t.confirmed {
		if e.sql && !e.stays && k.space == Portals {
			t.forget(k)
		}
	}
}

// keys are those of all names.
func (t *Tracker[P]) keys() []key {
	var keys []key
	for k := range t.confirmed {
		keys = append(keys, k)
	}
	for k := range t.overlay {
		keys = append(keys, k)
	}
	return keys
}

func (t *Tracker[P]) forget(k key) {
	t.drop(k)
	delete(t.overlay, k)
}

// Names returns what the names of a space stand for. Nothing may be in flight.
func (t *Tracker[P]) Names(space Space) map[string]P {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := map[string]P{}
	for k, e := range t.confirmed {
		if k.space == space {
			names[k.name] = e.value
		}
	}
	return names
}

// Completed is how many commands of a message have completed.
func (t *Tracker[P]) Completed(op *Op[P]) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return op.completed
}
