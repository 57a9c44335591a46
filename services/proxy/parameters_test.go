package proxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// always is what every backend session starts with.
func always(more ...string) map[string]string {
	m := map[string]string{"client_encoding": "UTF8", "standard_conforming_strings": "on", "backslash_quote": "safe_encoding"}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func TestBackendParameters(t *testing.T) {
	for name, tc := range map[string]struct {
		client map[string]string
		// want is nil where a parameter is refused.
		want map[string]string
	}{
		"none":                      {nil, always()},
		"allowed":                   {map[string]string{"application_name": "psql", "DateStyle": "ISO, MDY", "TimeZone": "UTC"}, always("application_name", "psql", "datestyle", "ISO, MDY", "timezone", "UTC")},
		"pinned, same":              {map[string]string{"standard_conforming_strings": "ON"}, always()},
		"pinned, other":             {map[string]string{"standard_conforming_strings": "off"}, nil},
		"backslash_quote":           {map[string]string{"backslash_quote": "on"}, nil},
		"utf8 in its spellings":     {map[string]string{"client_encoding": "'utf-8'"}, always()},
		"unicode":                   {map[string]string{"client_encoding": "UNICODE"}, always()},
		"SQL_ASCII":                 {map[string]string{"client_encoding": "sql ascii"}, always("client_encoding", "SQL_ASCII")},
		"SJIS":                      {map[string]string{"client_encoding": "SJIS"}, nil},
		"empty encoding":            {map[string]string{"client_encoding": ""}, nil},
		"auto":                      {map[string]string{"client_encoding": "auto"}, nil},
		"search_path":               {map[string]string{"search_path": "hr"}, always("search_path", "hr")},
		"role":                      {map[string]string{"role": "postgres"}, nil},
		"Role":                      {map[string]string{"ROLE": "postgres"}, nil},
		"session_authorization":     {map[string]string{"session_authorization": "postgres"}, nil},
		"custom setting":            {map[string]string{"app.tenant": "1"}, always("app.tenant", "1")},
		"the proxy's own":           {map[string]string{"scopewire.principal": "root"}, nil},
		"session_preload_libraries": {map[string]string{"session_preload_libraries": "x"}, always("session_preload_libraries", "x")},
		"empty name":                {map[string]string{"": "x"}, nil},
		"allowed with a tail":       {map[string]string{"datestyle ": "ISO"}, nil},
		"options":                   {map[string]string{"options": "-c statement_timeout=5s --lock-timeout=1s -cjit=off"}, always("statement_timeout", "5s", "lock_timeout", "1s", "jit", "off")},
		"options, escaped":          {map[string]string{"options": `-c datestyle=ISO,\ MDY -c application_name=a\\b`}, always("datestyle", "ISO, MDY", "application_name", `a\b`)},
		"options, white space":      {map[string]string{"options": "\t-c\n jit=on \v\f\r"}, always("jit", "on")},
		"options, search_path":      {map[string]string{"options": "-c search_path=hr"}, always("search_path", "hr")},
		"options, hyphens":          {map[string]string{"options": "--search-path=hr"}, always("search_path", "hr")},
		"options, escaped name":     {map[string]string{"options": `-c sea\rch_path=hr`}, always("search_path", "hr")},
		"options, role":             {map[string]string{"options": "-crole=postgres"}, nil},
		"options, pinned":           {map[string]string{"options": "-c standard_conforming_strings=off"}, nil},
		"options, encoding":         {map[string]string{"options": "-c client_encoding=sjis"}, nil},
		"options, other switches":   {map[string]string{"options": "-e"}, nil},
		"options, -O":               {map[string]string{"options": "-O"}, nil},
		"options, no value":         {map[string]string{"options": "-c jit"}, nil},
		"options, -c alone":         {map[string]string{"options": "-c"}, nil},
		"options, no name":          {map[string]string{"options": "-c =x"}, nil},
		"options, a word":           {map[string]string{"options": "jit=on"}, nil},
		"options, empty value":      {map[string]string{"options": "-c application_name="}, always("application_name", "")},
		"options after a parameter": {map[string]string{"options": "-c jit=on", "jit": "off"}, always("jit", "off")},
		"options, user":             {map[string]string{"options": "-c user=postgres"}, nil},
		"options, replication":      {map[string]string{"options": "-c replication=true"}, nil},
		"options, options":          {map[string]string{"options": "-c options=-O"}, nil},
		"options, protocol":         {map[string]string{"options": "-c _pq_.command=1"}, nil},
		"options, the proxy's own":  {map[string]string{"options": "-c scopewire.token=x"}, nil},
		"a name that is none":       {map[string]string{"a-b": "x"}, nil},
		"OPTIONS is not options":    {map[string]string{"OPTIONS": "-c jit=on"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := backendParameters(tc.client)
			if _, ok := asParameterError(err); ok != (tc.want == nil) || (err == nil) != (tc.want != nil) {
				t.Fatalf("%v, %v", got, err)
			}
			if diff := cmp.Diff(tc.want, got); tc.want != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is not harmless in every session needs authz's word, for each name.
func TestSec_T05_UnjudgedSettings(t *testing.T) {
	params := always("search_path", "hr", "app.tenant", "1", "datestyle", "ISO", "client_min_messages", "debug5")
	if diff := cmp.Diff([]string{"app.tenant", "client_min_messages", "search_path"}, unjudged(params, nil)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"search_path"}, unjudged(params, []string{"app.tenant", "client_min_messages", "search_pat"})); diff != "" {
		t.Error(diff)
	}
}

// FuzzBackendParameters: what is accepted sets names of settings alone, the pinned ones
// to their values, and the encoding to one of two; and who the session is, it does not
// say.
func FuzzBackendParameters(f *testing.F) {
	f.Add("application_name", "x", "-c statement_timeout=5s")
	f.Add("client_encoding", "utf8", `--search\_path=x`)
	f.Add("DateStyle", "ISO", `-c a\ b=c -cjit=on`)
	f.Add("loc\u212A_timeout", "1", "-c loc\u212A_timeout=1")
	f.Fuzz(func(t *testing.T, name, value, options string) {
		got, err := backendParameters(map[string]string{name: value, "options": options})
		if name == "options" {
			return
		}
		if err != nil {
			if p, ok := asParameterError(err); !ok || got != nil || !strings.Contains(p.Error(), "not accepted") {
				t.Errorf("%v, %v", got, err)
			}
			return
		}
		for k, v := range got {
			switch {
			case k == "client_encoding":
				if v != "UTF8" && v != "SQL_ASCII" {
					t.Errorf("client_encoding %q", v)
				}
			case pinnedSettings[k] != "":
				if v != pinnedSettings[k] {
					t.Errorf("%s is %q", k, v)
				}
			case ownParameters[k], !settingName(k), strings.HasPrefix(k, "scopewire."), strings.HasPrefix(k, "_pq_."):
				t.Errorf("%q is set", k)
			}
		}
	})
}
