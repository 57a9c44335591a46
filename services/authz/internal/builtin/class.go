package builtin

import (
	"fmt"
	"strconv"
	"strings"
)

// classWords are the headings of the review files for functions.
func classWords() map[string]Class {
	return map[string]Class{
		"harmless": Harmless, "named": Named, "setting": Setting, "introspection": Introspection,
		"advisory": Advisory, "channel": Channel, "code": Code, "session": Session, "server": Server,
		"internal": Internal,
	}
}

// String is the word the review files use for the class.
func (c Class) String() string {
	for word, class := range classWords() {
		if class == c {
			return word
		}
	}
	return "unreviewed"
}

// kindWords are what an argument can name.
func kindWords() map[string]NameKind {
	return map[string]NameKind{
		"relation": Relation, "sequence": Sequence, "routine": Routine, "type": TypeName, "schema": Schema,
		"role": Role, "operator": OperatorName, "collation": CollationName,
		"configuration": ConfigurationName, "setting": SettingName,
	}
}

// String is the word the review files use for the kind.
func (k NameKind) String() string {
	for word, kind := range kindWords() {
		if kind == k {
			return word
		}
	}
	return "nothing"
}

// runsWords are the kinds of code that a function runs besides its own.
func runsWords() map[string]Runs {
	return map[string]Runs{
		"compare": RunsCompare, "hash": RunsHash, "output": RunsOutput, "input": RunsInput, "cast": RunsCast,
	}
}

// String lists the words the review files use, in order of the bits.
func (r Runs) String() string {
	var words []string
	for bit := RunsCompare; bit <= RunsCast; bit <<= 1 {
		for word, run := range runsWords() {
			if run == bit && r&bit != 0 {
				words = append(words, word)
			}
		}
	}
	return strings.Join(words, ",")
}

// function reads what the heading of a section of functions says.
func (s section) function() (Function, error) {
	class, ok := classWords()[s.word]
	if !ok {
		return Function{}, fmt.Errorf("no class %q", s.word)
	}
	f := Function{Class: class}
	for key, value := range s.attrs {
		switch key {
		case "extension":
		case "runs":
			for word := range strings.SplitSeq(value, ",") {
				run, ok := runsWords()[word]
				if !ok {
					return Function{}, fmt.Errorf("no code %q", word)
				}
				f.Runs |= run
			}
		default:
			name, err := parseName(key, value)
			if err != nil {
				return Function{}, err
			}
			f.Names = append(f.Names, name)
		}
	}
	return f, nil
}

// parseName reads position=kind, position=kind:action or
// position=kind:action/action.
func parseName(key, value string) (Name, error) {
	position, err := strconv.Atoi(key)
	if err != nil {
		return Name{}, fmt.Errorf("no attribute %q", key)
	}
	word, actions, _ := strings.Cut(value, ":")
	kind, ok := kindWords()[word]
	if !ok {
		return Name{}, fmt.Errorf("nothing to name is called %q", word)
	}
	action, or, _ := strings.Cut(actions, "/")
	return Name{Argument: position, Kind: kind, Action: action, Or: or}, nil
}
