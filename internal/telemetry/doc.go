// Package telemetry is metrics, traces, logs and the admin server: how a
// running Scopewire is seen from outside.
//
// Setup makes one Telemetry per process. Metrics are made through it and only
// from entries of the catalog (Metric); spans are named by the constants in
// spans.go. So dashboards, alerts and the reference can be checked against one
// place, and a label can never carry a user, a table, SQL or a token: each has
// a closed list of values, and anything else is counted as "other".
//
// This package alone imports the OpenTelemetry SDK. Others hold the API types
// (trace.Span, trace.Tracer) or this package's.
//
// Every statement has a trace id, exported or not, because audit events carry
// it. Without an endpoint nothing is sampled and a span costs its id.
package telemetry
