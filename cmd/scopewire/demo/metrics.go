package demo

import "net/http"

// Metrics serves the metrics of the services, nil where they are the caller's.
func (w *World) Metrics() http.Handler {
	if w.stack == nil {
		return nil
	}
	return w.stack.Metrics()
}
