package proxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// startupSettings are the settings that a client may give at startup whatever authz
// thinks of settings: they change how values look or how long things may take, not what
// a statement means. Any other goes to the server only when authz has accepted it.
// Names are lower case, as PostgreSQL compares them.
var startupSettings = map[string]bool{
	"application_name":                    true,
	"bytea_output":                        true,
	"datestyle":                           true,
	"extra_float_digits":                  true,
	"idle_in_transaction_session_timeout": true,
	"intervalstyle":                       true,
	"jit":                                 true,
	"lock_timeout":                        true,
	"statement_timeout":                   true,
	"timezone":                            true,
}

// pinnedSettings are what every backend session starts with. Reading SQL the way
// authz does depends on them; a client may give them with the same value only.
var pinnedSettings = map[string]string{
	"standard_conforming_strings": "on",
	"backslash_quote":             "safe_encoding",
}

// ownParameters are no settings, or make the session another's: they are never passed
// on, in whatever way they are given.
var ownParameters = map[string]bool{
	"user": true, "database": true, "options": true, "replication": true, "role": true, "session_authorization": true,
}

// parameterError is a startup parameter that is not accepted. It names the
// parameter, which is the client's own word.
type parameterError struct{ name, why string }

func (e *parameterError) Error() string {
	return fmt.Sprintf("startup parameter %q is not accepted: %s", e.name, e.why)
}

// backendParameters turns the client's startup parameters into those of the
// backend session.
func backendParameters(client map[string]string) (map[string]string, error) {
	out := map[string]string{"client_encoding": "UTF8"}
	for name, value := range pinnedSettings {
		out[name] = value
	}
	settings, err := parseOptions(client["options"])
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		if err := addParameter(out, s[0], s[1]); err != nil {
			return nil, err
		}
	}
	// The server reads the options first (postinit.c, process_startup_options).
	for _, name := range slices.Sorted(maps.Keys(client)) {
		if name == "options" {
			continue
		}
		if err := addParameter(out, name, client[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func addParameter(out map[string]string, name, value string) error {
	key := lowerASCII(name)
	switch {
	case key == doorParameter:
		// It was read before the client was asked for its token.
	case key == "client_encoding":
		enc, ok := clientEncoding(value)
		if !ok {
			return &parameterError{key, "it has to be UTF8 or SQL_ASCII"}
		}
		out[key] = enc
	case startupSettings[key]:
		out[key] = value
	case pinnedSettings[key] != "":
		if !strings.EqualFold(value, pinnedSettings[key]) {
			return &parameterError{key, "it has to be " + pinnedSettings[key]}
		}
	case ownParameters[key], !settingName(key), strings.HasPrefix(key, "_pq_."), strings.HasPrefix(key, "scopewire."):
		return &parameterError{name, "it may not be set at startup"}
	default:
		out[key] = value
	}
	return nil
}

// lowerASCII folds a name as the server does (guc.c, guc_name_compare).
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// settingName reports whether a name may be a setting's (guc.c,
// valid_custom_variable_name), in ASCII.
func settingName(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '$' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// unjudged lists the settings that authz has to have accepted and did not.
func unjudged(params map[string]string, accepted []string) []string {
	var names []string
	for name := range params {
		_, pinned := pinnedSettings[name]
		if name != "client_encoding" && !pinned && !startupSettings[name] && !slices.Contains(accepted, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// clientEncoding reads an encoding's name as PostgreSQL does (common/encnames.c,
// clean_encoding_name: letters and digits count, case does not).
func clientEncoding(value string) (string, bool) {
	var b strings.Builder
	for _, c := range strings.ToLower(value) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	switch b.String() {
	case "utf8", "unicode":
		return "UTF8", true
	case "sqlascii":
		return "SQL_ASCII", true
	default:
		return "", false
	}
}

// parseOptions reads the options parameter: words separated by white space, a
// backslash taking the next character as it is (utils/init/postinit.c,
// pg_split_opts), each `-c name=value`, `-cname=value` or `--name=value`
// (tcop/postgres.c, process_postgres_switches). Other switches are not accepted.
func parseOptions(options string) ([][2]string, error) {
	var settings [][2]string
	words := splitOptions(options)
	for i := 0; i < len(words); i++ {
		w := words[i]
		var assignment string
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			assignment = words[i]
		case strings.HasPrefix(w, "-c") && len(w) > 2:
			assignment = w[2:]
		case strings.HasPrefix(w, "--"):
			assignment = w[2:]
		default:
			return nil, &parameterError{"options", "only -c name=value is read"}
		}
		name, value, ok := strings.Cut(assignment, "=")
		if !ok || name == "" {
			return nil, &parameterError{"options", "only -c name=value is read"}
		}
		// ParseLongOption reads a hyphen in a name as an underscore.
		settings = append(settings, [2]string{strings.ReplaceAll(name, "-", "_"), value})
	}
	return settings, nil
}

func splitOptions(s string) []string {
	var words []string
	var word strings.Builder
	inWord, escaped := false, false
	for _, c := range []byte(s) {
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case c == '\\':
			escaped, inWord = true, true
		case c == ' ' || c >= '\t' && c <= '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// asParameterError returns the parameter's error, if err is one.
func asParameterError(err error) (*parameterError, bool) {
	var p *parameterError
	return p, errors.As(err, &p)
}
