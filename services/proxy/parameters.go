package proxy

import (
	"errors"
	"fmt"
	"strings"
)

// startupSettings are the settings that a client may give at startup: they
// change how values look or how long things may take, not what a statement
// means. Names are lower case, as PostgreSQL compares them.
var startupSettings = map[string]bool{
	"application_name":                    true,
	"bytea_output":                        true,
	"client_min_messages":                 true,
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
	for name, value := range client {
		if name == "options" {
			continue
		}
		if err := addParameter(out, name, value); err != nil {
			return nil, err
		}
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
	return out, nil
}

func addParameter(out map[string]string, name, value string) error {
	key := strings.ToLower(name)
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
	default:
		return &parameterError{name, "it may not be set at startup"}
	}
	return nil
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
