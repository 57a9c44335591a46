package stmt

// Forget drops a name that a statement of SQL has dropped or taken, or all names of
// a space. Nothing may be in flight.
func (t *Tracker[P]) Forget(space Space, name string, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.confirmed {
		if k.space == space && (all || k == named(space, name)) {
			t.drop(k)
		}
	}
	for k := range t.overlay {
		if k.space == space && (all || k == named(space, name)) {
			t.overlay[k] = entry[P]{}
		}
	}
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
