package pgtest

import (
	"strconv"
	"strings"
)

// VersionNum is server_version_num of what a server reports as server_version:
// "15.20 (Debian 15.20-0+deb12u1)" is 150020. A version that is not out yet ("19beta1")
// counts as its minor version 0; 0 is returned for what is no version.
func VersionNum(reported string) int {
	version, _, _ := strings.Cut(reported, " ")
	head, tail, _ := strings.Cut(version, ".")
	digits := func(s string) int {
		end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(s)
		}
		n, err := strconv.Atoi(s[:end])
		if err != nil {
			return 0
		}
		return n
	}
	return digits(head)*10000 + digits(tail)
}

// Minors are the minor versions in which a change came to older major versions, by
// major version. Later major versions have it.
type Minors map[int]int

// In reports whether a server of that server_version_num has the change.
func (m Minors) In(version int) bool {
	minor, known := m[version/10000]
	if !known {
		for major := range m {
			if version/10000 < major {
				return false
			}
		}
		return len(m) > 0
	}
	return version%10000 >= minor
}
